#include "proxy/xds/csr_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "api/istio/ca.pb.h"

namespace weft {
namespace {

constexpr char kPath[] = "/istio.v1.auth.IstioCertificateService/CreateCertificate";

}  // namespace

Task<absl::StatusOr<std::vector<std::string>>> CreateCertificate(GrpcConnection& connection,
                                                                 CertificateRequest request,
                                                                 MonotonicTime deadline) {
  istio::v1::auth::IstioCertificateRequest message;
  message.set_csr(std::move(request.csr));
  message.set_validity_duration(absl::ToInt64Seconds(request.validity));
  GrpcMetadata metadata;
  if (!request.token.empty()) {
    metadata.emplace_back("authorization", absl::StrCat("Bearer ", request.token));
  }
  if (!request.cluster.empty()) metadata.emplace_back("clusterid", request.cluster);
  absl::StatusOr<std::string> answer = co_await UnaryCall(connection, kPath, std::move(metadata),
                                                          message.SerializeAsString(), deadline);
  if (!answer.ok()) {
    co_return absl::Status(answer.status().code(),
                           absl::StrCat("CreateCertificate: ", answer.status().message()));
  }
  istio::v1::auth::IstioCertificateResponse response;
  if (!response.ParseFromString(*answer)) {
    co_return absl::InternalError("CreateCertificate: the answer cannot be read as protobuf");
  }
  if (response.cert_chain_size() == 0) {
    co_return absl::InternalError("CreateCertificate: the answer holds no certificate");
  }
  co_return std::vector<std::string>(response.cert_chain().begin(), response.cert_chain().end());
}

}  // namespace weft
