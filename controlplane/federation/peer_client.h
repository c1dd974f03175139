// PeerClient: keeps a Watch towards one linked cluster, and tells its owner what it knows.
//
// Dials the peer's gateway (whichever answers), TLS with the peer's control plane end to end: the
// gateway passes by the server name. Reconnects with jittered backoff. What is known holds while
// the peer is away (see PeerView). All on one event loop; gRPC's threads only carry messages.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_CLIENT_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "controlplane/federation/exports.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/tls/tls_context.h"

namespace weft {

inline constexpr absl::Duration kPeerBackoffFirst = absl::Milliseconds(100);
inline constexpr absl::Duration kPeerBackoffMost = absl::Seconds(2);
inline constexpr absl::Duration kPeerDialTimeout = absl::Seconds(5);
// Five heartbeats missed: the connection is taken for dead and dialed anew.
inline constexpr absl::Duration kPeerSilence = absl::Seconds(5);

// "peer.west.weft": the name by which a gateway knows its own cluster's peer API.
std::string PeerServerName(const std::string& cluster);

struct PeerStatus {
  std::string cluster;
  bool connected = false;
  bool synced = false;  // on the present connection
  size_t services = 0;
  size_t refused = 0;
  std::string last_error;
};

class PeerClient {
 public:
  // On the loop's thread, whenever what is known has changed, and when a stream is synced.
  using OnChange = std::function<void(const PeerState&)>;
  // Our certificate, asked for at each dial since it is renewed.
  using OwnCertificate = std::function<TlsCertificate()>;

  // `known`: as for PeerView.
  PeerClient(EventLoop& loop, std::shared_ptr<const ClusterIdentity> self, Peer peer,
             std::shared_ptr<const PeerExports> known, OwnCertificate own_certificate,
             OnChange on_change);
  // Ends the connection; no call comes after.
  ~PeerClient();

  const Peer& configured() const;
  PeerState state() const;
  PeerStatus status() const;

 private:
  struct Link;
  std::unique_ptr<Link> link_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_CLIENT_H_
