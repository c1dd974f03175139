// How two clusters are linked over the wire: weft.peer.v1.Links, beside the Watch at the peer API,
// which is reached through the gateway. Belongs to one event loop.
#ifndef WEFT_CONTROLPLANE_FEDERATION_LINK_JOIN_H_
#define WEFT_CONTROLPLANE_FEDERATION_LINK_JOIN_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/federation/links.h"
#include "controlplane/federation/peer_service.h"
#include "controlplane/transport/grpc_port.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft {

// All gateways of the issuer together get as long.
inline constexpr absl::Duration kJoinPatience = absl::Seconds(20);
// Calls at a time: anybody may make one and leave it unfinished, and each may hold a message.
inline constexpr int kMostJoins = 16;

// The issuer's side: Join for whoever has a token, which its connection need not prove anything
// for, and Echo for linked clusters. All must outlive the services' calls.
void AddLinkService(EventLoop& loop, Links& links, FindLink find_link, GrpcServices& services);

// The joiner's side: shows the token to the issuer, which has to prove itself by the roots in it,
// and links us with it; whom we are linked with then. After an error nothing has changed here; the
// same call may be made again.
Task<absl::StatusOr<std::string>> JoinByToken(EventLoop& loop, Links& links, std::string token);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_LINK_JOIN_H_
