#include "controlplane/engine.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "certs/file.h"
#include "controlplane/federation/exports.h"
#include "controlplane/federation/merge.h"
#include "controlplane/model/references.h"
#include "controlplane/model/world_change.h"
#include "controlplane/sources/directory.h"
#include "controlplane/sources/kubernetes/source.h"
#include "controlplane/translate/check_gateways.h"
#include "controlplane/translate/check_hosts.h"
#include "controlplane/translate/check_policies.h"
#include "controlplane/translate/check_telemetry.h"
#include "controlplane/translate/key_set_uris.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

LogLevel LevelOf(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return LogLevel::kInfo;
    case Severity::kWarning:
      return LogLevel::kWarning;
    case Severity::kError:
      return LogLevel::kError;
  }
  return LogLevel::kError;
}

}  // namespace

Engine::Engine(EventLoop& loop, EngineOptions options, Translations& translations, AdsService& ads,
               PeerServer& peer_server, PeerClient::OwnCertificate own_certificate,
               OnPeers on_peers)
    : loop_(loop),
      options_(std::move(options)),
      translations_(translations),
      ads_(ads),
      peer_server_(peer_server),
      own_certificate_(std::move(own_certificate)),
      on_peers_(std::move(on_peers)),
      registry_(options_.self, options_.exports),
      peer_folder_(options_.peers_folder, options_.self->cluster),
      snapshots_(absl::StrCat(options_.data_folder, "/peers")),
      key_set_store_(options_.data_folder),
      alive_(std::make_shared<Engine*>(this)) {}

Engine::~Engine() = default;

absl::Status Engine::Start() {
  StartKeySets();
  if (!options_.peers_folder.empty()) {
    peer_folder_.Poll();
    ApplyPeerFolder();
    tasks_.Spawn(WatchPeerFolder());
    tasks_.Spawn(KeepSnapshots());
  }
  return StartSource();
}

absl::Status Engine::StartSource() {
  if (options_.registry_server.has_value()) {
    KubernetesSource::Options of_source;
    of_source.watch_silence = options_.registry_silence;
    source_ = std::make_unique<KubernetesSource>(
        loop_, *options_.registry_server, std::move(of_source),
        [this](SourceUpdate update) { OnSourceUpdate(std::move(update)); });
    StartRemotes();
    return absl::OkStatus();
  }
  std::weak_ptr<Engine*> weak = alive_;
  EventLoop* loop = &loop_;
  auto source =
      DirectorySource::Start(options_.registry_folders, [loop, weak](SourceUpdate update) {
        auto shared = std::make_shared<SourceUpdate>(std::move(update));
        loop->Post([weak, shared] {
          auto engine = weak.lock();
          if (engine != nullptr) (*engine)->OnSourceUpdate(std::move(*shared));
        });
      });
  if (!source.ok()) return source.status();
  source_ = *std::move(source);
  return absl::OkStatus();
}

void Engine::StartRemotes() {
  RemoteClustersOptions options;
  options.self = options_.self;
  options.server = *options_.registry_server;
  options.silence = options_.registry_silence;
  options.expiry = options_.remote_expiry;
  options.allow_local_access = options_.allow_remote_exec;
  remotes_ = std::make_unique<RemoteClusters>(loop_, std::move(options), [this] {
    peers_changed_ = true;
    Rebuild();
  });
}

// A linked cluster speaks for itself, whatever a Secret says.
std::map<std::string, PeerState> Engine::OtherClusters() const {
  std::map<std::string, PeerState> others = peers_;
  if (remotes_ != nullptr) others.insert(remotes_->states().begin(), remotes_->states().end());
  return others;
}

void Engine::SetSelf(std::shared_ptr<const ClusterIdentity> self) {
  options_.self = self;
  registry_.SetSelf(std::move(self));
  Rebuild();
}

std::vector<std::string> Engine::PeersWithoutTrust() const { return {}; }

void Engine::OnSourceUpdate(SourceUpdate update) {
  std::vector<Problem> problems = registry_.Apply(update.deltas);
  problems.insert(problems.end(), update.problems.begin(), update.problems.end());
  Report(problems);
  if (options_.status != nullptr) options_.status->OnObjects(update.deltas, problems);
  registry_read_ |= update.first;
  if (!registry_read_) return;  // a part of what was there at the start
  const bool first = !synced_;
  if (first && !SecretsAreRead()) return;
  synced_ = true;
  const bool changed = Rebuild();
  if (!changed && !first) return;
  Log(LogLevel::kInfo, first ? "registry_synced" : "registry_changed",
      {{"objects", absl::StrCat(update.deltas.size())}});
}

void Engine::OnPeerChange(const PeerState& state) {
  const bool trust_changed = *peers_[state.peer->cluster].peer != *state.peer;
  peers_[state.peer->cluster] = state;
  unsaved_.insert(state.peer->cluster);
  peers_changed_ = true;
  WriteStatus();
  if (trust_changed) on_peers_(peers_);
  Rebuild();
}

std::shared_ptr<const PeerExports> Engine::LastKnown(const Peer& peer) const {
  auto known = snapshots_.Load(peer);
  if (known.ok()) {
    Log(LogLevel::kInfo, "peer_snapshot_loaded",
        {{"peer", peer.cluster}, {"services", absl::StrCat((*known)->size())}});
    return *std::move(known);
  }
  if (!absl::IsNotFound(known.status())) {
    Log(LogLevel::kWarning, "peer_snapshot_refused",
        {{"peer", peer.cluster}, {"reason", std::string(known.status().message())}});
  }
  return nullptr;
}

Task<> Engine::KeepSnapshots() {
  while (true) {
    co_await Sleep(loop_, kSnapshotPeriod);
    for (const std::string& cluster : std::exchange(unsaved_, {})) {
      const PeerState& state = peers_.at(cluster);
      absl::Status saved = snapshots_.Save(*state.peer, *state.exports);
      if (saved.ok()) continue;
      Log(LogLevel::kWarning, "peer_snapshot_not_saved",
          {{"peer", cluster}, {"reason", std::string(saved.message())}});
    }
  }
}

Task<> Engine::WatchPeerFolder() {
  while (true) {
    co_await Sleep(loop_, kPeerFolderPoll);
    if (!peer_folder_.Poll()) continue;
    ApplyPeerFolder();
    on_peers_(peers_);
    Rebuild();
  }
}

void Engine::ApplyPeerFolder() {
  peers_changed_ = true;
  for (const auto& [file, problem] : peer_folder_.problems()) {
    if (reported_files_[file] == problem) continue;
    Log(LogLevel::kError, "peer_file_refused", {{"file", file}, {"reason", problem}});
  }
  reported_files_ = peer_folder_.problems();

  for (auto client = clients_.begin(); client != clients_.end();) {
    if (peer_folder_.peers().contains(client->first)) {
      ++client;
      continue;
    }
    Log(LogLevel::kInfo, "peer_removed", {{"peer", client->first}});
    peers_.erase(client->first);
    unsaved_.erase(client->first);
    snapshots_.Remove(client->first);
    client = clients_.erase(client);
  }
  for (const auto& [cluster, peer] : peer_folder_.peers()) {
    std::unique_ptr<PeerClient>& client = clients_[cluster];
    if (client != nullptr && client->configured() == peer) continue;
    Log(LogLevel::kInfo, client == nullptr ? "peer_added" : "peer_changed",
        {{"peer", cluster}, {"trust_domain", peer.trust_domain}});
    // An identity of another trust domain is another cluster, even under the same name.
    const bool same = client != nullptr && client->configured().trust_domain == peer.trust_domain;
    std::shared_ptr<const PeerExports> known = same ? client->state().exports : LastKnown(peer);
    client.reset();
    client =
        std::make_unique<PeerClient>(loop_, options_.self, peer, std::move(known), own_certificate_,
                                     [this](const PeerState& state) { OnPeerChange(state); });
    peers_[cluster] = client->state();
  }
  WriteStatus();
}

void Engine::WriteStatus() {
  nlohmann::json status = {{"peers", nlohmann::json::object()}};
  for (const auto& [cluster, client] : clients_) {
    status["peers"][cluster] = {{"synced", client->status().synced}};
  }
  std::string text = status.dump() + "\n";
  if (text == status_) return;
  const std::string path = absl::StrCat(options_.data_folder, "/", kStatusFile);
  absl::Status written = certs::WriteFileAtomically(path, text, 0644);
  if (!written.ok()) {
    Log(LogLevel::kWarning, "status_not_written", {{"reason", std::string(written.message())}});
    return;
  }
  status_ = std::move(text);
}

void Engine::StartKeySets() {
  auto known = key_set_store_.Load();
  if (known.ok()) {
    key_sets_ = *std::move(known);
  } else {
    Log(LogLevel::kWarning, "key_sets_not_loaded",
        {{"reason", std::string(known.status().message())}});
  }
  JwksFetcher::Options options;
  options.roots_pem = certs::ReadFile(kSystemRoots).value_or("");
  options.seed = std::hash<std::string>()(options_.self->cluster);
  std::weak_ptr<Engine*> weak = alive_;
  EventLoop* loop = &loop_;
  // Not within the fetcher's own task: a new World may tell the fetcher to end it.
  options.on_keys = [loop, weak](const std::string& uri, const std::string& jwks) {
    loop->Post([weak, uri, jwks] {
      if (auto engine = weak.lock()) (*engine)->OnKeySet(uri, jwks);
    });
  };
  jwks_fetcher_ = std::make_unique<JwksFetcher>(loop_, std::move(options));
}

void Engine::FollowKeySets(const World& local) {
  const std::map<std::string, absl::Duration> uris = KeySetUris(local);
  std::erase_if(key_sets_, [&](const auto& known) { return !uris.contains(known.first); });
  jwks_fetcher_->Follow(uris);
}

void Engine::OnKeySet(const std::string& uri, const std::string& jwks) {
  std::shared_ptr<const std::string>& known = key_sets_[uri];
  if (known != nullptr && *known == jwks) return;
  known = std::make_shared<const std::string>(jwks);
  Rebuild();  // forgets it if nobody names it any more
  absl::Status saved = key_set_store_.Save(key_sets_);
  if (!saved.ok()) {
    Log(LogLevel::kWarning, "key_sets_not_saved", {{"reason", std::string(saved.message())}});
  }
}

// Before the first World is out: a router that comes back must not lose, for the time it takes to
// read them, the servers whose keys are in Secrets.
bool Engine::SecretsAreRead() {
  World world = MergeWorld(registry_.BuildLocal(), OtherClusters(), nullptr).world;
  gateway_api_.Apply(world);
  if (source_ == nullptr) return true;
  if (world.gateways.empty() && world.destination_rules.empty()) return true;
  world = HoldDangling(std::move(world), nullptr).world;
  source_->FollowSecrets(SecretsNamed(TranslationIndex(world)));
  return source_->SecretsAreRead();
}

bool Engine::Rebuild() {
  // Before the registry was read, a World would be a transient part of it.
  if (!synced_) return false;
  const World& local = registry_.BuildLocal();
  FollowKeySets(local);
  WorldChange change;
  if (world_ != nullptr && !std::exchange(peers_changed_, false) && world_->key_sets == key_sets_) {
    change = ChangeBetween(local_, local);
  }
  if (change.nothing()) return false;  // a status was written, a node's heartbeat noted
  const bool endpoints_only = change.endpoints_only();
  local_ = local;
  MergedWorld merged = MergeWorld(local, OtherClusters(), world_.get());
  if (endpoints_only) {
    FollowEndpoints(merged.world, change.workloads);
    return true;
  }
  merged.world.key_sets = key_sets_;
  gateway_api_.Apply(merged.world);
  HeldWorld held = HoldDangling(std::move(merged.world), world_.get());
  Publish(std::move(held.world));
  PublishOwnState();

  const TranslationIndex& index = translations_.IndexOf(world_);
  FollowSecrets();
  std::vector<Problem> others = CheckPolicies(index);
  for (Problem& problem : CheckGateways(index)) others.push_back(std::move(problem));
  for (Problem& problem : CheckTelemetries(index)) others.push_back(std::move(problem));
  ReportFindings(
      {std::move(held.problems), CheckHosts(index), std::move(others), gateway_api_.statuses()},
      merged.problems);
  return true;
}

void Engine::ReportFindings(StatusBook::Findings findings, const std::vector<Problem>& merged) {
  std::vector<std::string> texts;
  const std::vector<Problem>* const all[] = {&merged, &findings.references, &findings.conflicts,
                                             &findings.others};
  for (const auto* problems : all) {
    for (const Problem& problem : *problems) texts.push_back(ToString(problem));
  }
  ReportChanged(std::move(texts));
  if (options_.status != nullptr) options_.status->OnWorld(findings);
}

// Nearly every change: no reference leads elsewhere than before, and no finding is another one.
void Engine::FollowEndpoints(const World& merged, const std::vector<std::string>& workloads) {
  World next = *world_;
  next.endpoints = merged.endpoints;
  next.workloads = merged.workloads;
  next.workload_entries = merged.workload_entries;
  next.workload_groups = merged.workload_groups;
  Publish(std::move(next));
  if (!peers_.empty()) PublishOwnState();
  const TranslationIndex& index = translations_.IndexOf(world_);
  for (const std::string& address : workloads) {
    const auto workload = world_->workloads.find(address);
    if (workload == world_->workloads.end()) continue;
    if (MayNeedSecrets(index, *workload->second)) return FollowSecrets();
  }
}

// What no router needs is not read; what one stops to need is forgotten.
void Engine::FollowSecrets() {
  if (source_ != nullptr) source_->FollowSecrets(SecretsNamed(translations_.IndexOf(world_)));
}

void Engine::Publish(World world) {
  world_ = std::make_shared<const World>(std::move(world));
  ads_.Publish(world_);
}

void Engine::PublishOwnState() {
  auto own = std::make_shared<OwnState>();
  own->self = options_.self;
  own->gateways = options_.gateways;
  own->exports = Exports(local_);
  peer_server_.Publish(std::move(own));
}

void Engine::Report(const std::vector<Problem>& problems) {
  for (const Problem& problem : problems) {
    Log(LevelOf(problem.severity),
        problem.severity == Severity::kError ? "object_refused" : "object",
        {{"object", ToString(problem.key)},
         {"origin", problem.origin},
         {"field", problem.field},
         {"message", problem.message}});
  }
}

void Engine::ReportChanged(std::vector<std::string> findings) {
  const std::set<std::string> before(reported_.begin(), reported_.end());
  for (const std::string& finding : findings) {
    if (!before.contains(finding))
      Log(LogLevel::kWarning, "config_finding", {{"message", finding}});
  }
  reported_ = std::move(findings);
}

std::vector<PeerStatus> Engine::PeerStatuses() const {
  std::vector<PeerStatus> statuses;
  for (const auto& [cluster, client] : clients_) statuses.push_back(client->status());
  return statuses;
}

std::string Engine::FindPeer(const certs::SpiffeId& identity) const {
  for (const auto& [cluster, state] : peers_) {
    if (ControlPlaneId(state.peer->trust_domain) == identity) return cluster;
  }
  return "";
}

}  // namespace weft
