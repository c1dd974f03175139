// Weftd: one control plane as a process, from start to crash: the real WorldMaker, PeerViews and
// PeerSessions, and the little around them that is a loop, a socket or a file elsewhere.
#ifndef WEFT_TEST_SIMULATION_WEFTD_H_
#define WEFT_TEST_SIMULATION_WEFTD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "certs/trust_bundle.h"
#include "controlplane/federation/distribution.h"
#include "controlplane/federation/own_state.h"
#include "controlplane/federation/peer_session.h"
#include "controlplane/federation/peer_view.h"
#include "controlplane/world_maker.h"
#include "test/simulation/context.h"
#include "test/simulation/disk.h"
#include "test/simulation/network.h"
#include "test/simulation/pki.h"

namespace weft::simulation {

class Weftd : public std::enable_shared_from_this<Weftd> {
 public:
  struct Setup {
    int cluster = 0;
    std::shared_ptr<const ClusterIdentity> self;
    int signing_root = 0;       // the generation of it
    std::map<int, Peer> peers;  // as configured, by cluster
    std::vector<GatewayAddress> gateways;
  };
  // What it reaches, and who watches it.
  struct Surroundings {
    std::function<absl::Time()> clock;  // may be wrong
    // Ends in OnConnected or OnDialFailed.
    std::function<void(int peer, const std::string& gateway)> dial;
    std::function<void(const std::shared_ptr<const World>&)> publish;
    // After a message was taken. `sent`: when it was said.
    std::function<void(int peer, ConnectionId connection, absl::Duration sent)> heard;
    // Changes what is said to a peer: of a cluster that lies.
    std::function<void(int peer, std::vector<peer::v1::PeerMessage>&)> tamper;
  };

  Weftd(Context& context, Network& network, Disk& disk, Setup setup, Surroundings surroundings);

  void Start();
  // Dies. Silent: the other ends of its connections are not told.
  void Stop(bool silent);

  // Of the registry: first all there is, then changes.
  void OnObjects(const std::vector<ObjectDelta>& deltas);
  void SetGateways(std::vector<GatewayAddress> gateways);
  // From now on its process reaches nothing but its peers, and goes on as if nothing were.
  void CutOff() { cut_off_ = true; }

  const Chain& OwnChain();
  absl::Status AcceptsServer(int peer, const Chain& chain) const;
  // Which peer's control plane a client is.
  absl::StatusOr<int> AcceptsClient(const Chain& chain) const;
  // A peer has dialed. False: there is a stream that stays instead.
  bool OnAccepted(int peer, ConnectionId connection);
  void OnConnected(int peer, ConnectionId connection);
  void OnDialFailed(int peer, const absl::Status& why);

  bool cut_off() const { return cut_off_; }
  bool ready() const { return maker_.world() != nullptr; }
  const World* world() const { return maker_.world().get(); }
  const std::map<int, Peer>& configured() const { return setup_.peers; }
  PeerState StateOf(int peer) const { return links_.at(peer).view->state(); }
  const PeerView& ViewOf(int peer) const { return *links_.at(peer).view; }
  bool Synced(int peer) const;
  // Whether, on the present stream, all was heard that the peer distributes.
  bool ConfigsTold(int peer) const { return links_.at(peer).configs_told; }
  // Whether a crash now would lose nothing of what is known of the peer.
  bool Saved(int peer) const { return links_.at(peer).saved == links_.at(peer).changes; }

 private:
  struct Link {
    std::unique_ptr<PeerView> view;
    std::unique_ptr<PeerSession> session;
    ConnectionId connection = 0;
    bool dialed_by_us = false;
    bool dialing = false;
    absl::Duration next_dial;
    absl::Duration backoff;
    uint64_t next_gateway = 0;
    absl::Duration wake = absl::InfiniteDuration();  // when it is to say something next
    uint64_t changes = 0;                            // of what is known
    uint64_t written = 0;                            // the change that went to disk last
    uint64_t saved = 0;                              // and is safe there
    std::shared_ptr<const ConfigReports> reports;    // of what the peer distributes
    bool configs_told = false;
    // Where defences are off.
    uint64_t fake_sequence = 0;
    std::string foreign_roots;
  };

  absl::Duration now() const { return context_.time.now(); }
  bool DialsFirst(int peer) const;
  void LoadEpoch();
  void LoadSnapshot(int peer, Link& link);
  void LoadDistribution();
  void KeepSnapshots();
  void SyncDisk();
  void Tick();
  void Distribute();
  void TellConfigs(int peer, Link& link);
  void Dial(int peer, Link& link);
  void Begin(int peer, ConnectionId connection, bool dialed_by_us);
  void End(int peer, const std::string& why);
  void Speak(int peer);
  void OnMessage(int peer, ConnectionId connection, peer::v1::PeerMessage message,
                 absl::Duration sent);
  // False: the message is not for the session.
  bool WithoutDefences(int peer, Link& link, peer::v1::PeerMessage& message);
  PeerState BelievedOf(int peer) const;
  // Together with whatever else comes at the same time, as in one turn of a loop.
  void OnPeersChanged();
  void TakePeers();
  void Rebuild();
  void PublishOwn();

  Context& context_;
  Network& network_;
  Disk& disk_;
  const Setup setup_;
  Surroundings surroundings_;
  bool running_ = false;
  bool cut_off_ = false;
  uint64_t epoch_ = 0;
  WorldMaker maker_;
  bool registry_read_ = false;
  bool peers_changed_ = false;
  std::vector<GatewayAddress> gateways_;
  OwnHistory history_;
  std::optional<Distribution> distribution_;
  uint64_t records_written_ = 0;  // of it
  std::shared_ptr<const OwnState> own_;
  std::map<int, Link> links_;
  certs::TrustBundles bundles_;
  std::string all_roots_;
  Chain chain_;
  absl::Time chain_made_ = absl::InfinitePast();
};

std::string NameOf(int cluster);  // "c3"

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_WEFTD_H_
