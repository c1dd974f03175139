// The Authority over gRPC: istio.v1.auth.IstioCertificateService/CreateCertificate, as Istio's
// agents speak it. The workload token comes as `authorization: Bearer TOKEN`.
#ifndef WEFT_CONTROLPLANE_CA_CA_SERVICE_H_
#define WEFT_CONTROLPLANE_CA_CA_SERVICE_H_

#include <memory>

#include "controlplane/ca/authority.h"
#include "controlplane/transport/grpc_port.h"

namespace weft {

void AddCaService(std::shared_ptr<const Authority> authority, GrpcServices& services);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CA_CA_SERVICE_H_
