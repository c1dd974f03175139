// Connections to a linked cluster's gateways: TCP, then TLS 1.3 with who stands behind the port.
// Belongs to one event loop.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_DIAL_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_DIAL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "certs/spiffe_id.h"
#include "controlplane/model/world.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"
#include "proxy/tls/tls_context.h"
#include "proxy/tls/tls_stream.h"

namespace weft {

// A larger message of a peer breaks the stream. One service at its limits is well below.
inline constexpr int kMaxPeerMessage = 4 << 20;

// To be believed: `server`, by the roots of `peer` and of no other cluster. The server name is that
// of the peer's weftd. Without `own`, no certificate is shown.
absl::StatusOr<std::shared_ptr<const ClientTlsContext>> PeerTlsContext(
    const Peer& peer, const certs::SpiffeId& server, TlsCertificate own);

// Through the gateway to what `context` believes. Errors name the address and the step.
Task<absl::StatusOr<std::unique_ptr<TlsStream>>> DialPeer(
    EventLoop& loop, Address address, std::shared_ptr<const ClientTlsContext> context,
    MonotonicTime deadline);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_DIAL_H_
