// PeerSession: one stream between two linked clusters, from our end: what we say next, and what we
// believe of what comes. Pure: messages and times in, messages out; the same code runs over gRPC
// (peer_link.h) and in the simulator (test/simulation).
//
//   PeerSession session(own_epoch, view, /*dialer=*/true, now);
//   for (;;) {
//     send session.Due(own, now);
//     wait for a message, for a new `own`, or until session.NextDue();
//     auto changed = session.OnMessage(message, now);  // an error ends the stream
//   }
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_SESSION_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_SESSION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/federation/config_feed.h"
#include "controlplane/federation/peer_feed.h"
#include "controlplane/federation/peer_view.h"

namespace weft {

// How often each side says that it is there while nothing else is said.
inline constexpr absl::Duration kPeerHeartbeat = absl::Seconds(1);

class PeerSession {
 public:
  // `view` is of the other cluster, outlives the session, and has no other session at a time. `now`
  // is of a clock that is the same for all sessions of the epoch, and later than that of the last.
  PeerSession(uint64_t own_epoch, PeerView& view, bool dialer, absl::Duration now);
  ~PeerSession();

  // All that is to be said now, in order; also a heartbeat if it is time. Changes of services that
  // flap are held back (see PeerFeed). `own` may be null before the first World: nothing is said
  // then. `now` never goes back.
  std::vector<peer::v1::PeerMessage> Due(std::shared_ptr<const OwnState> own, absl::Duration now);
  // When Due() is to be called next, if nothing comes before.
  absl::Duration NextDue() const;
  // Whether what is known of the peer changed (PeerView::state()). An error says why the stream is
  // to be closed.
  absl::StatusOr<bool> OnMessage(const peer::v1::PeerMessage& message, absl::Duration now);

  // The peer's trust bundle that is in force here, by its SHA-256 in hex: with all proxies, not
  // only with us. Told with what is due next.
  void AckBundle(std::string sha256);

  // The config that the peer is to have of us, and what became here of its own. Told with what is
  // due next.
  void TellConfigs(ConfigsToTell configs);

  bool greeted() const;  // the peer said hello, and is who it should be
  bool synced() const;   // all that it exports was heard on this stream
  bool dialer() const;
  absl::Duration last_heard() const;
  // SHA-256, in hex, of our trust bundle that the peer said is in force there; empty before.
  const std::string& acked_bundle() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Which of two streams between the same clusters stays: the one dialed by the cluster whose name is
// first. Both sides come to the same answer.
inline bool StaysWhenTwo(const std::string& own_cluster, const std::string& peer_cluster,
                         bool dialed_by_us) {
  return (own_cluster < peer_cluster) == dialed_by_us;
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_SESSION_H_
