// The Authority over gRPC: istio.v1.auth.IstioCertificateService/CreateCertificate, as Istio's
// agents speak it. The workload token comes as `authorization: Bearer TOKEN`, the name of the
// cluster whose token it is as `clusterid` (ours unless stated); Unavailable says that nothing
// could be said of it, so that asking again is of use.
#ifndef WEFT_CONTROLPLANE_CA_CA_SERVICE_H_
#define WEFT_CONTROLPLANE_CA_CA_SERVICE_H_

#include <functional>
#include <memory>

#include "controlplane/ca/authenticator.h"
#include "controlplane/ca/authority.h"
#include "controlplane/transport/grpc_port.h"

namespace weft {

// Who signs now: another one after a rotation.
using CurrentAuthority = std::function<std::shared_ptr<const Authority>()>;

// `authenticator` must outlive the services' calls.
void AddCaService(CurrentAuthority authority, const Authenticator& authenticator,
                  GrpcServices& services);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CA_CA_SERVICE_H_
