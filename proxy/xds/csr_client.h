// CreateCertificate: has a certificate issued by the control plane's CA for a request of ours, by
// the protocol Istio's agents use (istio.v1.auth.IstioCertificateService).
#ifndef WEFT_PROXY_XDS_CSR_CLIENT_H_
#define WEFT_PROXY_XDS_CSR_CLIENT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proxy/grpc/grpc_client.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft {

struct CertificateRequest {
  std::string csr;  // PEM
  absl::Duration validity = absl::Hours(24);
  std::string token;  // says who asks; sent as a bearer token, so only over a connection to trust
  std::string cluster = {};  // whose API server knows the token; empty: the CA's own
};

// The chain as PEM, leaf first, the root last. Errors are the CA's, by their gRPC code.
Task<absl::StatusOr<std::vector<std::string>>> CreateCertificate(GrpcConnection& connection,
                                                                 CertificateRequest request,
                                                                 MonotonicTime deadline);

}  // namespace weft

#endif  // WEFT_PROXY_XDS_CSR_CLIENT_H_
