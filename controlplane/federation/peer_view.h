// PeerView: what is known of one linked cluster, from what it said over all its streams.
//
// A new stream says everything again. Until it has said `synced`, what was known before holds, so
// that no empty set in between ever reaches a proxy; while no stream is up, it holds too (bounding
// its age is to be decided by the age of last_heard(), which the owner keeps). Stale messages (an
// older epoch, a sequence that is not above the last) are dropped. What a peer may fill our memory
// with is bounded. Pure.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_VIEW_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "controlplane/federation/exports.h"

namespace weft::peer::v1 {
class WatchResponse;
}  // namespace weft::peer::v1

namespace weft {

// Ten times the largest meshes that are run; further services of a peer are not taken.
inline constexpr size_t kMaxServicesOfPeer = 10000;

class PeerView {
 public:
  // `known`: what was known of the peer before its configuration changed; null for nothing.
  explicit PeerView(Peer configured, std::shared_ptr<const PeerExports> known = nullptr);

  void StartStream();
  // Whether state() changed. An error means that the peer is not who it should be, or breaks the
  // protocol: the stream is to be closed; what was known stays.
  absl::StatusOr<bool> OnMessage(const peer::v1::WatchResponse& message);

  // The configured peer with what it said of its gateways and roots since, and its exports.
  PeerState state() const;
  bool synced() const { return synced_; }      // on the present stream
  size_t refused() const { return refused_; }  // services that were malformed or beyond the quota
  const std::string& last_refusal() const { return last_refusal_; }

 private:
  absl::Status CheckHello(const peer::v1::WatchResponse& message) const;
  bool Upsert(const peer::v1::WatchResponse& message);
  bool Remove(const peer::v1::WatchResponse& message);
  absl::StatusOr<bool> SetGateways(const peer::v1::WatchResponse& message);
  absl::StatusOr<bool> SetBundle(const peer::v1::WatchResponse& message);
  bool Sync();
  bool Publish();
  bool Refuse(std::string why);

  const Peer configured_;
  std::shared_ptr<const Peer> peer_;
  std::shared_ptr<const PeerExports> exports_;  // published; never null
  PeerExports heard_;                           // on the present stream
  uint64_t epoch_ = 0;
  uint64_t sequence_ = 0;
  bool greeted_ = false;
  bool synced_ = false;
  size_t refused_ = 0;
  std::string last_refusal_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_VIEW_H_
