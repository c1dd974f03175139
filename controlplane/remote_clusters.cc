#include "controlplane/remote_clusters.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proxy/base/log.h"

namespace weft {

RemoteClusters::RemoteClusters(EventLoop& loop, RemoteClustersOptions options,
                               std::function<void()> on_change)
    : loop_(loop),
      options_(std::move(options)),
      on_change_(std::move(on_change)),
      secrets_(options_.self->cluster, options_.allow_local_access) {
  KubernetesSource::Options of_source;
  of_source.resources = {RemoteClusterSecrets()};
  of_source.watch_silence = options_.silence;
  secrets_source_ =
      std::make_unique<KubernetesSource>(loop_, options_.server, std::move(of_source),
                                         [this](const SourceUpdate& update) { OnSecrets(update); });
  tasks_.Spawn(ExpireOld());
}

RemoteClusters::~RemoteClusters() = default;

void RemoteClusters::OnSecrets(const SourceUpdate& update) {
  secrets_.Apply(update.deltas);
  TellProblems();
  const bool removed = RemoveUnnamed();
  for (const auto& [cluster, config] : secrets_.clusters()) Follow(cluster, config);
  if (removed) on_change_();
}

void RemoteClusters::TellProblems() {
  for (const auto& [place, problem] : secrets_.problems()) {
    if (told_problems_[place] == problem) continue;
    Log(LogLevel::kError, "remote_kubeconfig_refused", {{"object", place}, {"reason", problem}});
  }
  told_problems_ = secrets_.problems();
}

// Whether one was in the World.
bool RemoteClusters::RemoveUnnamed() {
  bool removed = false;
  for (auto remote = remotes_.begin(); remote != remotes_.end();) {
    if (secrets_.clusters().contains(remote->first)) {
      ++remote;
      continue;
    }
    Log(LogLevel::kInfo, "remote_cluster_removed", {{"remote", remote->first}});
    removed |= states_.erase(remote->first) > 0;
    remote = remotes_.erase(remote);
  }
  return removed;
}

void RemoteClusters::Follow(const std::string& cluster, const RemoteConfig& config) {
  std::unique_ptr<Remote>& remote = remotes_[cluster];
  if (remote != nullptr && remote->config.text == config.text) {
    remote->config.secret = config.secret;
    return;
  }
  Log(LogLevel::kInfo, remote == nullptr ? "remote_cluster_added" : "remote_cluster_changed",
      {{"remote", cluster}, {"secret", config.secret}, {"server", config.server.Url()}});
  MonotonicTime old_since = loop_.Now();
  if (remote != nullptr) old_since = OldSince(*remote).value_or(old_since);
  if (remote == nullptr) remote = std::make_unique<Remote>();
  remote->cluster = cluster;
  remote->config = config;
  // With nothing of what was found by other credentials, or by another server.
  remote->reviews = std::make_shared<Reviews>(loop_, config.server, options_.token_audience);
  Read(*remote, old_since);
}

// From scratch. What is in the World stays there until all is read.
void RemoteClusters::Read(Remote& remote, MonotonicTime old_since) {
  remote.synced = false;
  remote.old_since = old_since;
  remote.source.reset();
  remote.view = std::make_unique<RemoteView>(remote.cluster, options_.self, options_.exports);
  KubernetesSource::Options of_source;
  of_source.resources = RemoteClusterResources();
  of_source.watch_silence = options_.silence;
  remote.source = std::make_unique<KubernetesSource>(
      loop_, remote.config.server, std::move(of_source),
      [this, &remote](const SourceUpdate& update) { OnUpdate(remote, update); });
}

void RemoteClusters::OnUpdate(Remote& remote, const SourceUpdate& update) {
  std::vector<Problem> problems = remote.view->Apply(update.deltas);
  problems.insert(problems.end(), update.problems.begin(), update.problems.end());
  for (const Problem& problem : problems) {
    if (problem.severity == Severity::kInfo) continue;
    Log(LogLevel::kWarning, "remote_object",
        {{"remote", remote.cluster}, {"message", ToString(problem)}});
  }
  remote.synced |= update.first;
  if (!remote.synced) return;
  if (!remote.view->Build() && !update.first) return;
  const PeerState& state = remote.view->state();
  states_[remote.cluster] = state;
  if (update.first) {
    Log(LogLevel::kInfo, "remote_cluster_synced",
        {{"remote", remote.cluster},
         {"network", state.peer->network},
         {"services", absl::StrCat(state.exports->size())},
         {"gateways", absl::StrCat(state.peer->gateways.size())}});
  }
  on_change_();
}

std::optional<MonotonicTime> RemoteClusters::OldSince(const Remote& remote) {
  return remote.synced ? remote.source->away_since() : remote.old_since;
}

Task<> RemoteClusters::ExpireOld() {
  while (true) {
    co_await Sleep(loop_, kLook);
    bool expired = false;
    for (const auto& [cluster, remote] : remotes_) {
      const std::optional<MonotonicTime> since = OldSince(*remote);
      if (!since.has_value() || loop_.Now() - *since < options_.expiry) continue;
      if (states_.erase(cluster) == 0) continue;
      expired = true;
      Log(LogLevel::kWarning, "remote_cluster_expired",
          {{"remote", cluster},
           {"effect", "its endpoints are not used until its API server answers again"}});
      Read(*remote, loop_.Now());
    }
    if (expired) on_change_();
  }
}

Task<absl::StatusOr<Caller>> RemoteClusters::Review(std::string cluster, std::string token) {
  const auto remote = remotes_.find(cluster);
  if (remote == remotes_.end()) {
    co_return absl::UnauthenticatedError(
        absl::StrCat("workload token: cluster '", absl::CHexEscape(cluster), "' is not known"));
  }
  const std::shared_ptr<Reviews> reviews = remote->second->reviews;
  absl::StatusOr<Caller> verdict = co_await reviews->reviewer.Review(std::move(token));
  // What another server said, or one that is trusted no more, counts for nothing.
  const auto now = remotes_.find(cluster);
  if (now == remotes_.end() || now->second->reviews != reviews) {
    co_return absl::UnavailableError(
        absl::StrCat("workload token: cluster '", cluster, "' is read another way since"));
  }
  co_return verdict;
}

std::vector<RemoteStatus> RemoteClusters::Statuses() const {
  std::vector<RemoteStatus> statuses;
  for (const auto& [cluster, remote] : remotes_) {
    RemoteStatus status;
    status.cluster = cluster;
    status.secret = remote->config.secret;
    status.server = remote->config.server.Url();
    status.connected = !remote->source->away_since().has_value();
    if (const auto state = states_.find(cluster); state != states_.end()) {
      status.synced = true;
      status.services = state->second.exports->size();
      status.gateways = state->second.peer->gateways.size();
    }
    statuses.push_back(std::move(status));
  }
  return statuses;
}

}  // namespace weft
