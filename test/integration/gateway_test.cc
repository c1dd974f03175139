// What a stranger on the link between the clusters can reach through a gateway's 15443: the names
// that are exported, and there only the destination's own demand for a certificate.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

// Clusters west and east: what is said here of west's gateway is asked from east's router, which
// has no certificate.
class Gateway : public ::testing::Test {
 protected:
  static std::unique_ptr<Sandbox> Start(const std::vector<std::string>& flags) {
    auto sandbox = std::make_unique<Sandbox>(std::vector<std::string>{"east", "west"});
    for (const char* cluster : {"east", "west"}) {
      sandbox->AddSample(cluster, "helloworld/helloworld.yaml");
      sandbox->AddSample(cluster, "curl/curl.yaml");
    }
    const Result up = sandbox->Up(flags);
    EXPECT_EQ(up.status, 0) << up.out << up.err;
    return sandbox;
  }

  // What knock.cc says of west's gateway.
  static std::string Knock(Sandbox* sandbox, const std::string& name, const std::string& alpn,
                           const std::string& certificate = "") {
    const Result result = sandbox->Exec(
        "east/router", {BinaryPath("KNOCK"), "172.31.0.12", "15443", name, alpn, certificate});
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out.substr(0, result.out.find('\n'));
  }
};

constexpr char kHelloworld[] = "outbound_.5000_._.helloworld.default.svc.cluster.local";

class ExportingGateway : public Gateway {
 protected:
  static void SetUpTestSuite() { sandbox_ = Start({}).release(); }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }
  static Sandbox* sandbox_;
};
Sandbox* ExportingGateway::sandbox_ = nullptr;

TEST_F(ExportingGateway, Row67_AnExportedNamePassesButTheDestinationWantsACertificate) {
  EXPECT_EQ(Knock(sandbox_, kHelloworld, "istio"), "refused");
}

TEST_F(ExportingGateway, Row51_AForgedCertificateWithAMeshIdentityIsRefused) {
  EXPECT_EQ(Knock(sandbox_, kHelloworld, "istio", "certificate"), "refused");
  EXPECT_EQ(Knock(sandbox_, "peer.west.weft", "h2", "certificate"), "refused");
}

// A permissive server hands TLS that is not the mesh's to the application: not from over here.
TEST_F(ExportingGateway, Row67_OnlyTheMeshsOwnTlsPasses) {
  for (const char* alpn : {"", "http/1.1", "h2"}) {
    EXPECT_EQ(Knock(sandbox_, kHelloworld, alpn), "closed") << alpn;
    EXPECT_EQ(Knock(sandbox_, kHelloworld, alpn, "certificate"), "closed") << alpn;
  }
}

TEST_F(ExportingGateway, Row67_ThePeerApiWantsACertificateToo) {
  EXPECT_EQ(Knock(sandbox_, "peer.west.weft", "h2"), "refused");
}

class UnknownName : public ExportingGateway, public ::testing::WithParamInterface<const char*> {};

TEST_P(UnknownName, Row67_IsClosedWithoutAnAnswer) {
  for (const char* alpn : {"istio", "h2", ""}) {
    EXPECT_EQ(Knock(sandbox_, GetParam(), alpn), "closed") << alpn;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Gateway, UnknownName,
    ::testing::Values(
        "helloworld.default.svc.cluster.local",                      // no SNI of ours
        "outbound_.5001_._.helloworld.default.svc.cluster.local",    // no such port
        "outbound_.5000_.v9_.helloworld.default.svc.cluster.local",  // no such subset
        "outbound_.5000_._.nothing.default.svc.cluster.local",       // no such service
        "outbound_.15012_._.weftd.weft-system.svc.cluster.local",    // the control plane
        "outbound_.15010_._.weftd.weft-system.svc.cluster.local",    //
        "outbound_.15443_._.gateway.weft-system.svc.cluster.local",  // itself
        "peer.east.weft",                                            // another's peer API
        "example.com"));

TEST_F(ExportingGateway, Row57_PlaintextIsClosed) {
  const Result result = sandbox_->Exec(
      "east/router", {"curl", "-s", "-m", "20", "--noproxy", "*", "http://172.31.0.12:15443/"});
  EXPECT_NE(result.status, 0);
  EXPECT_NE(result.status, 28) << "left hanging";
  EXPECT_EQ(result.out, "");
}

// Nothing else of a cluster answers on the link: neither pods' ports nor the control plane's.
TEST_F(ExportingGateway, NothingButTheGatewayAnswersOnTheLink) {
  for (const char* port : {"5000", "15000", "15001", "15006", "15010", "15012", "15013", "15014"}) {
    const Result result =
        sandbox_->Exec("east/router", {"curl", "-s", "-m", "2", "--noproxy", "*",
                                       absl::StrCat("http://172.31.0.12:", port, "/")});
    EXPECT_TRUE(result.status == 7 || result.status == 28) << port << ": " << result.status;
  }
}

class GatewayWithoutExports : public Gateway {
 protected:
  static void SetUpTestSuite() { sandbox_ = Start({"--export", "none"}).release(); }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }
  static Sandbox* sandbox_;
};
Sandbox* GatewayWithoutExports::sandbox_ = nullptr;

TEST_F(GatewayWithoutExports, Row67_AServiceThatIsNotExportedIsClosedWithoutAnAnswer) {
  EXPECT_EQ(Knock(sandbox_, kHelloworld, "istio"), "closed");
}

TEST_F(GatewayWithoutExports, EachClusterAnswersItself) {
  const auto clusters =
      Tally(sandbox_->Calls("east/curl", 20, {"http://helloworld.default:5000/"}), "cluster");
  EXPECT_EQ(clusters, (std::map<std::string, int>{{"east", 20}}));
}

}  // namespace
}  // namespace weft::integration
