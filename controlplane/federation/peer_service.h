// The peer API at our server: weft.peer.v1.Peer/Watch, for the control planes of linked clusters,
// by the identity that their connection proved, and for nobody else.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_SERVICE_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_SERVICE_H_

#include <functional>

#include "certs/spiffe_id.h"
#include "controlplane/federation/peer_link.h"
#include "controlplane/transport/grpc_port.h"

namespace weft {

// The link whose control plane has this identity, or null.
using FindLink = std::function<PeerLink*(const certs::SpiffeId& identity)>;

void AddPeerService(FindLink find_link, GrpcServices& services);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_SERVICE_H_
