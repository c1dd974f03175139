#include "controlplane/engine.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/weft/kinds.pb.h"
#include "certs/digest.h"
#include "certs/file.h"
#include "controlplane/federation/control_plane_id.h"
#include "controlplane/federation/imports.h"
#include "controlplane/federation/link_kind.h"
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
               OwnCertificate own_certificate, OnPeers on_peers)
    : loop_(loop),
      options_(std::move(options)),
      translations_(translations),
      ads_(ads),
      own_certificate_(std::move(own_certificate)),
      on_peers_(std::move(on_peers)),
      self_(options_.self),
      maker_(self_, options_.exports),
      peer_folder_(options_.peers_folder, options_.self->cluster),
      snapshots_(absl::StrCat(options_.data_folder, "/peers")),
      key_set_store_(options_.data_folder),
      distribution_(self_->cluster, options_.data_folder, [this] { return Refusals(); }),
      alive_(std::make_shared<Engine*>(this)) {}

Engine::~Engine() = default;

absl::Status Engine::Start() {
  StartKeySets();
  if (!options_.peers_folder.empty()) {
    peer_folder_.Poll();
    TellPeerFiles();
    ApplyLinks();
    tasks_.Spawn(WatchPeerFolder());
  }
  tasks_.Spawn(KeepSnapshots());
  tasks_.Spawn(Distribute());
  return StartSource();
}

void Engine::SetDraining(bool draining) {
  if (self_->draining == draining) return;
  auto changed = std::make_shared<ClusterIdentity>(*self_);
  changed->draining = draining;
  self_ = std::move(changed);
  maker_.SetSelf(self_);
  Rebuild();
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
  options.token_audience = options_.token_audience;
  options.exports = options_.exports;
  remotes_ = std::make_unique<RemoteClusters>(loop_, std::move(options), [this] {
    maker_.SetPeers(OtherClusters());
    Rebuild();
  });
}

// A linked cluster speaks for itself, whatever a Secret says.
std::map<std::string, PeerState> Engine::OtherClusters() const {
  std::map<std::string, PeerState> others = peers_;
  if (remotes_ != nullptr) others.insert(remotes_->states().begin(), remotes_->states().end());
  return others;
}

void Engine::SetRoots(const std::string& roots_pem) {
  auto changed = std::make_shared<ClusterIdentity>(*self_);
  changed->roots_pem = roots_pem;
  self_ = std::move(changed);
  maker_.SetSelf(self_);
  Rebuild();
}

std::vector<std::string> Engine::PeersWithoutTrust() const {
  const std::string wanted = certs::Sha256Hex(self_->roots_pem);
  std::vector<std::string> peers;
  for (const auto& [cluster, link] : links_) {
    if (link->acked_bundle() != wanted) peers.push_back(absl::StrCat("cluster ", cluster));
  }
  return peers;
}

void Engine::AckPeerTrust() {
  for (const auto& [cluster, link] : links_) {
    link->AckBundle(certs::Sha256Hex(link->state().peer->roots_pem));
  }
}

void Engine::OnSourceUpdate(SourceUpdate update) {
  KeepLinkStatuses(update.deltas);
  std::vector<Problem> problems = maker_.Apply(update.deltas);
  problems.insert(problems.end(), update.problems.begin(), update.problems.end());
  for (Problem& problem : distribution_.OnObjects(update.deltas, problems)) {
    problems.push_back(std::move(problem));
  }
  Report(problems);
  if (options_.status != nullptr) options_.status->OnObjects(update.deltas, problems);
  registry_read_ |= update.first;
  if (!registry_read_) return;  // a part of what was there at the start
  FollowLinkObjects();
  const bool first = !synced_;
  if (first && !SecretsAreRead()) return;
  synced_ = true;
  if (first) distribution_.OnAllRead();
  const bool changed = Rebuild();
  if (!changed && !first) return;
  Log(LogLevel::kInfo, first ? "registry_synced" : "registry_changed",
      {{"objects", absl::StrCat(update.deltas.size())}});
}

void Engine::OnPeerChange(const PeerState& state) {
  const std::string& cluster = state.peer->cluster;
  const bool trust_changed = *peers_[cluster].peer != *state.peer;
  const bool known_changed = peers_[cluster].exports != state.exports ||
                             peers_[cluster].configs != state.configs || trust_changed;
  peers_[cluster] = state;
  if (known_changed) {
    unsaved_.insert(cluster);
    unsaved_changed_.Notify();
  }
  maker_.SetPeers(OtherClusters());
  WriteStatus();
  if (trust_changed) on_peers_(peers_);
  Rebuild();
}

PeerKnowledge Engine::LastKnown(const Peer& peer) const {
  auto known = snapshots_.Load(peer);
  if (known.ok()) {
    Log(LogLevel::kInfo, "peer_snapshot_loaded",
        {{"peer", peer.cluster}, {"services", absl::StrCat(known->exports->size())}});
    return *std::move(known);
  }
  if (!absl::IsNotFound(known.status())) {
    Log(LogLevel::kWarning, "peer_snapshot_refused",
        {{"peer", peer.cluster}, {"reason", std::string(known.status().message())}});
  }
  return LastTold(peer);
}

// Without what it exports, which no object has.
PeerKnowledge Engine::LastTold(const Peer& peer) const {
  PeerKnowledge known;
  const auto object = link_statuses_.find(peer.cluster);
  if (object == link_statuses_.end()) return known;
  auto told = ReadTold(object->second->body.node["status"]["told"], peer);
  if (!told.has_value()) return known;
  known.roots_pem = std::move(told->roots_pem);
  known.gateways = std::move(told->gateways);
  return known;
}

void Engine::SaveSnapshot(const std::string& cluster) {
  const PeerLink& link = *links_.at(cluster);
  absl::Status saved = snapshots_.Save(link.configured(), link.knowledge());
  if (saved.ok()) return;
  Log(LogLevel::kWarning, "peer_snapshot_not_saved",
      {{"peer", cluster}, {"reason", std::string(saved.message())}});
}

Task<> Engine::KeepSnapshots() {
  while (true) {
    for (const std::string& cluster : std::exchange(unsaved_, {})) SaveSnapshot(cluster);
    co_await Wait(loop_, {&unsaved_changed_});
    // The first of them is saved at once, and what follows together.
    for (const std::string& cluster : std::exchange(unsaved_, {})) SaveSnapshot(cluster);
    co_await Sleep(loop_, kSnapshotPeriod);
  }
}

Task<> Engine::WatchPeerFolder() {
  while (true) {
    co_await Sleep(loop_, kPeerFolderPoll);
    ReadPeerFolder();
  }
}

void Engine::ReadPeerFolder() {
  if (!peer_folder_.Poll()) return;
  TellPeerFiles();
  ApplyLinks();
  on_peers_(peers_);
  Rebuild();
}

void Engine::TellPeerFiles() {
  for (const auto& [file, problem] : peer_folder_.problems()) {
    if (reported_files_[file] == problem) continue;
    Log(LogLevel::kError, "peer_file_refused", {{"file", file}, {"reason", problem}});
  }
  reported_files_ = peer_folder_.problems();
}

void Engine::KeepLinkStatuses(const std::vector<ObjectDelta>& deltas) {
  for (const ObjectDelta& delta : deltas) {
    if (delta.key.kind != kLinkKind) continue;
    link_statuses_[delta.key.name] = delta.object;
    if (delta.object == nullptr) link_statuses_.erase(delta.key.name);
  }
}

void Engine::FollowLinkObjects() {
  if (maker_.links().SharesAllWith(link_objects_)) return;
  link_objects_ = maker_.links();
  ApplyLinks();
  on_peers_(peers_);
}

std::map<std::string, Peer> Engine::Configured() const {
  std::map<std::string, Peer> configured = peer_folder_.peers();
  for (const auto& [name, link] : link_objects_) {
    std::optional<Peer> peer = PeerOf(name.second, *link.spec);
    if (peer.has_value()) configured.emplace(name.second, *std::move(peer));
  }
  return configured;
}

void Engine::ApplyLinks() {
  const std::map<std::string, Peer> configured = Configured();
  for (auto link = links_.begin(); link != links_.end();) {
    if (configured.contains(link->first)) {
      ++link;
      continue;
    }
    Log(LogLevel::kInfo, "peer_removed", {{"peer", link->first}});
    peers_.erase(link->first);
    unsaved_.erase(link->first);
    snapshots_.Remove(link->first);
    link = links_.erase(link);
  }
  for (const auto& [cluster, peer] : configured) SetLink(peer);
  maker_.SetPeers(OtherClusters());
  WriteStatus();
}

void Engine::SetLink(const Peer& peer) {
  std::unique_ptr<PeerLink>& link = links_[peer.cluster];
  if (link != nullptr && link->configured() == peer) return;
  Log(LogLevel::kInfo, link == nullptr ? "peer_added" : "peer_changed",
      {{"peer", peer.cluster}, {"trust_domain", peer.trust_domain}});
  // An identity of another trust domain is another cluster, even under the same name.
  PeerKnowledge known;
  if (link == nullptr || link->configured().trust_domain != peer.trust_domain) {
    known = LastKnown(peer);
  } else {
    known = link->knowledge();
    if (link->configured().roots_pem != peer.roots_pem) known.roots_pem.clear();
    if (link->configured().gateways != peer.gateways) known.gateways.clear();
  }
  link.reset();
  PeerLink::Own own;
  own.self = self_;
  own.epoch = options_.epoch;
  own.certificate = own_certificate_;
  own.expiry = options_.peer_expiry;
  link = std::make_unique<PeerLink>(loop_, std::move(own), peer, std::move(known),
                                    [this](const PeerState& state) { OnPeerChange(state); });
  link->Publish(own_history_.last());
  peers_[peer.cluster] = link->state();
}

void Engine::WriteStatus() {
  nlohmann::json status = {{"peers", nlohmann::json::object()}};
  for (const auto& [cluster, link] : links_) {
    status["peers"][cluster] = {{"synced", link->status().synced}};
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
  const World world = maker_.Preview();
  if (source_ == nullptr) return true;
  if (world.gateways.empty() && world.destination_rules.empty()) return true;
  source_->FollowSecrets(SecretsNamed(TranslationIndex(world)));
  return source_->SecretsAreRead();
}

bool Engine::Rebuild() {
  // Before the registry was read, a World would be a transient part of it.
  if (!synced_) return false;
  FollowKeySets(maker_.LocalNow());
  maker_.SetKeySets(key_sets_);
  std::optional<WorldMaker::Made> made = maker_.Make();
  if (!made.has_value()) return false;
  ads_.Publish(made->world);
  if (made->change.endpoints_only()) {
    if (!peers_.empty()) PublishOwnState();
    FollowWorkloads(made->change.workloads);
    return true;
  }
  PublishOwnState();
  const TranslationIndex& index = translations_.IndexOf(made->world);
  FollowSecrets();
  std::vector<Problem> others = CheckPolicies(index);
  for (Problem& problem : CheckGateways(index)) others.push_back(std::move(problem));
  for (Problem& problem : CheckTelemetries(index)) others.push_back(std::move(problem));
  std::vector<GatewayApiStatus> exports = ServiceExportStatuses(*world());
  for (Problem& problem : CheckServiceExports(exports)) others.push_back(std::move(problem));
  std::vector<Problem> hosts = CheckHosts(index);
  distribution_.OnWorld(made->references, hosts);
  ReportFindings({std::move(made->references), std::move(hosts), std::move(others),
                  maker_.gateway_api_statuses(), std::move(exports)},
                 made->merged);
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

// Nearly every change is of endpoints, and then of nothing that needs Secrets.
void Engine::FollowWorkloads(const std::vector<std::string>& workloads) {
  const TranslationIndex& index = translations_.IndexOf(world());
  for (const std::string& address : workloads) {
    const auto workload = world()->workloads.find(address);
    if (workload == world()->workloads.end()) continue;
    if (MayNeedSecrets(index, *workload->second)) return FollowSecrets();
  }
}

// What no router needs is not read; what one stops to need is forgotten.
void Engine::FollowSecrets() {
  if (source_ != nullptr) source_->FollowSecrets(SecretsNamed(translations_.IndexOf(world())));
}

void Engine::PublishOwnState() {
  const auto own = own_history_.Next(self_, options_.gateways, maker_.exports());
  for (const auto& [cluster, link] : links_) link->Publish(own);
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

Task<> Engine::Distribute() {
  while (true) {
    co_await Sleep(loop_, kDistributionLook);
    if (!synced_) continue;
    const bool changed = distribution_.Look(links_, maker_.config_conflicts(), loop_.Now());
    if (changed && options_.status != nullptr) {
      options_.status->OnDistribution(distribution_.statuses());
    }
  }
}

std::vector<ProxyRefusal> Engine::Refusals() const {
  std::vector<ProxyRefusal> refusals;
  for (const ProxyStatus& proxy : ads_.Proxies()) {
    for (const TypeStatus& type : proxy.types) {
      if (!type.error.empty()) refusals.push_back({proxy.node, type.error});
    }
  }
  return refusals;
}

std::vector<PeerStatus> Engine::PeerStatuses() const {
  std::vector<PeerStatus> statuses;
  for (const auto& [cluster, link] : links_) statuses.push_back(link->status());
  return statuses;
}

std::vector<LinkReport> Engine::LinkReports() const {
  std::vector<LinkReport> reports;
  for (const auto& [name, object] : link_objects_) {
    LinkReport report;
    report.cluster = name.second;
    report.joined = PeerOf(name.second, *object.spec).has_value();
    if (const auto link = links_.find(name.second); link != links_.end()) {
      const PeerStatus status = link->second->status();
      report.connected = status.connected && status.synced;
      report.services = status.services;
      report.last_error = status.last_error;
      report.told = ToldBy(link->second->configured(), *link->second->state().peer);
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

std::map<std::string, std::string> Engine::AwaitedJoins() const {
  std::map<std::string, std::string> awaited;
  for (const auto& [name, link] : link_objects_) {
    if (PeerOf(name.second, *link.spec).has_value()) continue;
    awaited[name.second] = link.spec->token_secret_ref().name();
  }
  return awaited;
}

PeerLink* Engine::FindLink(const certs::SpiffeId& identity) const {
  for (const auto& [cluster, link] : links_) {
    if (ControlPlaneId(link->configured().trust_domain) == identity) return link.get();
  }
  return nullptr;
}

}  // namespace weft
