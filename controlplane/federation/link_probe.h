// What a link carries, hop by hop: for `weftctl link test`. Belongs to one event loop.
#ifndef WEFT_CONTROLPLANE_FEDERATION_LINK_PROBE_H_
#define WEFT_CONTROLPLANE_FEDERATION_LINK_PROBE_H_

#include "absl/time/time.h"
#include "api/weft/admin.pb.h"
#include "controlplane/model/world.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"
#include "proxy/tls/tls_context.h"

namespace weft {

// Of one hop. A gateway that is slower than this is of no use.
inline constexpr absl::Duration kHopPatience = absl::Seconds(5);
// What the last hop moves, each way.
inline constexpr size_t kProbeBytes = 1 << 20;

// Through each gateway, one after the other: TCP, TLS with the weftd behind it, a round trip, a
// mebibyte there and back; and whether the port for tunnels takes connections. What comes after a
// hop that failed is left out. `own` is shown to the peer's weftd.
Task<admin::v1::TestResponse> ProbeLink(EventLoop& loop, Peer peer, TlsCertificate own);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_LINK_PROBE_H_
