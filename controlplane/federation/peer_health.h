// How lately a linked cluster was heard, and what that means for traffic. Pure.
//
// A control plane that is dead takes no request from its cluster: as long as a gateway there
// answers probes, its services stay in routing, whatever the age of what is known of them. What
// takes them out is that no gateway answers, or, where there is none to probe (outbound_only), that
// nothing was heard for `expiry`.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_HEALTH_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_HEALTH_H_

#include "absl/time/time.h"

namespace weft {

// Five heartbeats missed.
inline constexpr absl::Duration kPeerSuspectAfter = absl::Seconds(5);
inline constexpr absl::Duration kPeerExpiry = absl::Seconds(30);

enum class PeerHealth { kNever, kFresh, kSuspect, kExpired };

// `heard_ago`: since the last message of its weftd; infinite: never since we started.
constexpr PeerHealth PeerHealthAt(absl::Duration heard_ago, absl::Duration expiry = kPeerExpiry) {
  if (heard_ago == absl::InfiniteDuration()) return PeerHealth::kNever;
  if (heard_ago < kPeerSuspectAfter) return PeerHealth::kFresh;
  return heard_ago < expiry ? PeerHealth::kSuspect : PeerHealth::kExpired;
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_HEALTH_H_
