#include "proxy/serve/worker.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "certs/digest.h"
#include "proxy/serve/connection.h"
#include "proxy/tls/tls_stream.h"

namespace weft {
namespace {

// Idle connections that the peer closed are noticed when one is taken; this is for those that are
// never taken again.
constexpr absl::Duration kSweepInterval = absl::Seconds(5);
constexpr size_t kMostPodNames = 100000;

// A connection that the process is done with ends once no request has come for this long. A client
// that was busy a moment ago is likely to send another, which closing at once would lose.
constexpr absl::Duration kQuietBeforeClosing = absl::Milliseconds(250);

// After the end of its drain time a connection is cut; what can end by itself has by then.
constexpr absl::Duration kCutDelay = absl::Milliseconds(100);

// A gateway that is not named any more may be going in good order, or be gone without a word. Where
// its own pings do not tell, requests get this long to be answered.
constexpr absl::Duration kGraceOfGone = absl::Seconds(1);

bool IsGateway(const EndpointConfig& endpoint) {
  return endpoint.fanout > 1 || endpoint.tunnel != nullptr;
}

bool IsIll(const EndpointConfig& endpoint) {
  return endpoint.health == EndpointHealth::kUnhealthy ||
         endpoint.checked == CheckedHealth::kFailing;
}

// Null: there is none.
const EndpointConfig* FindEndpoint(const ClusterConfig* cluster, const std::string& key) {
  if (cluster == nullptr) return nullptr;
  for (const EndpointConfig& endpoint : cluster->endpoints->endpoints) {
    if (endpoint.key == key) return &endpoint;
  }
  return nullptr;
}

// What was found of pods behind gateways counts as what was found of endpoints.
OutlierCounters OutliersOf(const ClusterState& state) {
  OutlierCounters all = state.load.outlier_counters();
  all.Add(state.usage.former_pods);
  for (const auto& [key, pool] : state.pools) all.Add(pool.pods().outlier_counters());
  return all;
}

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

// The chain that what `was` served may stay with. Of a reverse tunnel nothing but whom the chain
// trusts matters, which changes with each cluster that is linked.
bool Succeeds(const FilterChainConfig& chain, const FilterChainConfig& was) {
  return chain.fingerprint == was.fingerprint ||
         (std::holds_alternative<ReverseTunnelConfig>(chain.service) &&
          std::holds_alternative<ReverseTunnelConfig>(was.service));
}

const FilterChainConfig* FindChain(const ListenerConfig& listener, const FilterChainConfig& was) {
  for (const FilterChainConfig& chain : listener.chains) {
    if (Succeeds(chain, was)) return &chain;
  }
  const auto& last = listener.default_chain;
  return last.has_value() && Succeeds(*last, was) ? &*last : nullptr;
}

// Nobody can tell an address by its name who does not know this. All workers have the same one, as
// the connections of one client are spread over them.
const std::string& OwnPodNameKey() {
  static const auto* const key = [] {
    absl::BitGen random;
    return new std::string(
        absl::StrCat(absl::Uniform<uint64_t>(random), "/", absl::Uniform<uint64_t>(random)));
  }();
  return *key;
}

}  // namespace

// A listening socket and the task that accepts from it.
struct Worker::Socket {
  std::shared_ptr<const ListenerConfig> config;
  ListenSocket spec;
  std::unique_ptr<Listener> listener;
  uint64_t exhausted = 0;  // of the listener's, counted already
  Scope accepting;
};

bool Worker::DrainNotice::draining() const { return downstream_.draining; }
Signal& Worker::DrainNotice::started() { return downstream_.drain_started; }

Worker::Live::Live(Worker& worker, Downstream& downstream)
    : worker_(worker), downstream_(downstream) {
  downstream.draining = worker.Leaves(*downstream.listener);
  if (Covers(worker.closed_, *downstream.listener)) downstream.drain_quiet = kQuietBeforeClosing;
  worker.live_.insert(&downstream);
}

Worker::Live::~Live() { worker_.live_.erase(&downstream_); }

bool Worker::Covers(Extent extent, const ListenerConfig& listener) {
  if (extent == Extent::kInbound) return listener.direction == TrafficDirection::kInbound;
  return extent == Extent::kAll;
}

// Who was dialed cannot come to another instance of us by itself: it stays until we are closed.
bool Worker::Leaves(const ListenerConfig& listener) const {
  return Covers(listener.dial != nullptr ? closed_ : leaving_, listener);
}

bool Worker::Listens(const ListenerConfig& listener) const {
  return listener.bind_to_port && !Covers(closed_, listener);
}

Worker::Worker(WorkerOptions options, AccessLog* access_log)
    : options_(std::move(options)), access_log_(access_log), tunnels_(loop_), dials_(*this) {
  upkeep_.Spawn(SweepPools());
  upkeep_.Spawn(CutDrained());
}

Worker::~Worker() = default;

// Adds them to `wanted`, those that are open already as well.
absl::Status Worker::OpenSockets(const std::shared_ptr<const ListenerConfig>& listener,
                                 absl::flat_hash_set<Socket*>& wanted) {
  for (const ListenSocket& spec : listener->sockets) {
    const auto found = std::find_if(sockets_.begin(), sockets_.end(),
                                    [&](const auto& open) { return open->spec == spec; });
    if (found != sockets_.end()) {
      if (!wanted.insert(found->get()).second) {
        return absl::AlreadyExistsError(absl::StrCat(
            spec.address.ToString(), " is taken by listener '", (*found)->config->name, "'"));
      }
      (*found)->config = listener;
      continue;
    }
    const bool shared = spec.options.reuse_port && spec.address.family() != AF_UNIX;
    if (!shared && !options_.first) continue;
    auto opened = Listener::Create(loop_, spec.address, spec.options);
    if (!opened.ok()) return opened.status();
    auto socket = std::make_unique<Socket>();
    socket->config = listener;
    socket->spec = spec;
    socket->listener = std::move(*opened);
    socket->listener->SetPaused(overload_.stop_accepting_connections &&
                                !listener->bypass_overload_manager);
    Socket* started = socket.get();
    sockets_.push_back(std::move(socket));
    wanted.insert(started);
    started->accepting.Spawn(AcceptFrom(started));
  }
  return absl::OkStatus();
}

// What waits in a queue has been promised a connection: it is served by the listener it was for.
void Worker::CloseSocketsBut(const absl::flat_hash_set<Socket*>& wanted) {
  for (std::unique_ptr<Socket>& socket : sockets_) {
    if (wanted.contains(socket.get())) continue;
    socket->accepting.Cancel();
    while (std::unique_ptr<TcpStream> stream = socket->listener->TryAccept()) {
      TakeIn(*socket, std::move(stream));
    }
    socket.reset();
  }
  sockets_.erase(std::remove(sockets_.begin(), sockets_.end(), nullptr), sockets_.end());
}

absl::Status Worker::Adopt(std::shared_ptr<const Snapshot> snapshot) {
  const std::shared_ptr<const Snapshot> before = std::exchange(config_, std::move(snapshot));
  std::vector<std::string> errors;
  absl::flat_hash_set<Socket*> wanted;
  for (const auto& [name, listener] : config_->listeners) {
    if (!Listens(*listener)) continue;
    const absl::Status opened = OpenSockets(listener, wanted);
    if (opened.ok()) continue;
    errors.push_back(absl::StrCat("listener '", name, "': ", opened.message()));
  }
  CloseSocketsBut(wanted);
  FollowDials();
  ReviewConnections(*before);
  ReviewGateways(*before);
  if (errors.empty()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrJoin(errors, "; "));
}

// Whether one more connection would be too many of `most`, of the process (0: no limit). Shared
// out, since no worker knows of the others' connections: at most one too many for each.
bool Worker::IsFull(uint64_t connections, uint64_t most) const {
  return most > 0 && connections >= (most + options_.workers - 1) / options_.workers;
}

void Worker::TakeIn(Socket& socket, std::unique_ptr<TcpStream> stream) {
  ListenerCounters& counters = ListenerOf(socket.config->name);
  counters.accept_paused += socket.listener->exhausted() - socket.exhausted;
  socket.exhausted = socket.listener->exhausted();
  const ListenerConfig& config = *socket.config;
  if (overload_.reject_incoming_connections && !config.bypass_overload_manager) {
    ++counters.downstream_cx_overload_reject;
    return;
  }
  if (IsFull(live_.size(), options_.max_connections) && !config.ignore_global_conn_limit) {
    ++counters.downstream_global_cx_overflow;
    return;
  }
  if (IsFull(counters.downstream_cx_active, config.max_connections)) {
    ++counters.downstream_cx_overflow;
    return;
  }
  connections_.Spawn(ServeConnection(*this, std::move(stream), socket.config));
}

// What dials is closed when sockets are: until then it takes requests, as they do.
void Worker::FollowDials() {
  const auto dials = [this](const ListenerConfig& listener) { return !Covers(closed_, listener); };
  dials_.Follow(dials);
}

Task<> Worker::AcceptFrom(Socket* socket) {
  while (true) {
    std::unique_ptr<TcpStream> stream = co_await socket->listener->Accept();
    TakeIn(*socket, std::move(stream));
  }
}

void Worker::SetOverload(const Overload& overload) {
  overload_ = overload;
  for (const std::unique_ptr<Socket>& socket : sockets_) {
    socket->listener->SetPaused(overload.stop_accepting_connections &&
                                !socket->config->bypass_overload_manager);
  }
}

void Worker::Drain(Downstream& downstream, const Drainage& drainage) {
  downstream.draining = true;
  downstream.drain_quiet = std::min(downstream.drain_quiet, drainage.quiet);
  downstream.drain_deadline = std::min(downstream.drain_deadline, drainage.deadline);
  if (downstream.drain_deadline + kCutDelay < next_cut_) {
    next_cut_ = downstream.drain_deadline + kCutDelay;
    next_cut_changed_.Notify();
  }
  downstream.drain_started.Notify();
}

void Worker::StartDrain(const DrainOrder& order) {
  const Extent extent = order.inbound_only ? Extent::kInbound : Extent::kAll;
  leaving_ = std::max(leaving_, extent);
  Drainage drainage;
  if (!order.keep_listening) {
    closed_ = std::max(closed_, extent);
    absl::flat_hash_set<Socket*> wanted;
    for (const std::unique_ptr<Socket>& socket : sockets_) {
      if (Listens(*socket->config)) wanted.insert(socket.get());
    }
    CloseSocketsBut(wanted);
    FollowDials();
    drainage.quiet = kQuietBeforeClosing;
  }
  for (Downstream* downstream : live_) {
    const ListenerConfig& listener = *downstream->listener;
    if (Covers(extent, listener) && Leaves(listener)) Drain(*downstream, drainage);
  }
}

void Worker::ReviewConnections(const Snapshot& before) {
  // Nearly always only endpoints and routes changed, and nothing is to be looked at.
  if (before.listeners == config_->listeners) return;
  absl::flat_hash_map<std::string, bool> verdicts;
  for (Downstream* downstream : live_) {
    const auto old = before.listeners.find(downstream->listener->name);
    const auto now = config_->listeners.find(downstream->listener->name);
    const bool same = old != before.listeners.end() && now != config_->listeners.end() &&
                      old->second == now->second;
    if (!same) Review(*downstream, verdicts);
  }
}

// `verdicts`: whether a client is still trusted, by chain and certificate; many connections share
// one, and checking signatures is what takes time.
void Worker::Review(Downstream& downstream, absl::flat_hash_map<std::string, bool>& verdicts) {
  if (downstream.chain == nullptr) return;  // still to be chosen, from the listener as it is then
  if (downstream.listener->dial != nullptr) return;  // Dial does it, which replaces it first
  const auto now = config_->listeners.find(downstream.listener->name);
  const FilterChainConfig* chain =
      now != config_->listeners.end() ? FindChain(*now->second, *downstream.chain) : nullptr;
  if (chain == nullptr) return Retire(downstream);
  if (downstream.tls == nullptr || chain->tls == nullptr || chain->tls == downstream.chain->tls) {
    return;
  }
  const std::string key = absl::StrCat(downstream.peer_hash, "/", chain->fingerprint);
  const auto [verdict, is_new] = verdicts.try_emplace(key, true);
  if (is_new) verdict->second = downstream.tls->StillTrustedBy(*chain->tls);
  if (!verdict->second) Cut(downstream);
}

void Worker::Retire(Downstream& downstream) {
  Drainage drainage;
  drainage.deadline = loop_.Now() + options_.drain_time;
  Drain(downstream, drainage);
}

void Worker::Cut(Downstream& downstream) {
  ++ListenerOf(downstream.listener->name).ssl_trust_revoked;
  downstream.socket->Sever(ECONNABORTED);
}

void Worker::ReviewGateways(const Snapshot& before) {
  for (auto& [name, state] : clusters_) {
    if (state.pools.empty()) continue;
    const ClusterConfig* was = before.FindCluster(name);
    const ClusterConfig* now = config_->FindCluster(name);
    if (was == nullptr || (now != nullptr && was->endpoints == now->endpoints)) continue;
    for (const EndpointConfig& one : was->endpoints->endpoints) {
      if (!IsGateway(one) || IsIll(one)) continue;
      const auto pool = state.pools.find(one.key);
      if (pool == state.pools.end()) continue;
      const EndpointConfig* still = FindEndpoint(now, one.key);
      if (still != nullptr && IsIll(*still)) {
        pool->second.Cut();
      } else if (still == nullptr && one.tunnel == nullptr) {
        upkeep_.Spawn(CutIfGone(name, one.key));
      }
    }
  }
}

Task<> Worker::CutIfGone(std::string cluster, std::string endpoint) {
  co_await Sleep(loop_, kGraceOfGone);
  if (FindEndpoint(config_->FindCluster(cluster), endpoint) != nullptr) co_return;
  const auto state = clusters_.find(cluster);
  if (state == clusters_.end()) co_return;
  const auto pool = state->second.pools.find(endpoint);
  if (pool != state->second.pools.end()) pool->second.Cut();
}

// Cuts connections whose drain time is over.
Task<> Worker::CutDrained() {
  while (true) {
    co_await Wait(loop_, {&next_cut_changed_}, next_cut_);
    if (loop_.Now() < next_cut_) continue;
    next_cut_ = kNever;
    for (Downstream* downstream : live_) {
      const MonotonicTime cut_at = downstream->drain_deadline + kCutDelay;
      if (loop_.Now() < cut_at) {
        next_cut_ = std::min(next_cut_, cut_at);
        continue;
      }
      downstream->drain_deadline = kNever;
      ++ListenerOf(downstream->listener->name).downstream_cx_drained;
      downstream->socket->Sever(ECONNABORTED);
    }
  }
}

DownstreamCounters& Worker::DownstreamOf(const std::string& stat_prefix) {
  return downstream_counters_[stat_prefix];
}

H2Counters& Worker::DownstreamHttp2Of(const std::string& stat_prefix) {
  return downstream_http2_[stat_prefix];
}

const std::string& Worker::PodName(const std::string& key, const Address& address) {
  const std::string& wanted = key.empty() ? OwnPodNameKey() : key;
  // What is not of use any more is made again when it is.
  if (pod_names_.size() > kMostPodNames || pod_name_key_ != wanted) pod_names_.clear();
  pod_name_key_ = wanted;
  std::string& name = pod_names_[address.ToString()];
  if (name.empty()) {
    name = certs::Sha256Hex(absl::StrCat(wanted, "/", address.ToString())).substr(0, 16);
  }
  return name;
}

Task<> Worker::SweepPools() {
  while (true) {
    co_await Sleep(loop_, kSweepInterval);
    tunnels_.Sweep(loop_.Now());
    for (auto& [name, state] : clusters_) {
      const ClusterConfig* cluster = config_->FindCluster(name);
      if (cluster != nullptr) state.load.JudgeOutliers(*cluster, {loop_.Now(), Random()});
      const absl::Duration idle = cluster != nullptr ? cluster->idle_timeout : absl::ZeroDuration();
      for (auto it = state.pools.begin(); it != state.pools.end();) {
        it->second.Sweep(loop_.Now(), idle);
        if (cluster != nullptr) {
          it->second.pods().Judge(cluster->outlier.get(), {loop_.Now(), Random()});
        }
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
    CopyOutliers(OutliersOf(state), counters);
    if (counters.upstream_cx_http2_total > 0) all.cluster_http2[name] = state.http2;
  }
  for (const auto& [name, counters] : downstream_http2_) all.downstream_http2[name] = counters;
  for (const auto& [name, counters] : downstream_counters_) all.downstreams[name] = counters;
  for (const auto& [name, counters] : tcp_counters_) all.tcps[name] = counters;
  for (const auto& [name, counters] : listener_counters_) {
    ListenerCounters& listener = all.listeners[name] = counters;
    listener.downstream_cx_destroy = counters.downstream_cx_total - counters.downstream_cx_active;
  }
  all.rejections = rejections_;
  all.reverse_tunnels = tunnels_.reverse().Counts();
  all.filters = filters_.counters();
  return all;
}

}  // namespace weft
