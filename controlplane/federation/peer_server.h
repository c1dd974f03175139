// PeerServer: the gRPC edge that tells linked clusters what this one exports.
//
// A stream is served only to a configured peer's control plane, by the identity its connection
// proved. Belongs to one event loop.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_SERVER_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "certs/spiffe_id.h"
#include "controlplane/federation/peer_feed.h"
#include "controlplane/transport/grpc_port.h"
#include "proxy/runtime/event_loop.h"

namespace weft {

// How often each side says that it is there while nothing else is said.
inline constexpr absl::Duration kPeerHeartbeat = absl::Seconds(1);
// A larger message of a peer breaks the stream. One service at its limits is well below.
inline constexpr int kMaxPeerMessage = 4 << 20;

// The identity of the control plane of a trust domain: spiffe://TD/ns/weft-system/sa/weftd.
certs::SpiffeId ControlPlaneId(const std::string& trust_domain);

class PeerServer {
 public:
  // `cluster` of the configured peer whose control plane has this identity, or empty.
  using FindPeer = std::function<std::string(const certs::SpiffeId& identity)>;

  // Everything given must outlive the server, and the server the ports that serve it.
  PeerServer(EventLoop& loop, uint64_t epoch, FindPeer find_peer);
  ~PeerServer();

  void AddTo(GrpcServices& services);
  // What is true of this cluster from now on.
  void Publish(std::shared_ptr<const OwnState> own);

 private:
  class Stream;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_SERVER_H_
