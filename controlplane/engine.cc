#include "controlplane/engine.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "certs/file.h"
#include "controlplane/federation/exports.h"
#include "controlplane/federation/merge.h"
#include "controlplane/model/references.h"
#include "controlplane/sources/directory.h"
#include "controlplane/sources/kubernetes/source.h"
#include "controlplane/translate/check.h"
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
      alive_(std::make_shared<Engine*>(this)) {}

Engine::~Engine() = default;

absl::Status Engine::Start() {
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
    source_ = std::make_unique<KubernetesSource>(
        loop_, *options_.registry_server, KubernetesSource::Options(),
        [this](SourceUpdate update) { OnSourceUpdate(std::move(update)); });
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

void Engine::OnSourceUpdate(SourceUpdate update) {
  Report(update.problems);
  Report(registry_.Apply(update.deltas));
  const bool first = update.first;
  synced_ |= first;
  if (!synced_) return;  // a part of what was there at the start
  Rebuild();
  Log(LogLevel::kInfo, first ? "registry_synced" : "registry_changed",
      {{"objects", absl::StrCat(update.deltas.size())}});
}

void Engine::OnPeerChange(const PeerState& state) {
  const bool trust_changed = *peers_[state.peer->cluster].peer != *state.peer;
  peers_[state.peer->cluster] = state;
  unsaved_.insert(state.peer->cluster);
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

void Engine::Rebuild() {
  // Before the registry was read, a World would be a transient part of it.
  if (!synced_) return;
  const World& local = registry_.BuildLocal();
  MergedWorld merged = MergeWorld(local, peers_, world_.get());
  HeldWorld held = HoldDangling(std::move(merged.world), world_.get());
  world_ = std::make_shared<const World>(std::move(held.world));
  ads_.Publish(world_);

  auto own = std::make_shared<OwnState>();
  own->self = options_.self;
  own->gateways = options_.gateways;
  own->exports = Exports(local);
  peer_server_.Publish(std::move(own));

  std::vector<std::string> findings;
  for (const Problem& problem : merged.problems) findings.push_back(ToString(problem));
  for (const Problem& problem : held.problems) findings.push_back(ToString(problem));
  for (const Finding& finding : CheckConfig(translations_.IndexOf(world_))) {
    // What dangles is told above, with the object that is held back.
    if (finding.severity == Finding::Severity::kDangling) continue;
    findings.push_back(
        absl::StrCat(finding.origin, ": ", ToString(finding.object), ": ", finding.message));
  }
  ReportChanged(std::move(findings));
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
