#include "controlplane/ca/ca_service.h"

#include <grpcpp/grpcpp.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "api/istio/ca.grpc.pb.h"

namespace weft {
namespace {

// The token of the one `authorization` header; empty if there is none, or more than one.
std::string BearerToken(const grpc::ServerContext& context) {
  const auto& metadata = context.client_metadata();
  if (metadata.count("authorization") != 1) return "";
  const grpc::string_ref value = metadata.find("authorization")->second;
  absl::string_view text(value.data(), value.size());
  constexpr absl::string_view kScheme = "Bearer ";
  if (!absl::StartsWithIgnoreCase(text, kScheme)) return "";
  text.remove_prefix(kScheme.size());
  return std::string(text);
}

// absl's and gRPC's codes have the same numbers.
grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()),
                      std::string(status.message()));
}

class CaService final : public istio::v1::auth::IstioCertificateService::Service {
 public:
  explicit CaService(std::shared_ptr<const Authority> authority)
      : authority_(std::move(authority)) {}

  grpc::Status CreateCertificate(grpc::ServerContext* context,
                                 const istio::v1::auth::IstioCertificateRequest* request,
                                 istio::v1::auth::IstioCertificateResponse* response) override {
    absl::StatusOr<std::vector<std::string>> chain =
        authority_->CreateCertificate(BearerToken(*context), request->csr(),
                                      absl::Seconds(request->validity_duration()), absl::Now());
    if (!chain.ok()) return ToGrpc(chain.status());
    for (std::string& pem : *chain) response->add_cert_chain(std::move(pem));
    return grpc::Status::OK;
  }

 private:
  const std::shared_ptr<const Authority> authority_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeCaService(std::shared_ptr<const Authority> authority) {
  return std::make_unique<CaService>(std::move(authority));
}

}  // namespace weft
