#include "controlplane/ca/ca_service.h"

#include <grpcpp/grpcpp.h>

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
    auto authority = std::make_shared<const Authority>(
        *certs::Issuer::CreateRoot("east", absl::Now()), token_key_, "east");
    GrpcServices services;
    AddCaService(std::move(authority), services);
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

  const std::string token_key_ = certs::NewTokenKey();
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

}  // namespace
}  // namespace weft
