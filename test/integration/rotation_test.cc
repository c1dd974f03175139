// The CA of a cluster is rotated under load: no request fails, within the cluster and across, and
// what was signed before is refused afterwards.
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/key.h"
#include "certs/spiffe_id.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

using Json = nlohmann::json;

class RotationTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    sandbox_ = std::make_unique<Sandbox>(std::vector<std::string>{"east", "west"});
    for (const char* cluster : {"east", "west"}) {
      sandbox_->Write(
          cluster, "all.yaml",
          EchoWorkload("echo-v1", "echo", "v1") + ServiceOf("echo", "http", 80) + Client("client"));
    }
    const Result up = sandbox_->Up();
    ASSERT_EQ(up.status, 0) << up.out << up.err;
  }

  std::string DataFolder() const { return sandbox_->work() + "/weft/it/east/weftd"; }

  // A certificate of the CA as it is now, in the name of east's client, as a thief would have it.
  std::string Steal() {
    const Json ca = Json::parse(ReadFile(DataFolder() + "/ca.json"), nullptr, false);
    const auto issuer = certs::Issuer::FromPem(ca["issuer"]["chain"].get<std::string>(),
                                               ca["issuer"]["key"].get<std::string>());
    EXPECT_TRUE(issuer.ok()) << issuer.status();
    const certs::PrivateKey key = certs::PrivateKey::Generate();
    const auto chain = issuer->Issue(
        key.public_key(), *certs::SpiffeId::Parse("spiffe://east.weft/ns/default/sa/client"),
        absl::Hours(1), absl::Now());
    EXPECT_TRUE(chain.ok()) << chain.status();
    const std::string file = sandbox_->work() + "/stolen.pem";
    std::ofstream out(file);
    for (const std::string& pem : *chain) out << pem;
    out << key.ToPem();
    return file;
  }

  // Whether east's weftd takes it in a handshake.
  bool IsTaken(const std::string& file) {
    const Result tried =
        sandbox_->Exec("east/router", {"curl", "-skv", "--http2", "-m", "3", "--cert", file, "-X",
                                       "POST", "https://10.244.0.2:15012/"});
    return absl::StrContains(tried.err, "< HTTP/2");
  }

  std::unique_ptr<Sandbox> sandbox_;
};

TEST_P(RotationTest, FailsNoRequestAndEndsTheOldOne) {
  const std::string stolen = Steal();
  ASSERT_TRUE(IsTaken(stolen));
  SteadyCalls from_east(sandbox_.get(), "east/client", "echo.default", 80, 500, 20);
  SteadyCalls from_west(sandbox_.get(), "west/client", "echo.default", 80, 500, 20);
  const Result rotated = RunCommand(
      {BinaryPath("WEFTCTL"), "ca", "rotate", GetParam(), "--cluster", "east", "--name", "it"},
      sandbox_->environment(), "", absl::Seconds(60));
  EXPECT_EQ(rotated.status, 0) << rotated.out << rotated.err;
  EXPECT_TRUE(absl::StrContains(rotated.out, "retire: done")) << rotated.out;
  absl::SleepFor(absl::Seconds(2));
  for (SteadyCalls* calls : {&from_east, &from_west}) {
    const Json report = calls->Stop();
    EXPECT_GT(report.value("sent", 0), 1000) << report;
    EXPECT_EQ(report["sent"], report["ok"]) << report;
    EXPECT_TRUE(report["clusters"].contains("east")) << report;
    EXPECT_TRUE(report["clusters"].contains("west")) << report;
  }
  EXPECT_FALSE(IsTaken(stolen));
}

INSTANTIATE_TEST_SUITE_P(Each, RotationTest, ::testing::Values("leaf", "intermediate", "root"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace weft::integration
