#include "controlplane/ca/ca_service.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "api/istio/ca.pb.h"

namespace weft {
namespace {

using istio::v1::auth::IstioCertificateRequest;
using istio::v1::auth::IstioCertificateResponse;

// The token of the one `authorization` header; empty if there is none, or more than one.
std::string BearerToken(const GrpcCall& call) {
  const std::string text = call.Metadata("authorization");
  constexpr absl::string_view kScheme = "Bearer ";
  return absl::StartsWithIgnoreCase(text, kScheme) ? text.substr(kScheme.size()) : "";
}

Task<absl::Status> CreateCertificate(GrpcCall& call, const CurrentAuthority& authority,
                                     const Authenticator& authenticator) {
  std::string message;
  const GrpcCall::Event event = co_await call.Receive(&message);
  if (event == GrpcCall::Event::kEnd) co_return absl::InvalidArgumentError("no request");
  IstioCertificateRequest request;
  if (!request.ParseFromString(message)) {
    co_return absl::InvalidArgumentError("not an IstioCertificateRequest");
  }
  const absl::StatusOr<Caller> caller = co_await authenticator.Authenticate(
      BearerToken(call), call.Metadata("clusterid"), absl::Now());
  if (!caller.ok()) co_return caller.status();
  absl::StatusOr<std::vector<std::string>> chain = authority()->CreateCertificate(
      *caller, request.csr(), absl::Seconds(request.validity_duration()), absl::Now());
  if (!chain.ok()) co_return chain.status();
  IstioCertificateResponse response;
  for (std::string& pem : *chain) response.add_cert_chain(std::move(pem));
  call.Send(response.SerializeAsString());
  co_return absl::OkStatus();
}

}  // namespace

void AddCaService(CurrentAuthority authority, const Authenticator& authenticator,
                  GrpcServices& services) {
  services["/istio.v1.auth.IstioCertificateService/CreateCertificate"] =
      [authority = std::move(authority), &authenticator](GrpcCall& call) {
        return CreateCertificate(call, authority, authenticator);
      };
}

}  // namespace weft
