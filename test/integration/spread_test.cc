// Requests of one client connection to a service of another cluster spread over all of its pods, in
// whatever zone; and one pod that fails loses its own share, not that of the gateway before it.
#include <stdio.h>

#include <map>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

constexpr int kZones = 3;
constexpr int kPodsOfZone = 3;
constexpr int kRequests = 1800;
// Of eight degrees of freedom, exceeded once in a hundred times by chance.
constexpr double kChiSquare = 20.09;

std::string Replicas(std::string workload, int count) {
  return absl::StrReplaceAll(
      workload,
      {{"spec:\n  selector:", absl::StrCat("spec:\n  replicas: ", count, "\n  selector:")}});
}

class Spread : public ::testing::Test {
 protected:
  void SetUp() override {
    sandbox_ = std::make_unique<Sandbox>(std::vector<std::string>{"east", "west"});
    sandbox_->Write("east", "client.yaml", Client("client"));
    std::string far = ServiceOf("far", "http", 80) + ServiceOf("mixed", "http", 80);
    for (int zone = 1; zone <= kZones; ++zone) {
      far += Replicas(EchoWorkload(absl::StrCat("far-v", zone), "far", absl::StrCat("v", zone)),
                      kPodsOfZone);
    }
    far += Replicas(EchoWorkload("mixed-v1", "mixed", "v1"), kZones * kPodsOfZone - 1);
    far += EchoWorkload("mixed-v2", "mixed", "v2", 8080, "", "bad");
    sandbox_->Write("west", "far.yaml", far);
    sandbox_->Write("east", "rule.yaml", R"(
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: mixed}
spec:
  host: mixed.default.svc.cluster.local
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 5m}
)");
    const Result up =
        sandbox_->Up({"--lenient", "--image", absl::StrCat("bad=", BinaryPath("APP"), " broken")});
    ASSERT_EQ(up.status, 0) << up.out << up.err;
    ASSERT_TRUE(
        Eventually([this] { return sandbox_->Call("east/client", {"http://far.default/"}).ok(); }));
  }

  // Requests that each pod of a service has had, as its sidecar counts them.
  std::map<std::string, int> Had(const std::string& app, int versions) {
    std::map<std::string, int> had;
    for (int version = 1; version <= versions; ++version) {
      for (const std::string& pod : sandbox_->PodsOf("west", absl::StrCat(app, "-v", version))) {
        const Result stats = sandbox_->Exec(
            pod, {"curl", "-s", "http://127.0.0.1:15000/stats?filter=inbound.*upstream_rq_total"});
        int count = 0;
        const std::vector<absl::string_view> parts = absl::StrSplit(stats.out, ": ");
        EXPECT_TRUE(parts.size() == 2 && absl::SimpleAtoi(parts[1], &count)) << stats.out;
        had[pod] = count;
      }
    }
    return had;
  }

  // Requests over one HTTP/2 connection of the client's, `at_once` of them at a time: how many each
  // pod got, and how many failed.
  std::map<std::string, int> OverOneConnection(const std::string& app, int versions, int at_once) {
    const std::map<std::string, int> before = Had(app, versions);
    const Result load = sandbox_->Exec(
        "east/client", {"h2load", "-n", absl::StrCat(kRequests), "-c", "1", "-m",
                        absl::StrCat(at_once), absl::StrCat("http://", app, ".default/")});
    failed_ = -1;
    const size_t codes = load.out.find("status codes: ");
    int ok = 0;
    if (codes != std::string::npos &&
        sscanf(load.out.c_str() + codes, "status codes: %d", &ok) == 1) {
      failed_ = kRequests - ok;
    }
    std::map<std::string, int> pods = Had(app, versions);
    for (auto& [pod, count] : pods) count -= before.at(pod);
    std::erase_if(pods, [](const auto& one) { return one.second == 0; });
    return pods;
  }

  std::unique_ptr<Sandbox> sandbox_;
  int failed_ = 0;
};

double ChiSquare(const std::map<std::string, int>& counts, int pods) {
  double sum = 0;
  int total = 0;
  for (const auto& [pod, count] : counts) total += count;
  const double expected = static_cast<double>(total) / pods;
  for (const auto& [pod, count] : counts) sum += (count - expected) * (count - expected) / expected;
  return sum + expected * (pods - static_cast<int>(counts.size()));
}

TEST_F(Spread, OneConnectionsRequestsGoToAllPodsAlike) {
  for (const int at_once : {1, 32}) {
    const auto pods = OverOneConnection("far", kZones, at_once);
    EXPECT_EQ(failed_, 0);
    EXPECT_EQ(pods.size(), kZones * kPodsOfZone) << ::testing::PrintToString(pods);
    EXPECT_LT(ChiSquare(pods, kZones * kPodsOfZone), kChiSquare) << ::testing::PrintToString(pods);
  }
}

TEST_F(Spread, ManyAtOnceGoToAllPodsAlike) {
  SteadyCalls calls(sandbox_.get(), "east/client", "far.default", 80, 400, 24);
  absl::SleepFor(absl::Seconds(5));
  const auto report = calls.Stop();
  EXPECT_EQ(report["sent"], report["ok"]) << report;
  std::map<std::string, int> pods;
  for (const auto& [pod, count] : report["pods"].items()) pods[pod] = count.get<int>();
  EXPECT_EQ(pods.size(), kZones * kPodsOfZone) << report;
  EXPECT_LT(ChiSquare(pods, kZones * kPodsOfZone), kChiSquare) << report;
}

TEST_F(Spread, APodThatFailsLosesItsShareAlone) {
  OverOneConnection("mixed", 2, 1);  // it fails three in a row, and is left out
  const auto pods = OverOneConnection("mixed", 2, 1);
  EXPECT_EQ(failed_, 0);
  EXPECT_EQ(pods.size(), kZones * kPodsOfZone - 1) << ::testing::PrintToString(pods);
  EXPECT_LT(ChiSquare(pods, kZones * kPodsOfZone - 1), kChiSquare)
      << ::testing::PrintToString(pods);
}

}  // namespace
}  // namespace weft::integration
