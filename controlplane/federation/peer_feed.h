// PeerFeed: what to say next on one stream to a peer, so that it knows what this cluster exports.
//
// Everything first, or what changed since what the peer still knows; then `synced`, then
// differences. How many pods of a group are ready is said in a few bytes. A service that flaps is
// told the first few times at once and then once a second; how it ended is always told. Pure;
// belongs to one stream.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_FEED_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_FEED_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "controlplane/federation/exports.h"
#include "controlplane/federation/own_state.h"

namespace weft::peer::v1 {
class PeerMessage;
}  // namespace weft::peer::v1

namespace weft {

// Of what a stream's listener said that it knows of us; zero: nothing.
struct KnownState {
  uint64_t epoch = 0;
  uint64_t revision = 0;

  friend bool operator==(const KnownState&, const KnownState&) = default;
};

class PeerFeed {
 public:
  // Changes of one service that are told at once; from then on it is one a second.
  static constexpr int kBurst = 5;
  static constexpr absl::Duration kDampedPeriod = absl::Seconds(1);

  // `epoch` rises with each start of the control plane. Messages are numbered from `after` + 1 on,
  // which is to be above all that earlier streams of the epoch said.
  explicit PeerFeed(uint64_t epoch, uint64_t after = 0);
  ~PeerFeed();

  // Brings the peer from what it was told to `own`; nothing to say, no messages. `known` counts the
  // first time. `now` is any clock that does not go back.
  std::vector<peer::v1::PeerMessage> Next(std::shared_ptr<const OwnState> own, KnownState known,
                                          absl::Duration now);
  // When Next() has something to say although nothing has changed; infinite: never.
  absl::Duration NextDue() const;
  // An empty message with what every message has, to be filled in and sent next.
  peer::v1::PeerMessage Message();

 private:
  using Name = ServiceName;
  using Messages = std::vector<peer::v1::PeerMessage>;
  // What the peer was told of one service on this stream.
  struct Told {
    std::optional<ExportedService> service;  // nothing: that it went
    uint32_t id = 0;
    std::map<ExportedGroup, uint32_t> groups;  // their ids; the keys' own counts are 0
    double allowance = kBurst;
    absl::Duration counted;  // when
  };

  void Begin(KnownState known, absl::Duration now, Messages& messages);
  void TellSelf(const OwnState* before, Messages& messages);
  void TellService(const Name& name, absl::Duration now, Messages& messages);
  void TellInFull(const ExportedService& service, Told& told, Messages& messages);
  bool TellCounts(const ExportedService& service, Told& told, Messages& messages);
  static bool Spend(Told& told, absl::Duration now);

  const uint64_t epoch_;
  uint64_t sequence_;
  uint64_t revision_ = 0;  // all up to it was told
  uint32_t next_id_ = 1;
  std::shared_ptr<const OwnState> own_;  // as last given; null before the first
  std::map<Name, Told> told_;
  std::set<Name> held_back_;
  absl::Duration due_ = absl::InfiniteDuration();  // of those
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_FEED_H_
