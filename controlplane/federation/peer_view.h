// PeerView: what is known of one linked cluster, from what it said over all its streams.
//
// A new stream says everything again, or what changed since. Until it has said `synced`, what was
// known before holds, so that no empty set in between ever reaches a proxy; while no stream is up,
// it holds too (how long it counts, PeerHealth says). Stale messages (an older epoch, a sequence
// that is not above the last of any stream) are dropped; one that is missing ends the stream, since
// what it said would never be heard again. What a peer may fill our memory with is bounded. Pure.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_VIEW_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "controlplane/federation/config_view.h"
#include "controlplane/federation/exports.h"
#include "controlplane/federation/peer_feed.h"

namespace weft::peer::v1 {
class PeerMessage;
}  // namespace weft::peer::v1

namespace weft {

// Ten times the largest meshes that are run; further services of a peer are not taken.
inline constexpr size_t kMaxServicesOfPeer = 10000;

// What is known of a peer, and up to which of its revisions; what is kept on disk.
struct PeerKnowledge {
  std::shared_ptr<const PeerExports> exports;  // null for nothing
  KnownState known;
  // As it said last; empty: as configured.
  std::string roots_pem = {};
  std::vector<GatewayAddress> gateways = {};
  std::shared_ptr<const PeerConfigs> configs = {};  // null for none
};

class PeerView {
 public:
  // `known`: what was known of the peer before its configuration changed, or before we started.
  explicit PeerView(Peer configured, PeerKnowledge known = {});

  // What is known now, to be told to the peer; and the messages that follow are of a new stream.
  KnownState StartStream();
  // Whether state() changed. An error means that the peer is not who it should be, or breaks the
  // protocol: the stream is to be closed; what was known stays.
  absl::StatusOr<bool> OnMessage(const peer::v1::PeerMessage& message);

  // The configured peer with what it said of its gateways and roots since, and its exports.
  PeerState state() const;
  PeerKnowledge knowledge() const;
  bool greeted() const { return greeted_; }        // on the present stream
  bool synced() const { return synced_; }          // likewise
  uint64_t heard() const { return heard_count_; }  // messages that were not stale, on all streams
  // SHA-256, in hex, of our bundle that the peer said is in force there; empty before.
  const std::string& acked_bundle() const { return acked_bundle_; }
  // What it says became of the config that we distribute to it.
  std::shared_ptr<const ConfigReports> config_reports() const { return configs_.reports(); }
  size_t refused() const { return refused_; }  // services that were malformed or beyond the quota
  const std::string& last_refusal() const { return last_refusal_; }

 private:
  using Name = ServiceName;
  // What a GroupsChange names by its ids.
  struct Ids {
    Name name;
    std::map<uint32_t, ExportedGroup> groups;
  };

  absl::Status CheckHello(const peer::v1::PeerMessage& message) const;
  absl::StatusOr<bool> Take(const peer::v1::PeerMessage& message);
  absl::Status Start(bool resumed);
  bool Upsert(const peer::v1::PeerMessage& message);
  absl::StatusOr<bool> ChangeGroups(const peer::v1::PeerMessage& message);
  bool Remove(const peer::v1::PeerMessage& message);
  absl::StatusOr<bool> SetGateways(const peer::v1::PeerMessage& message);
  absl::StatusOr<bool> SetBundle(const peer::v1::PeerMessage& message);
  bool Sync();
  bool Changed();  // whether that is to be seen outside
  void Publish() const;
  bool Refuse(std::string why);

  const Peer configured_;
  std::shared_ptr<const Peer> peer_;
  // As last looked at; never null. Once synced, `heard_` is what is known, and this is made of it.
  mutable std::shared_ptr<const PeerExports> exports_;
  mutable bool unpublished_ = false;  // they differ
  KnownState known_;                  // what is known
  PeerExports heard_;                 // on the present stream
  std::map<uint32_t, Ids> ids_;       // likewise
  KnownState told_;                   // what our hello said, likewise
  uint64_t epoch_ = 0;
  uint64_t sequence_ = 0;  // of that epoch, over all its streams
  uint64_t heard_count_ = 0;
  bool greeted_ = false;
  bool started_ = false;
  bool synced_ = false;
  std::string acked_bundle_;
  ConfigView configs_;
  size_t refused_ = 0;
  std::string last_refusal_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_VIEW_H_
