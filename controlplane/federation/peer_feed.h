// PeerFeed: what to say next on one stream to a peer, so that it knows what this cluster exports.
//
// Everything first, then `synced`, then differences. Pure; belongs to one stream.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_FEED_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_FEED_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/federation/exports.h"

namespace weft::peer::v1 {
class WatchResponse;
}  // namespace weft::peer::v1

namespace weft {

// What a cluster says of itself. Immutable, shared by all streams.
struct OwnState {
  std::shared_ptr<const ClusterIdentity> self;
  std::vector<GatewayAddress> gateways;  // as peers reach them
  PeerExports exports;
};

class PeerFeed {
 public:
  // `epoch` rises with each start of the control plane.
  explicit PeerFeed(uint64_t epoch);
  ~PeerFeed();

  // Brings the peer from what it was told to `own`; nothing to say, no messages.
  std::vector<peer::v1::WatchResponse> Next(std::shared_ptr<const OwnState> own);
  peer::v1::WatchResponse Heartbeat();

 private:
  peer::v1::WatchResponse Message();

  const uint64_t epoch_;
  uint64_t sequence_ = 0;
  std::shared_ptr<const OwnState> told_;  // null before the first
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_FEED_H_
