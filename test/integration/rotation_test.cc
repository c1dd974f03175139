// The CA of a cluster is rotated under load, by command or by another one in its place: no request
// fails, within the cluster and across, and what was signed before is refused afterwards.
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certs/file.h"
#include "certs/issuer.h"
#include "certs/key.h"
#include "certs/spiffe_id.h"
#include "certs/test_certificate.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

using Json = nlohmann::json;

class RotationTest : public ::testing::Test {
 protected:
  RotationTest() {
    sandbox_ = std::make_unique<Sandbox>(std::vector<std::string>{"east", "west"});
    for (const char* cluster : {"east", "west"}) {
      sandbox_->Write(
          cluster, "all.yaml",
          EchoWorkload("echo-v1", "echo", "v1") + ServiceOf("echo", "http", 80) + Client("client"));
    }
  }
  void Up(const std::vector<std::string>& flags = {}) {
    const Result up = sandbox_->Up(flags);
    ASSERT_EQ(up.status, 0) << up.out << up.err;
  }

  std::string DataFolder() const { return sandbox_->work() + "/weft/it/east/weftd"; }

  // A certificate of the CA as it is now, in the name of east's client, as a thief would have it.
  std::string Steal() {
    const Json ca = Json::parse(ReadFile(DataFolder() + "/ca.json"), nullptr, false);
    const auto issuer = certs::Issuer::FromPem(ca["issuer"]["chain"].get<std::string>(),
                                               ca["issuer"]["key"].get<std::string>(), "east.weft");
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

  // Calls within the cluster and across, during `change`.
  template <typename Change>
  void ExpectNoneFails(Change change) {
    SteadyCalls from_east(sandbox_.get(), "east/client", "echo.default", 80, 500, 20);
    SteadyCalls from_west(sandbox_.get(), "west/client", "echo.default", 80, 500, 20);
    change();
    absl::SleepFor(absl::Seconds(2));
    for (SteadyCalls* calls : {&from_east, &from_west}) {
      const Json report = calls->Stop();
      EXPECT_GT(report.value("sent", 0), 1000) << report;
      EXPECT_EQ(report["sent"], report["ok"]) << report;
      EXPECT_TRUE(report["clusters"].contains("east")) << report;
      EXPECT_TRUE(report["clusters"].contains("west")) << report;
    }
  }

  std::unique_ptr<Sandbox> sandbox_;
};

class RotationByCommand : public RotationTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(RotationByCommand, FailsNoRequestAndEndsTheOldOne) {
  Up();
  const std::string stolen = Steal();
  ASSERT_TRUE(IsTaken(stolen));
  ExpectNoneFails([&] {
    const Result rotated = RunCommand(
        {BinaryPath("WEFTCTL"), "ca", "rotate", GetParam(), "--cluster", "east", "--name", "it"},
        sandbox_->environment(), "", absl::Seconds(60));
    EXPECT_EQ(rotated.status, 0) << rotated.out << rotated.err;
    EXPECT_TRUE(absl::StrContains(rotated.out, "retire: done")) << rotated.out;
  });
  EXPECT_FALSE(IsTaken(stolen));
}

INSTANTIATE_TEST_SUITE_P(Each, RotationByCommand, ::testing::Values("leaf", "intermediate", "root"),
                         [](const auto& info) { return std::string(info.param); });

class PluggedInTest : public RotationTest {
 protected:
  using TestCa = certs::TestCa;

  void PutCa(const TestCa& signer, const TestCa& root) {
    const std::pair<const char*, std::string> files[] = {
        {"ca-cert.pem", signer.certificate.ToPem()},
        {"ca-key.pem", signer.key.ToPem()},
        {"root-cert.pem", root.certificate.ToPem()}};
    for (const auto& [file, text] : files) {
      ASSERT_TRUE(certs::WriteFileAtomically(folder_ + "/" + file, text, 0644).ok());
    }
  }
  std::string Roots() const { return ReadFile(DataFolder() + "/root-cert.pem"); }
  bool Signs(const TestCa& ca) const {
    const Json kept = Json::parse(ReadFile(DataFolder() + "/ca.json"), nullptr, false);
    return absl::StrContains(kept["issuer"]["chain"].get<std::string>(), ca.certificate.ToPem());
  }

  const std::string folder_ = sandbox_->work() + "/ca-certs";
};

TEST_F(PluggedInTest, ANewIntermediateAndANewRootFailNoRequest) {
  std::filesystem::create_directory(folder_);
  const absl::Time now = absl::Now();
  const TestCa root = certs::MakeTestCa(nullptr, "root", now, certs::TestKeyType::kRsa2048);
  const TestCa first = certs::MakeTestCa(&root, "first", now, certs::TestKeyType::kRsa2048);
  PutCa(first, root);
  Up({"--ca-certs", "east=" + folder_});
  ASSERT_TRUE(Signs(first));
  const std::string stolen = Steal();
  ASSERT_TRUE(IsTaken(stolen));
  ExpectNoneFails([&] {
    const TestCa second = certs::MakeTestCa(&root, "second", now);
    PutCa(second, root);
    EXPECT_TRUE(Eventually([&] { return Signs(second); }));
    EXPECT_EQ(Roots(), root.certificate.ToPem());
    const TestCa new_root = certs::MakeTestCa(nullptr, "new root", now);
    PutCa(certs::MakeTestCa(&new_root, "third", now), new_root);
    EXPECT_TRUE(
        Eventually([&] { return Roots() == new_root.certificate.ToPem(); }, absl::Seconds(60)));
  });
  EXPECT_FALSE(IsTaken(stolen));
}

}  // namespace
}  // namespace weft::integration
