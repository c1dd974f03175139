// Engine: the one thread that turns what happens into Worlds.
//
// Sources emit deltas, peers say what they export; each change is applied, merged into a new World,
// and given to discovery and to the peers, within the turn of the loop that brought it. Problems
// are logged when they appear; what is broken keeps its last good state.
//
// Everything belongs to the loop's thread, construction and destruction included.
#ifndef WEFT_CONTROLPLANE_ENGINE_H_
#define WEFT_CONTROLPLANE_ENGINE_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "controlplane/ads/ads_service.h"
#include "controlplane/config_distribution.h"
#include "controlplane/federation/own_state.h"
#include "controlplane/federation/peer_folder.h"
#include "controlplane/federation/peer_link.h"
#include "controlplane/federation/peer_snapshot.h"
#include "controlplane/remote_clusters.h"
#include "controlplane/sources/jwks_fetcher.h"
#include "controlplane/sources/key_set_store.h"
#include "controlplane/sources/kubernetes/kubeconfig.h"
#include "controlplane/sources/source.h"
#include "controlplane/status/link_report.h"
#include "controlplane/status/status_book.h"
#include "controlplane/translations.h"
#include "controlplane/world_maker.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"

namespace weft {

// How often the folder of linked clusters is looked at.
inline constexpr absl::Duration kPeerFolderPoll = absl::Milliseconds(100);
// In the data folder: {"peers": {"west": {"synced": true}}}, for whoever waits for the links.
inline constexpr char kStatusFile[] = "status.json";
// How often what changed of the peers' exports goes to disk, after the first time: a restart loses
// at most this.
inline constexpr absl::Duration kSnapshotPeriod = absl::Seconds(1);

struct EngineOptions {
  std::shared_ptr<const ClusterIdentity> self;
  ExportPolicy exports = ExportPolicy::kNone;
  std::vector<std::string> registry_folders;
  std::optional<Kubeconfig> registry_server;  // an API server instead of folders
  absl::Duration registry_silence = absl::Seconds(90);
  // Of other clusters, whose API servers Secrets of ours name.
  absl::Duration remote_expiry = absl::Minutes(5);
  bool allow_remote_exec = false;
  std::string token_audience;  // of their workloads' tokens
  // Of what was heard of a peer that has no gateway to be asked.
  absl::Duration peer_expiry = kPeerExpiry;
  uint64_t epoch = 0;        // rises with each start
  std::string peers_folder;  // empty: no peers
  // For what was last known of the peers, the key sets last fetched, and the status file.
  std::string data_folder;
  std::vector<GatewayAddress> gateways;
  StatusBook* status = nullptr;  // is told of objects and what was found in them; or nobody is
};

class Engine {
 public:
  // The linked clusters or what is trusted of them changed.
  using OnPeers = std::function<void(const std::map<std::string, PeerState>&)>;

  // The certificate that peers are shown; it is renewed.
  using OwnCertificate = std::function<TlsCertificate()>;

  Engine(EventLoop& loop, EngineOptions options, Translations& translations, AdsService& ads,
         OwnCertificate own_certificate, OnPeers on_peers);
  ~Engine();

  absl::Status Start();

  // Reads the folder of linked clusters now, rather than when it is looked at next.
  void ReadPeerFolder();
  // Each object of kind Link with what came of it.
  std::vector<LinkReport> LinkReports() const;
  // The Secrets with tokens by which clusters are still to be joined, as such objects name them.
  std::map<std::string, std::string> AwaitedJoins() const;

  // Tells our proxies and our peers at once whether this cluster is being drained.
  void SetDraining(bool draining);

  // All that was in the registry at the start is in a World that discovery serves. Peers do not
  // gate it.
  bool ready() const { return maker_.world() != nullptr; }
  const std::shared_ptr<const World>& world() const { return maker_.world(); }
  // By cluster.
  const std::map<std::string, PeerState>& peers() const { return peers_; }
  std::vector<PeerStatus> PeerStatuses() const;
  // Clusters that are read by their API servers; null if our registry is no API server.
  RemoteClusters* remotes() const { return remotes_.get(); }
  // Our CA is trusted by other roots from now on.
  void SetRoots(const std::string& roots_pem);
  // Linked clusters in which our present roots are not in force yet.
  std::vector<std::string> PeersWithoutTrust() const;
  // The peers' roots that we know are in force with all our proxies.
  void AckPeerTrust();
  // The link whose control plane has this identity, or null.
  PeerLink* FindLink(const certs::SpiffeId& identity) const;
  const ConfigDistribution& distribution() const { return distribution_; }
  // What proxies refuse at present.
  std::vector<ProxyRefusal> Refusals() const;

 private:
  absl::Status StartSource();
  void StartRemotes();
  std::map<std::string, PeerState> OtherClusters() const;
  void OnSourceUpdate(SourceUpdate update);
  void OnPeerChange(const PeerState& state);
  Task<> WatchPeerFolder();
  void TellPeerFiles();
  void KeepLinkStatuses(const std::vector<ObjectDelta>& deltas);
  void FollowLinkObjects();
  // Whom we are to be linked with, by files and objects.
  std::map<std::string, Peer> Configured() const;
  void ApplyLinks();
  void SetLink(const Peer& peer);
  void WriteStatus();
  PeerKnowledge LastKnown(const Peer& peer) const;
  PeerKnowledge LastTold(const Peer& peer) const;
  Task<> KeepSnapshots();
  void SaveSnapshot(const std::string& cluster);
  void StartKeySets();
  void FollowKeySets(const World& local);
  void OnKeySet(const std::string& uri, const std::string& jwks);
  bool Rebuild();  // whether there is a new World
  void ReportFindings(StatusBook::Findings findings, const std::vector<Problem>& merged);
  void FollowWorkloads(const std::vector<std::string>& workloads);
  bool SecretsAreRead();
  void FollowSecrets();
  void PublishOwnState();
  void Report(const std::vector<Problem>& problems);
  void ReportChanged(std::vector<std::string> findings);
  Task<> Distribute();

  EventLoop& loop_;
  const EngineOptions options_;
  Translations& translations_;
  AdsService& ads_;
  const OwnCertificate own_certificate_;
  const OnPeers on_peers_;

  std::shared_ptr<const ClusterIdentity> self_;
  WorldMaker maker_;
  bool registry_read_ = false;
  bool synced_ = false;  // and what of Secrets it needs
  std::map<std::string, PeerState> peers_;
  OwnHistory own_history_;
  std::vector<std::string> reported_;  // findings about the World as a whole

  PeerFolder peer_folder_;
  Configs<v1alpha1::LinkSpec> link_objects_;                               // as applied
  std::map<std::string, std::shared_ptr<const RawObject>> link_statuses_;  // the same, with status
  const PeerSnapshots snapshots_;
  std::set<std::string> unsaved_;  // clusters of which more is known than their snapshot has
  Signal unsaved_changed_;
  std::map<std::string, std::string> reported_files_;
  std::string status_;  // as last written
  const KeySetStore key_set_store_;
  KeySetTexts key_sets_;
  std::unique_ptr<JwksFetcher> jwks_fetcher_;
  std::map<std::string, std::unique_ptr<PeerLink>> links_;
  ConfigDistribution distribution_;
  Scope tasks_;
  // What a thread of the source posts may arrive after this is gone.
  std::shared_ptr<Engine*> alive_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<RemoteClusters> remotes_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ENGINE_H_
