// Pool: a worker's connections to one endpoint, and the places on them that requests take.
//
// Over HTTP/1 a connection carries one request at a time. To an ordinary endpoint the most recently
// used one goes first, so that the others age and close. To a gateway (fanout > 1) connections are
// used in turn, and up to kMostSpread are opened although one is idle: the gateway chooses a pod
// for each connection, so a single one would pin all requests to one pod.
//
// The cluster's circuit breakers bound connections and those that wait for one. Each worker counts
// for itself, so a process has them once per worker.
#ifndef WEFT_PROXY_UPSTREAM_POOL_H_
#define WEFT_PROXY_UPSTREAM_POOL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "proxy/stream/h1_client_stream.h"
#include "proxy/telemetry/counters.h"
#include "proxy/upstream/connection.h"

namespace weft {

// What of a cluster's limits is in use, and who waits for some of it.
struct ClusterUsage {
  uint64_t connections = 0;  // idle and in use
  uint64_t pending = 0;      // requests that wait for a connection
  std::list<Signal> waiting;

  // To be called when anything was given back: those who wait look again, the first one first.
  void Released() {
    for (Signal& signal : waiting) signal.Notify();
  }
};

class Pool;

// A request's place on a connection. Giving it up without Finish() ends what the connection cannot
// carry on without: an HTTP/1 connection.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept = default;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  explicit operator bool() const { return http1_ != nullptr; }
  HttpStream& stream() const { return http1_->stream; }
  // The connection has carried a request before.
  bool reused() const { return http1_->requests > 1; }
  // What broke the connection, as the transport says; empty if that knows nothing.
  std::string error() const { return http1_->connection->stream->error(); }
  const Address& local_address() const { return http1_->connection->stream->local_address(); }

  // The exchange is over. Keeps the connection for others if it can carry on.
  void Finish(MonotonicTime now);

 private:
  friend class Pool;
  struct Http1 {
    explicit Http1(std::unique_ptr<UpstreamConnection> made)
        : connection(std::move(made)), stream(*connection->stream) {}
    const std::unique_ptr<UpstreamConnection> connection;
    H1ClientStream stream;
    uint32_t requests = 0;
    uint32_t most_requests = 0;  // 0: no limit
    MonotonicTime idle_since;
  };

  std::unique_ptr<Http1> http1_;
  Pool* pool_ = nullptr;
};

class Pool {
 public:
  // Connections that requests are spread over towards a gateway, at most.
  static constexpr size_t kMostSpread = 16;

  // What a request wants. The references are borrowed until Acquire() ends.
  struct Wanted {
    const ClusterConfig& cluster;
    const EndpointConfig& endpoint;
    std::optional<uint32_t> mark;
    MonotonicTime deadline = kNever;
    bool fresh = false;  // no connection that was used before
  };
  struct Acquired {
    Lease lease;
    absl::Status status;     // if there is none; ResourceExhausted: a circuit breaker is open
    bool attempted = false;  // a connection was asked for, with that status
  };

  // `usage` and `counters` are the cluster's.
  Pool(ClusterUsage& usage, ClusterCounters& counters) : usage_(usage), counters_(counters) {}
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // A place on a connection that is there, or none.
  Lease Take(const Wanted& wanted, MonotonicTime now);
  // Opens a connection, or waits until one may be opened. The pool must outlive the task.
  Task<Acquired> Acquire(EventLoop& loop, Wanted wanted);

  // Closes what the peer closed and what was idle too long.
  void Sweep(MonotonicTime now, absl::Duration idle_timeout);
  // Nothing refers to it.
  bool unused() const { return open_ == 0 && waiting_ == 0; }

 private:
  friend class Lease;
  using Http1 = Lease::Http1;

  Task<Acquired> Open(EventLoop& loop, Wanted wanted);
  Lease Use(std::unique_ptr<Http1> connection, const ClusterConfig& cluster);
  void Opened();
  void Closed();

  ClusterUsage& usage_;
  ClusterCounters& counters_;
  std::deque<std::unique_ptr<Http1>> idle_;  // the longest idle first
  size_t open_ = 0;                          // idle, in use, and being made
  size_t waiting_ = 0;
};

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_POOL_H_
