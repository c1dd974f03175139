#include "proxy/serve/worker.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proxy/serve/connection.h"

namespace weft {
namespace {

// Idle connections that the peer closed are noticed when one is taken; this is for those that are
// never taken again.
constexpr absl::Duration kSweepInterval = absl::Seconds(5);

// Outlier detection counts for itself.
void CopyOutliers(const OutlierCounters& from, ClusterCounters& to) {
#define WEFT_COPY(kind)                                                \
  to.outlier_detection_ejections_detected_##kind = from.kind.detected; \
  to.outlier_detection_ejections_enforced_##kind = from.kind.enforced
  WEFT_COPY(consecutive_5xx);
  WEFT_COPY(consecutive_gateway_failure);
  WEFT_COPY(consecutive_local_origin_failure);
  WEFT_COPY(success_rate);
  WEFT_COPY(local_origin_success_rate);
  WEFT_COPY(failure_percentage);
  WEFT_COPY(local_origin_failure_percentage);
#undef WEFT_COPY
  to.outlier_detection_ejections_enforced_total = from.ejections_enforced_total;
  to.outlier_detection_ejections_overflow = from.ejections_overflow;
  to.outlier_detection_ejections_active = from.ejections_active;
}

}  // namespace

// A listening socket and the task that accepts from it.
struct Worker::Socket {
  std::shared_ptr<const ListenerConfig> config;
  std::unique_ptr<Listener> listener;
  Scope accepting;
};

bool Worker::Listens(const ListenerConfig& listener) const {
  if (!listener.bind_to_port || draining_) return false;
  return !inbound_closed_ || listener.direction != TrafficDirection::kInbound;
}

Worker::Worker(WorkerOptions options, AccessLog* access_log)
    : options_(std::move(options)), access_log_(access_log) {
  upkeep_.Spawn(SweepPools());
}

Worker::~Worker() = default;

absl::Status Worker::Adopt(std::shared_ptr<const Snapshot> snapshot) {
  config_ = std::move(snapshot);
  std::vector<std::string> errors;
  for (const auto& [name, listener] : config_->listeners) {
    if (!Listens(*listener)) continue;
    auto found = sockets_.find(name);
    if (found != sockets_.end() && found->second->config->address == listener->address) {
      found->second->config = listener;
      continue;
    }
    auto opened = Listener::Create(loop_, listener->address, Listener::Options());
    if (!opened.ok()) {
      errors.push_back(absl::StrCat("listener '", name, "': ", opened.status().message()));
      continue;
    }
    auto socket = std::make_unique<Socket>();
    socket->config = listener;
    socket->listener = std::move(*opened);
    Socket* started = socket.get();
    sockets_[name] = std::move(socket);
    started->accepting.Spawn(AcceptFrom(started));
  }
  for (auto it = sockets_.begin(); it != sockets_.end();) {
    const auto wanted = config_->listeners.find(it->first);
    const bool keep = wanted != config_->listeners.end() && Listens(*wanted->second);
    it = keep ? std::next(it) : sockets_.erase(it);
  }
  if (errors.empty()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrJoin(errors, "; "));
}

Task<> Worker::AcceptFrom(Socket* socket) {
  while (true) {
    std::unique_ptr<TcpStream> stream = co_await socket->listener->Accept();
    connections_.Spawn(ServeConnection(*this, std::move(stream), socket->config));
  }
}

void Worker::StartDrain(bool inbound_only) {
  inbound_closed_ = true;
  draining_ = draining_ || !inbound_only;
  for (auto it = sockets_.begin(); it != sockets_.end();) {
    it = Listens(*it->second->config) ? std::next(it) : sockets_.erase(it);
  }
  if (!draining_) return;
  for (DrainNotice* notice : notices_) notice->started().Notify();
}

DownstreamCounters& Worker::DownstreamOf(const std::string& stat_prefix) {
  return downstream_counters_[stat_prefix];
}

H2Counters& Worker::DownstreamHttp2Of(const std::string& stat_prefix) {
  return downstream_http2_[stat_prefix];
}

Task<> Worker::SweepPools() {
  while (true) {
    co_await Sleep(loop_, kSweepInterval);
    for (auto& [name, state] : clusters_) {
      const ClusterConfig* cluster = config_->FindCluster(name);
      if (cluster != nullptr) state.load.JudgeOutliers(*cluster, {loop_.Now(), Random()});
      const absl::Duration idle = cluster != nullptr ? cluster->idle_timeout : absl::ZeroDuration();
      for (auto it = state.pools.begin(); it != state.pools.end();) {
        it->second.Sweep(loop_.Now(), idle);
        auto current = it++;
        if (current->second.unused()) state.pools.erase(current);
      }
    }
  }
}

std::map<std::string, std::map<std::string, uint64_t>> Worker::ActiveByEndpoint() const {
  std::map<std::string, std::map<std::string, uint64_t>> active;
  for (const auto& [name, cluster] : config_->clusters) {
    const auto state = clusters_.find(name);
    if (state == clusters_.end()) continue;
    const auto& endpoints = cluster->endpoints->endpoints;
    for (size_t i = 0; i < endpoints.size() && i < state->second.load.size(); ++i) {
      active[name][endpoints[i].key] = state->second.load.at(i)->active;
    }
  }
  return active;
}

void Worker::ResetCounters() {
  for (auto& [name, state] : clusters_) {
    state.counters.Reset();
    state.http2.Reset();
  }
  for (auto& [name, counters] : downstream_http2_) counters.Reset();
  for (auto& [name, counters] : downstream_counters_) counters.Reset();
  for (auto& [name, counters] : tcp_counters_) counters.Reset();
  for (auto& [name, counters] : listener_counters_) counters.Reset();
  rejections_.clear();
}

Counters Worker::CollectCounters() const {
  Counters all;
  for (const auto& [name, state] : clusters_) {
    ClusterCounters& counters = all.clusters[name];
    counters = state.counters;
    counters.upstream_cx_active = state.usage.connections;
    counters.upstream_rq_active = state.active_requests;
    counters.upstream_rq_pending_active = state.usage.pending;
    CopyOutliers(state.load.outlier_counters(), counters);
    if (counters.upstream_cx_http2_total > 0) all.cluster_http2[name] = state.http2;
  }
  for (const auto& [name, counters] : downstream_http2_) all.downstream_http2[name] = counters;
  for (const auto& [name, counters] : downstream_counters_) all.downstreams[name] = counters;
  for (const auto& [name, counters] : tcp_counters_) all.tcps[name] = counters;
  for (const auto& [name, counters] : listener_counters_) all.listeners[name] = counters;
  all.rejections = rejections_;
  all.filters = filters_.counters();
  return all;
}

}  // namespace weft
