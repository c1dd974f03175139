#include "controlplane/ca/ca_service.h"

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/istio/ca.grpc.pb.h"
#include "certs/csr.h"
#include "certs/token.h"
#include "controlplane/transport/grpc_server_for_test.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using istio::v1::auth::IstioCertificateRequest;
using istio::v1::auth::IstioCertificateResponse;
using istio::v1::auth::IstioCertificateService;

class CaServiceTest : public testing::Test {
 protected:
  CaServiceTest() {
    auto authority =
        std::make_shared<const Authority>(*certs::Issuer::CreateRoot("east", absl::Now()));
    GrpcServices services;
    AddCaService([authority] { return authority; }, authenticator_, services);
    server_ = std::make_unique<GrpcServerForTest>(std::move(services));
    stub_ = IstioCertificateService::NewStub(
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  }

  grpc::Status Call(const std::vector<std::string>& authorizations,
                    IstioCertificateResponse* response) {
    grpc::ClientContext context;
    for (const std::string& value : authorizations) context.AddMetadata("authorization", value);
    IstioCertificateRequest request;
    request.set_csr(certs::MakeCsr(certs::PrivateKey::Generate(),
                                   *certs::SpiffeId::Parse("spiffe://east/ns/default/sa/web")));
    request.set_validity_duration(3600);
    return stub_->CreateCertificate(&context, request, response);
  }

  std::string Token() {
    certs::TokenClaims claims;
    claims.namespace_ = "default";
    claims.service_account = "web";
    claims.expiry = absl::Now() + absl::Hours(1);
    return *certs::SignToken(token_key_, claims);
  }

  // As an API server that knows one token, does not know others, and is away for some.
  static Task<absl::StatusOr<Caller>> Review(std::string token) {
    if (token == "of.web.x") co_return Caller{"default", "web", "web-1"};
    if (token == "of.other.x") co_return Caller{"default", "other", "other-1"};
    if (token == "slow") co_return absl::UnavailableError("away");
    co_return absl::UnauthenticatedError("unknown");
  }

  const std::string token_key_ = certs::NewTokenKey();
  const Authenticator authenticator_{token_key_, "east", Review};
  std::unique_ptr<GrpcServerForTest> server_;
  std::unique_ptr<IstioCertificateService::Stub> stub_;
};

TEST_F(CaServiceTest, AnswersABearerToken) {
  IstioCertificateResponse response;
  const grpc::Status status = Call({"Bearer " + Token()}, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.cert_chain_size(), 2);
}

TEST_F(CaServiceTest, RefusesMissingForeignOrRepeatedAuthorization) {
  const std::string good = "Bearer " + Token();
  const std::vector<std::vector<std::string>> refused = {
      {}, {"Basic " + Token()}, {Token()}, {"Bearer x"}, {good, good}};
  for (const std::vector<std::string>& authorizations : refused) {
    IstioCertificateResponse response;
    EXPECT_EQ(Call(authorizations, &response).error_code(), grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(response.cert_chain_size(), 0);
  }
}

TEST_F(CaServiceTest, AnswersWhomTheApiServerKnows) {
  const std::pair<const char*, grpc::StatusCode> cases[] = {
      {"of.web.x", grpc::StatusCode::OK},
      {"of.other.x", grpc::StatusCode::PERMISSION_DENIED},
      {"unknown", grpc::StatusCode::UNAUTHENTICATED},
      {"slow", grpc::StatusCode::UNAVAILABLE},
  };
  for (const auto& [token, code] : cases) {
    IstioCertificateResponse response;
    EXPECT_EQ(Call({absl::StrCat("Bearer ", token)}, &response).error_code(), code) << token;
    EXPECT_EQ(response.cert_chain_size(), code == grpc::StatusCode::OK ? 2 : 0);
  }
}

}  // namespace
}  // namespace weft
