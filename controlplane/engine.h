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
#include "controlplane/federation/peer_client.h"
#include "controlplane/federation/peer_folder.h"
#include "controlplane/federation/peer_server.h"
#include "controlplane/federation/peer_snapshot.h"
#include "controlplane/model/gateway_api.h"
#include "controlplane/model/registry.h"
#include "controlplane/remote_clusters.h"
#include "controlplane/sources/jwks_fetcher.h"
#include "controlplane/sources/key_set_store.h"
#include "controlplane/sources/kubernetes/kubeconfig.h"
#include "controlplane/sources/source.h"
#include "controlplane/status/status_book.h"
#include "controlplane/translations.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"

namespace weft {

// How often the folder of linked clusters is looked at.
inline constexpr absl::Duration kPeerFolderPoll = absl::Milliseconds(100);
// In the data folder: {"peers": {"west": {"synced": true}}}, for whoever waits for the links.
inline constexpr char kStatusFile[] = "status.json";
// How often what changed of the peers' exports goes to disk: a restart loses at most this.
inline constexpr absl::Duration kSnapshotPeriod = absl::Seconds(1);

struct EngineOptions {
  std::shared_ptr<const ClusterIdentity> self;
  ExportPolicy exports = ExportPolicy::kAll;
  std::vector<std::string> registry_folders;
  std::optional<Kubeconfig> registry_server;  // an API server instead of folders
  absl::Duration registry_silence = absl::Seconds(90);
  // Of other clusters, whose API servers Secrets of ours name.
  absl::Duration remote_expiry = absl::Minutes(5);
  bool allow_remote_exec = false;
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

  Engine(EventLoop& loop, EngineOptions options, Translations& translations, AdsService& ads,
         PeerServer& peer_server, PeerClient::OwnCertificate own_certificate, OnPeers on_peers);
  ~Engine();

  absl::Status Start();

  // All that was in the registry at the start is in a World that discovery serves. Peers do not
  // gate it.
  bool ready() const { return world_ != nullptr; }
  const std::shared_ptr<const World>& world() const { return world_; }
  // By cluster.
  const std::map<std::string, PeerState>& peers() const { return peers_; }
  std::vector<PeerStatus> PeerStatuses() const;
  // Clusters that are read by their API servers; null if our registry is no API server.
  const RemoteClusters* remotes() const { return remotes_.get(); }
  // The same cluster with other roots.
  void SetSelf(std::shared_ptr<const ClusterIdentity> self);
  // Linked clusters in which our present roots are not in force yet.
  std::vector<std::string> PeersWithoutTrust() const;
  // The configured peer whose control plane has this identity, or empty.
  std::string FindPeer(const certs::SpiffeId& identity) const;

 private:
  absl::Status StartSource();
  void StartRemotes();
  std::map<std::string, PeerState> OtherClusters() const;
  void OnSourceUpdate(SourceUpdate update);
  void OnPeerChange(const PeerState& state);
  Task<> WatchPeerFolder();
  void ApplyPeerFolder();
  void WriteStatus();
  std::shared_ptr<const PeerExports> LastKnown(const Peer& peer) const;
  Task<> KeepSnapshots();
  void StartKeySets();
  void FollowKeySets(const World& local);
  void OnKeySet(const std::string& uri, const std::string& jwks);
  bool Rebuild();  // whether there is a new World
  void ReportFindings(StatusBook::Findings findings, const std::vector<Problem>& merged);
  void FollowEndpoints(const World& merged, const std::vector<std::string>& workloads);
  bool SecretsAreRead();
  void FollowSecrets();
  void Publish(World world);
  void PublishOwnState();
  void Report(const std::vector<Problem>& problems);
  void ReportChanged(std::vector<std::string> findings);

  EventLoop& loop_;
  EngineOptions options_;
  Translations& translations_;
  AdsService& ads_;
  PeerServer& peer_server_;
  const PeerClient::OwnCertificate own_certificate_;
  const OnPeers on_peers_;

  Registry registry_;
  GatewayApiMerge gateway_api_;
  bool registry_read_ = false;
  bool synced_ = false;        // and what of Secrets it needs
  bool peers_changed_ = true;  // since the last World
  World local_;                // what the last World was made of, beside the peers
  std::shared_ptr<const World> world_;
  std::map<std::string, PeerState> peers_;
  std::vector<std::string> reported_;  // findings about the World as a whole

  PeerFolder peer_folder_;
  const PeerSnapshots snapshots_;
  std::set<std::string> unsaved_;  // clusters whose exports changed since their snapshot
  std::map<std::string, std::string> reported_files_;
  std::string status_;  // as last written
  const KeySetStore key_set_store_;
  KeySetTexts key_sets_;
  std::unique_ptr<JwksFetcher> jwks_fetcher_;
  std::map<std::string, std::unique_ptr<PeerClient>> clients_;
  Scope tasks_;
  // What a thread of the source posts may arrive after this is gone.
  std::shared_ptr<Engine*> alive_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<RemoteClusters> remotes_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ENGINE_H_
