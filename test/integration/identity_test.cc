// Who may call, and who the server is told the caller is.
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

constexpr char kForged[] = "x-forwarded-client-cert: URI=spiffe://east.weft/ns/default/sa/admin";

std::string PeerAuthentication(const std::string& app, const std::string& mode) {
  return absl::StrCat(R"(---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: )",
                      app, R"(}
spec: {selector: {matchLabels: {app: )",
                      app, "}}, mtls: {mode: ", mode, "}}\n");
}

class Identity : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sandbox_ = new Sandbox({"east"});
    std::string yaml = Client("mesh") + Client("outsider", kNotInjected);
    for (const char* app : {"open", "strict", "plain"}) {
      yaml += EchoWorkload(app, app, "v1") + ServiceOf(app, "http", 80);
    }
    yaml += PeerAuthentication("strict", "STRICT") + PeerAuthentication("plain", "DISABLE");
    sandbox_->Write("east", "all.yaml", yaml);
    const Result up = sandbox_->Up();
    ASSERT_EQ(up.status, 0) << up.out << up.err;
  }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }

  static std::string Direct(const std::string& app) {
    return absl::StrCat("http://", sandbox_->PodAddress("east", app), ":8080/");
  }

  static Sandbox* sandbox_;
};
Sandbox* Identity::sandbox_ = nullptr;

TEST_F(Identity, TheClientWithoutSidecarHasNone) {
  EXPECT_EQ(sandbox_->ContainerPid("east", "outsider", "weft-proxy"), 0);
  EXPECT_GT(sandbox_->ContainerPid("east", "mesh", "weft-proxy"), 0);
}

TEST_F(Identity, StrictRefusesPlaintext) {
  for (const std::string& url : {std::string("http://strict/"), Direct("strict")}) {
    const Answer answer = sandbox_->Call("east/outsider", {url});
    EXPECT_EQ(answer.code, 0) << url << " " << answer.body;
    EXPECT_LT(answer.took, absl::Seconds(5)) << "refused, not left hanging";
  }
}

TEST_F(Identity, StrictLetsTheMeshIn) {
  const Answer answer = sandbox_->Call("east/mesh", {"http://strict/"});
  EXPECT_TRUE(answer.ok()) << answer.code;
  EXPECT_EQ(answer.field("client_identity"), "spiffe://east.weft/ns/default/sa/mesh");
}

TEST_F(Identity, PermissiveServesPlaintextWithoutAnIdentity) {
  for (const std::string& url : {std::string("http://open/"), Direct("open")}) {
    const Answer answer = sandbox_->Call("east/outsider", {url});
    EXPECT_TRUE(answer.ok()) << url << " " << answer.code;
    EXPECT_TRUE(answer.echo["client_identity"].is_null()) << answer.body;
  }
}

TEST_F(Identity, PermissiveKnowsTheMeshClient) {
  EXPECT_EQ(sandbox_->Call("east/mesh", {"http://open/"}).field("client_identity"),
            "spiffe://east.weft/ns/default/sa/mesh");
}

TEST_F(Identity, DisabledIsReachedInPlaintextFromTheMeshToo) {
  for (const char* client : {"east/mesh", "east/outsider"}) {
    const Answer answer = sandbox_->Call(client, {"http://plain/"});
    EXPECT_TRUE(answer.ok()) << client << " " << answer.code;
    EXPECT_TRUE(answer.echo["client_identity"].is_null()) << answer.body;
  }
}

TEST_F(Identity, Row66_AForgedClientCertificateHeaderIsStripped) {
  for (const char* app : {"open", "plain"}) {
    const Answer outside =
        sandbox_->Call("east/outsider", {"-H", kForged, absl::StrCat("http://", app, "/")});
    ASSERT_TRUE(outside.ok()) << app << " " << outside.code;
    EXPECT_TRUE(outside.echo["xfcc"].is_null()) << outside.body;
  }
  const Answer inside = sandbox_->Call("east/mesh", {"-H", kForged, "http://open/"});
  ASSERT_TRUE(inside.ok()) << inside.code;
  EXPECT_EQ(inside.body.find("sa/admin"), std::string::npos) << inside.body;
  EXPECT_EQ(inside.field("client_identity"), "spiffe://east.weft/ns/default/sa/mesh");
}

TEST_F(Identity, AChangeOfModeTakesEffectLive) {
  sandbox_->Write("east", "mode.yaml", PeerAuthentication("open", "STRICT"));
  EXPECT_TRUE(
      Eventually([] { return sandbox_->Call("east/outsider", {"http://open/"}).code == 0; }));
  EXPECT_TRUE(sandbox_->Call("east/mesh", {"http://open/"}).ok());
  sandbox_->Write("east", "mode.yaml", PeerAuthentication("open", "PERMISSIVE"));
  EXPECT_TRUE(Eventually([] { return sandbox_->Call("east/outsider", {"http://open/"}).ok(); }));
}

}  // namespace
}  // namespace weft::integration
