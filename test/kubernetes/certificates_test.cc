// Certificates from weftd for pods that show what their API server gave them: a token bound to
// service account, pod, audience and time.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/istio/ca.grpc.pb.h"
#include "certs/csr.h"
#include "certs/key.h"
#include "certs/spiffe_id.h"
#include "gtest/gtest.h"
#include "test/kubernetes/cluster.h"

namespace weft::test {
namespace {

using apiserver::AccountToken;
using apiserver::Fault;
using grpc::StatusCode;
using istio::v1::auth::IstioCertificateRequest;
using istio::v1::auth::IstioCertificateResponse;
using istio::v1::auth::IstioCertificateService;

constexpr char kReviews[] = "tokenreviews.authentication.k8s.io";
constexpr char kWeb[] = "spiffe://east.weft/ns/default/sa/web";

AccountToken TokenOf(const std::string& account) {
  AccountToken token;
  token.ns = "default";
  token.account = account;
  token.pod = account + "-1";
  token.audiences = {"weft-ca"};
  token.expires = absl::Now() + absl::Hours(1);
  return token;
}

class CertificatesTest : public testing::Test {
 protected:
  void Start(std::vector<std::string> flags = {}, bool own_tokens = true) {
    WeftdOptions options;
    options.registry = cluster_.Registry();
    options.flags = std::move(flags);
    options.own_tokens = own_tokens;
    weftd_ = std::make_unique<Weftd>(std::move(options));
    stub_ = IstioCertificateService::NewStub(grpc::CreateChannel(
        absl::StrCat("127.0.0.1:", weftd_->port()), grpc::InsecureChannelCredentials()));
  }
  StatusCode Ask(const std::string& token, const std::string& identity = kWeb) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    context.set_wait_for_ready(true);
    IstioCertificateRequest request;
    request.set_csr(
        certs::MakeCsr(certs::PrivateKey::Generate(), *certs::SpiffeId::Parse(identity)));
    IstioCertificateResponse response;
    const grpc::Status status = stub_->CreateCertificate(&context, request, &response);
    // Leaf, intermediate, root.
    EXPECT_EQ(response.cert_chain_size(), status.ok() ? 3 : 0) << status.error_message();
    return status.error_code();
  }
  std::string Issue(const AccountToken& token) { return cluster_.server().IssueToken(token); }
  size_t Reviews() {
    const auto all = cluster_.server().requests();
    return static_cast<size_t>(std::count_if(
        all.begin(), all.end(), [](const auto& one) { return one.resource == kReviews; }));
  }
  void AddFault(Fault::Kind kind) {
    Fault fault;
    fault.kind = kind;
    fault.verb = "create";
    fault.resource = kReviews;
    fault.times = -1;
    fault.code = 503;
    fault.delay = absl::Seconds(30);
    cluster_.server().AddFault(fault);
  }

  Cluster cluster_;
  std::unique_ptr<Weftd> weftd_;
  std::unique_ptr<IstioCertificateService::Stub> stub_;
};

TEST_F(CertificatesTest, ByReviewOfTheApiServer) {
  Start();
  const std::string token = Issue(TokenOf("web"));
  EXPECT_EQ(Ask(token), StatusCode::OK);
  EXPECT_EQ(Ask(token), StatusCode::OK);
  EXPECT_EQ(Reviews(), 1u);
}

TEST_F(CertificatesTest, ForATokenThatKubectlCreates) {
  Start();
  cluster_.Out({"create", "serviceaccount", "web"});
  const std::string token = cluster_.Out({"create", "token", "web", "--audience", "weft-ca"});
  EXPECT_EQ(Ask(std::string(absl::StripAsciiWhitespace(token))), StatusCode::OK);
}

TEST_F(CertificatesTest, Row109NotForATokenThatIsNoGood) {
  Start();
  AccountToken other_audience = TokenOf("web");
  other_audience.audiences = {"vault"};
  EXPECT_EQ(Ask(Issue(other_audience)), StatusCode::UNAUTHENTICATED);
  AccountToken no_audience = TokenOf("web");
  no_audience.audiences = {};  // the API server's own, as of a pod's ordinary token
  EXPECT_EQ(Ask(Issue(no_audience)), StatusCode::UNAUTHENTICATED);
  AccountToken expired = TokenOf("web");
  expired.expires = absl::Now() - absl::Seconds(1);
  EXPECT_EQ(Ask(Issue(expired)), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Ask("eyJhbGciOiJSUzI1NiJ9.e30.x"), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Ask("admin"), StatusCode::UNAUTHENTICATED);  // a user's, of the token file
}

TEST_F(CertificatesTest, Row109NotForAnothersName) {
  Start();
  EXPECT_EQ(Ask(Issue(TokenOf("api"))), StatusCode::PERMISSION_DENIED);
  AccountToken elsewhere = TokenOf("web");
  elsewhere.ns = "other";
  EXPECT_EQ(Ask(Issue(elsewhere)), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Ask(Issue(elsewhere), "spiffe://east.weft/ns/other/sa/web"), StatusCode::OK);
}

TEST_F(CertificatesTest, Row95WhileTheApiServerIsAwayAskAgain) {
  Start();
  const std::string token = Issue(TokenOf("web"));
  AddFault(Fault::Kind::kStatus);
  EXPECT_EQ(Ask(token), StatusCode::UNAVAILABLE);
  cluster_.server().ClearFaults();
  EXPECT_EQ(Ask(token), StatusCode::OK);

  const std::string other = Issue(TokenOf("web"));
  cluster_.server().DropConnections();
  EXPECT_EQ(Ask(other), StatusCode::OK);
}

TEST_F(CertificatesTest, ASlowApiServerIsNotWaitedForTooLong) {
  Start();
  AddFault(Fault::Kind::kSlow);
  const absl::Time begun = absl::Now();
  EXPECT_EQ(Ask(Issue(TokenOf("web"))), StatusCode::UNAVAILABLE);
  EXPECT_LT(absl::Now() - begun, absl::Seconds(9));
}

TEST_F(CertificatesTest, TokensOfItsOwnGoOn) {
  Start();
  EXPECT_EQ(Ask(weftd_->Token("default", "web")), StatusCode::OK);
  EXPECT_EQ(Reviews(), 0u);
}

TEST_F(CertificatesTest, TokensOfItsOwnAreOptional) {
  Start({"--token-audience", "istio-ca"}, /*own_tokens=*/false);
  AccountToken token = TokenOf("web");
  EXPECT_EQ(Ask(Issue(token)), StatusCode::UNAUTHENTICATED);
  token.audiences = {"istio-ca"};
  EXPECT_EQ(Ask(Issue(token)), StatusCode::OK);
  EXPECT_EQ(Ask(weftd_->Token("default", "web")), StatusCode::UNAUTHENTICATED);
}

}  // namespace
}  // namespace weft::test
