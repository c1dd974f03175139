// The Authority over gRPC: istio.v1.auth.IstioCertificateService/CreateCertificate, as Istio's
// agents speak it. The workload token comes as `authorization: Bearer TOKEN`. Runs on gRPC's
// threads; the Authority is immutable.
#ifndef WEFT_CONTROLPLANE_CA_CA_SERVICE_H_
#define WEFT_CONTROLPLANE_CA_CA_SERVICE_H_

#include <memory>

#include "controlplane/ca/authority.h"

namespace grpc {
class Service;
}

namespace weft {

// For grpc::ServerBuilder::RegisterService; has to outlive that server.
std::unique_ptr<grpc::Service> MakeCaService(std::shared_ptr<const Authority> authority);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CA_CA_SERVICE_H_
