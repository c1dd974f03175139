// What a cluster loses when another one fails: next to nothing, in bounded time, without a setting.
// Real processes are killed, stopped and cut off under a steady load, and requests are counted at
// both ends. In `echo` both clusters answer; `far` is only in west.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

using Json = nlohmann::json;

constexpr int kRate = 300;
constexpr int kConnections = 12;

void SleepUntil(absl::Time when) { absl::SleepFor(when - absl::Now()); }

class Outage : public ::testing::Test {
 protected:
  void SetUp() override {
    sandbox_ = std::make_unique<Sandbox>(std::vector<std::string>{"east", "west"});
    sandbox_->Write(
        "east", "echo.yaml",
        EchoWorkload("echo-v1", "echo", "v1") + ServiceOf("echo", "http", 80) + Client("client"));
    sandbox_->Write("west", "echo.yaml",
                    EchoWorkload("echo-v1", "echo", "v1") + ServiceOf("echo", "http", 80) +
                        EchoWorkload("far-v1", "far", "v1") + ServiceOf("far", "http", 80));
    const Result up = sandbox_->Up();
    ASSERT_EQ(up.status, 0) << up.out << up.err;
    ASSERT_TRUE(Eventually([this] {
      return sandbox_->Call("east/client", {"http://far.default/"}).field("cluster") == "west" &&
             AnswersOf("west") > 0;
    }));
  }

  // Of a few calls of `echo`.
  int AnswersOf(const std::string& cluster) {
    return Tally(sandbox_->Calls("east/client", 10, {"http://echo.default/"}), "cluster")[cluster];
  }

  // Sends a signal to what runs in a pod's container.
  void Signal(const std::string& cluster, const std::string& workload, const std::string& container,
              const std::string& signal) {
    const int pid = sandbox_->ContainerPid(cluster, workload, container);
    ASSERT_GT(pid, 1) << workload;
    const Result sent =
        sandbox_->Exec(cluster + "/router", {"kill", "-" + signal, absl::StrCat(pid)});
    ASSERT_EQ(sent.status, 0) << sent.err;
  }

  // Nothing passes between west and the others any more; nobody is told.
  void CutOffWest() {
    const Result cut = sandbox_->Exec(
        "west/router", {"nft",
                        "table ip cut { chain in { type filter hook prerouting priority -400; "
                        "iifname \"wan0\" drop; }; chain out { type filter hook postrouting "
                        "priority 400; oifname \"wan0\" drop; }; }"});
    ASSERT_EQ(cut.status, 0) << cut.err;
  }

  // Requests that the sidecar in front of a workload has let through, as it counts them.
  long Arrived(const std::string& cluster, const std::string& workload) {
    const Result stats =
        sandbox_->Exec(absl::StrCat(cluster, "/", workload),
                       {"curl", "-s", "http://127.0.0.1:15000/stats?filter=inbound"});
    long sum = 0;
    for (const absl::string_view line : absl::StrSplit(stats.out, '\n')) {
      if (!absl::StrContains(line, "inbound|") || !absl::StrContains(line, "upstream_rq_total")) {
        continue;
      }
      long count = 0;
      const std::vector<absl::string_view> parts = absl::StrSplit(line, ": ");
      if (parts.size() == 2 && absl::SimpleAtoi(parts[1], &count)) sum += count;
    }
    return sum;
  }

  static long Failed(const Json& report) {
    return report.value("sent", 0L) - report.value("ok", 0L);
  }
  // From the start of the load to the last request that failed.
  static long LastFailureMs(const Json& report) {
    long last = 0;
    for (const Json& failure : report["failures"]) last = std::max(last, failure[0].get<long>());
    return last;
  }

  std::unique_ptr<Sandbox> sandbox_;
};

TEST_F(Outage, APeersControlPlaneThatIsDeadFailsNoRequest) {
  const long arrived_before = Arrived("west", "far-v1");
  SteadyCalls calls(sandbox_.get(), "east/client", "far.default", 80, kRate, kConnections);
  ASSERT_EQ(sandbox_->Kill("west/weftd").status, 0);
  // Longer than what was heard of it is good for, were it not for its gateway.
  absl::SleepFor(absl::Seconds(40));
  const Json report = calls.Stop();
  EXPECT_GT(report["sent"], 40 * kRate / 2);
  EXPECT_EQ(Failed(report), 0) << report;
  EXPECT_EQ(Arrived("west", "far-v1") - arrived_before, report["ok"].get<long>());
}

TEST_F(Outage, Row115GatewaysThatAreKilledAreOutOfRoutingWithinThreeSeconds) {
  SteadyCalls calls(sandbox_.get(), "east/client", "echo.default", 80, kRate, kConnections);
  ASSERT_EQ(sandbox_->Kill("west/gateway").status, 0);
  absl::SleepFor(absl::Seconds(3));
  EXPECT_EQ(AnswersOf("east"), 10);
  SteadyCalls later(sandbox_.get(), "east/client", "echo.default", 80, kRate, kConnections);
  absl::SleepFor(absl::Seconds(2));
  const Json after = later.Stop();
  EXPECT_EQ(Failed(after), 0) << after;
  const Json report = calls.Stop();
  EXPECT_EQ(Failed(report), 0) << report;
  ASSERT_EQ(sandbox_->Restart("west/gateway").status, 0);
  EXPECT_TRUE(Eventually([this] { return AnswersOf("west") > 0; }));
}

TEST_F(Outage, Row117AGatewayThatIsStoppedIsOutOfRoutingWithinThreeSeconds) {
  SteadyCalls calls(sandbox_.get(), "east/client", "echo.default", 80, kRate, kConnections);
  const absl::Time stopped = absl::Now();
  ASSERT_NO_FATAL_FAILURE(Signal("west", "gateway", "weft-proxy", "STOP"));
  SleepUntil(stopped + absl::Seconds(3));
  SteadyCalls later(sandbox_.get(), "east/client", "echo.default", 80, kRate, kConnections);
  absl::SleepFor(absl::Seconds(3));
  const Json after = later.Stop();
  EXPECT_EQ(Failed(after), 0) << after;
  EXPECT_FALSE(after["clusters"].contains("west")) << after;
  SleepUntil(stopped + absl::Seconds(10));
  const Json report = calls.Stop();
  EXPECT_LT(Failed(report), report["sent"].get<long>() / 100) << report;
  ASSERT_NO_FATAL_FAILURE(Signal("west", "gateway", "weft-proxy", "CONT"));
  EXPECT_TRUE(Eventually([this] { return AnswersOf("west") > 0; }));
}

TEST_F(Outage, Row116AClusterThatVanishesIsOutOfRoutingWithinFiveSeconds) {
  SteadyCalls calls(sandbox_.get(), "east/client", "echo.default", 80, kRate, kConnections);
  const absl::Time cut = absl::Now();
  ASSERT_NO_FATAL_FAILURE(CutOffWest());
  SleepUntil(cut + absl::Seconds(5));
  SteadyCalls later(sandbox_.get(), "east/client", "echo.default", 80, kRate, kConnections);
  absl::SleepFor(absl::Seconds(3));
  const Json after = later.Stop();
  EXPECT_EQ(Failed(after), 0) << after;
  EXPECT_FALSE(after["clusters"].contains("west")) << after;
  SleepUntil(cut + absl::Seconds(15));
  const Json report = calls.Stop();
  EXPECT_LT(Failed(report), report["sent"].get<long>() / 100) << report;
  ASSERT_EQ(sandbox_->Exec("west/router", {"nft", "delete table ip cut"}).status, 0);
  EXPECT_TRUE(Eventually([this] { return AnswersOf("west") > 0; }, absl::Seconds(30)));
}

TEST_F(Outage, Row86AControlPlaneThatStartsWhileAPeerIsDeadIsReadyAndKnowsIt) {
  for (const char* what : {"west/weftd", "west/gateway"}) {
    ASSERT_EQ(sandbox_->Kill(what).status, 0);
  }
  SteadyCalls calls(sandbox_.get(), "east/client", "echo.default", 80, kRate, kConnections);
  ASSERT_EQ(sandbox_->Kill("east/weftd").status, 0);
  const absl::Time begun = absl::Now();
  ASSERT_EQ(sandbox_->Restart("east/weftd").status, 0);
  EXPECT_TRUE(Eventually([this] {
    return sandbox_->Exec("east/weftd", {"curl", "-sf", "http://127.0.0.1:15014/ready"}).status ==
           0;
  }));
  EXPECT_LT(absl::Now() - begun, absl::Seconds(5));
  // Its names are still there: a call of what only west has is answered by the sidecar, at once.
  const Answer far = sandbox_->Call("east/client", {"http://far.default/"});
  EXPECT_EQ(far.code, 503) << far.curl;
  absl::SleepFor(absl::Seconds(2));
  const Json report = calls.Stop();
  EXPECT_EQ(Failed(report), 0) << report;
}

}  // namespace
}  // namespace weft::integration
