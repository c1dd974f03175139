// Worker: one event loop and all that its connections need. Nothing here is shared with another
// worker; the main thread reaches it by loop().Post() alone.
//
// A worker adopts a Snapshot whole. Connections and requests under way keep what they hold of the
// one before; what a worker learns itself (loads, pools, counters) lives on beside the Snapshots,
// by the names of clusters and endpoints.
#ifndef WEFT_PROXY_SERVE_WORKER_H_
#define WEFT_PROXY_SERVE_WORKER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/node_hash_map.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "proxy/config/snapshot.h"
#include "proxy/decide/cluster_load.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/scope.h"
#include "proxy/serve/dials.h"
#include "proxy/serve/filter_states.h"
#include "proxy/telemetry/counters.h"
#include "proxy/upstream/pool.h"
#include "proxy/upstream/tunnels.h"

namespace weft {

// What a worker knows of one cluster beyond its config.
struct ClusterState {
  Pool& PoolOf(const EndpointConfig& endpoint) {
    return pools.try_emplace(endpoint.key, usage, counters, http2).first->second;
  }

  ClusterLoad load;
  uint64_t active_requests = 0;
  uint64_t active_retries = 0;
  ClusterUsage usage;
  ClusterCounters counters;
  H2Counters http2;
  absl::node_hash_map<std::string, Pool> pools;  // by EndpointConfig::key
};

// What the process gives up while it has too much to do; see config/overload.h.
struct Overload {
  bool stop_accepting_requests = false;      // requests are answered with 503
  bool disable_http_keepalive = false;       // connections end with their response
  bool stop_accepting_connections = false;   // they stay in the kernel's queue
  bool reject_incoming_connections = false;  // they are accepted and closed

  friend bool operator==(const Overload&, const Overload&) = default;
};

// What of the process goes away.
struct DrainOrder {
  bool inbound_only = false;  // listeners of the inbound direction
  // Clients are asked to go as their requests end, but may still come.
  bool keep_listening = false;
};

class Worker;

struct WorkerOptions {
  uint32_t workers = 1;  // of the process: each has its part of what is limited as a whole
  uint32_t index = 0;    // this one's
  // Runs a call on the thread of the worker of this index; may be empty if there is one worker.
  std::function<void(uint32_t index, std::function<void(Worker&)> call)> post;
  // Connections of the process; 0: no limit.
  uint64_t max_connections = 0;
  // How long connections of a listener that changed may go on (Envoy's --drain-time-s).
  absl::Duration drain_time = absl::Seconds(600);
  bool first = true;  // serves sockets that cannot be shared out
  // SO_MARK of every upstream socket, so that capture rules let the proxy's own traffic pass.
  std::optional<uint32_t> mark;
};

class AccessLog;
struct Downstream;

class Worker {
 public:
  Worker(WorkerOptions options, AccessLog* access_log);
  ~Worker();

  EventLoop& loop() { return loop_; }

  // The following are for the worker's own thread.

  // Opens the sockets that are new, closes those that are gone, and serves by `snapshot` from now
  // on. A socket whose address and options stay is kept with what waits in it, whichever listener
  // has it then. An address that cannot be bound is reported and the rest goes on. Connections of
  // listeners and filter chains that are gone or others drain; those whose client is no longer
  // trusted are cut.
  absl::Status Adopt(std::shared_ptr<const Snapshot> snapshot);
  // Stops accepting and asks clients to go elsewhere as their requests end, as `order` says. What
  // was ordered before stays.
  void StartDrain(const DrainOrder& order);
  // Fails or passes the operator's health check: while it fails, requests end their connections.
  void SetHealthy(bool healthy) { unhealthy_ = !healthy; }
  bool unhealthy() const { return unhealthy_; }
  // Whether a connection is to end, and what wakes who waits for nothing else. Of the process
  // draining, and of the connection's listener or filter chain being gone or another.
  class DrainNotice {
   public:
    explicit DrainNotice(Downstream& downstream) : downstream_(downstream) {}
    bool draining() const;
    Signal& started();

   private:
    Downstream& downstream_;
  };
  void SetOverload(const Overload& overload);
  const Overload& overload() const { return overload_; }

  // A connection from when it is accepted to its end: what Adopt() and StartDrain() reach it by.
  class Live {
   public:
    Live(Worker& worker, Downstream& downstream);
    ~Live();
    Live(const Live&) = delete;
    Live& operator=(const Live&) = delete;

   private:
    Worker& worker_;
    Downstream& downstream_;
  };
  // Connections of chains that have a connection_limit, by the chain's fingerprint.
  uint64_t& ChainConnections(uint64_t fingerprint) { return chain_connections_[fingerprint]; }
  size_t connections() const { return connections_.size(); }
  Counters CollectCounters() const;
  // All but gauges.
  void ResetCounters();
  // Requests under way by cluster and endpoint key, for /clusters.
  std::map<std::string, std::map<std::string, uint64_t>> ActiveByEndpoint() const;

  const std::shared_ptr<const Snapshot>& config() const { return config_; }
  const WorkerOptions& options() const { return options_; }
  absl::InsecureBitGen& random() { return random_; }
  uint64_t Random() { return absl::Uniform<uint64_t>(random_); }
  ClusterState& StateOf(const std::string& cluster) { return clusters_[cluster]; }
  DownstreamCounters& DownstreamOf(const std::string& stat_prefix);
  H2Counters& DownstreamHttp2Of(const std::string& stat_prefix);
  TcpCounters& TcpOf(const std::string& stat_prefix) { return tcp_counters_[stat_prefix]; }
  ListenerCounters& ListenerOf(const std::string& name) { return listener_counters_[name]; }
  void CountRejection(const char* reason) { ++rejections_[reason]; }
  AccessLog* access_log() { return access_log_; }
  Tunnels& tunnels() { return tunnels_; }
  // What the clients of tunnels are told of a pod instead of its address: the same wherever `key`
  // is the same, and of no meaning to who does not know it. "": one that this process alone has.
  const std::string& PodName(const std::string& key, const Address& address);
  // Runs what serves a connection that was not accepted here.
  void SpawnConnection(Task<> task) { connections_.Spawn(std::move(task)); }
  // Drains a connection that nothing configures any more; as all of them, for drain_time.
  void Retire(Downstream& downstream);
  // Breaks a connection whose peer is not trusted any more.
  void Cut(Downstream& downstream);
  FilterStates& filters() { return filters_; }
  // Runs besides the connections, and ends with the worker at the latest.
  void Spawn(Task<> task) { upkeep_.Spawn(std::move(task)); }

 private:
  struct Socket;

  // Whether sockets are to be open for it now.
  bool Listens(const ListenerConfig& listener) const;
  absl::Status OpenSockets(const std::shared_ptr<const ListenerConfig>& listener,
                           absl::flat_hash_set<Socket*>& wanted);
  void CloseSocketsBut(const absl::flat_hash_set<Socket*>& wanted);
  Task<> AcceptFrom(Socket* socket);
  // Whether a connection is to end with its requests, as was ordered.
  bool Leaves(const ListenerConfig& listener) const;
  void FollowDials();
  bool IsFull(uint64_t connections, uint64_t most) const;
  void TakeIn(Socket& socket, std::unique_ptr<TcpStream> stream);
  // Which listeners an order is about.
  enum class Extent { kNone, kInbound, kAll };
  static bool Covers(Extent extent, const ListenerConfig& listener);
  struct Drainage {
    absl::Duration quiet = absl::InfiniteDuration();
    MonotonicTime deadline = kNever;
  };
  void Drain(Downstream& downstream, const Drainage& drainage);
  // Drains and cuts what the change from `before` to config_ concerns.
  void ReviewConnections(const Snapshot& before);
  void Review(Downstream& downstream, absl::flat_hash_map<std::string, bool>& verdicts);
  // Lets go of requests to gateways of other clusters that went, or are said to be ill.
  void ReviewGateways(const Snapshot& before);
  Task<> CutIfGone(std::string cluster, std::string endpoint);
  Task<> CutDrained();
  Task<> SweepPools();

  const WorkerOptions options_;
  AccessLog* const access_log_;
  EventLoop loop_;
  absl::InsecureBitGen random_;
  std::shared_ptr<const Snapshot> config_ = std::make_shared<const Snapshot>();
  Extent closed_ = Extent::kNone;   // no sockets
  Extent leaving_ = Extent::kNone;  // connections end with their requests
  bool unhealthy_ = false;
  Overload overload_;
  absl::flat_hash_set<Downstream*> live_;
  MonotonicTime next_cut_ = kNever;  // when the first of live_ has been draining for too long
  Signal next_cut_changed_;
  absl::node_hash_map<uint64_t, uint64_t> chain_connections_;
  absl::node_hash_map<std::string, ClusterState> clusters_;
  absl::node_hash_map<std::string, DownstreamCounters> downstream_counters_;
  absl::node_hash_map<std::string, H2Counters> downstream_http2_;
  absl::node_hash_map<std::string, TcpCounters> tcp_counters_;
  absl::node_hash_map<std::string, ListenerCounters> listener_counters_;
  std::map<std::string, uint64_t> rejections_;
  FilterStates filters_;
  std::string pod_name_key_;                                 // that pod_names_ are made with
  absl::flat_hash_map<std::string, std::string> pod_names_;  // by address
  Tunnels tunnels_;
  Scope connections_;
  Dials dials_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  Scope upkeep_;
};

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_WORKER_H_
