// Pool: a worker's connections to one endpoint, and the places on them that requests take.
//
// Over HTTP/1 a connection carries one request at a time. To an ordinary endpoint the most recently
// used one goes first, so that the others age and close. Over HTTP/2 one connection carries many,
// and another is opened only when the first is full; requests that come while it is being made wait
// for it. To a gateway (fanout > 1) connections are used in turn, and up to kMostSpread are opened
// although one is idle: the gateway chooses a pod for each connection, so a single one would pin
// all requests to one pod. Where the gateway says which pod it chose (tunnels), connections are
// opened until each pod has one, and each request goes to the pod that has had the fewest.
//
// The cluster's circuit breakers bound connections and those that wait for one. Each worker counts
// for itself, so a process has them once per worker.
#ifndef WEFT_PROXY_UPSTREAM_POOL_H_
#define WEFT_PROXY_UPSTREAM_POOL_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "proxy/stream/h1_client_stream.h"
#include "proxy/stream/h2_connection.h"
#include "proxy/telemetry/counters.h"
#include "proxy/upstream/connection.h"
#include "proxy/upstream/pod_loads.h"
#include "proxy/upstream/tunnel_stream.h"

namespace weft {

// What of a cluster's limits is in use, and who waits for some of it; and what pools that are gone
// found of pods behind gateways.
struct ClusterUsage {
  uint64_t connections = 0;  // idle and in use
  uint64_t pending = 0;      // requests that wait for a connection
  std::list<Signal> waiting;
  OutlierCounters former_pods;

  // To be called when anything was given back: those who wait look again, the first one first.
  void Released() {
    for (Signal& signal : waiting) signal.Notify();
  }
};

class Pool;

// A request's place on a connection. Giving it up without Finish() ends what cannot be carried on
// without: an HTTP/1 connection, or one HTTP/2 stream.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept { *this = std::move(other); }
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  explicit operator bool() const {
    return http1_ != nullptr || http2_ != nullptr || raw_ != nullptr;
  }
  HttpStream& stream() const {
    if (raw_ != nullptr) return raw_->stream;
    return http1_ != nullptr ? http1_->stream : *stream_;
  }
  // The connection has carried a request before.
  bool reused() const { return link().requests > 1; }
  // What broke the connection, as the transport says; empty if that knows nothing.
  std::string error() const { return link().bytes().error(); }
  const Address& local_address() const { return link().bytes().local_address(); }
  // Of a tunnel: the pod at its other end, as its gateway calls it; else "".
  const std::string& pod() const { return link().connection->pod; }
  // The gateway of a tunnel is gone, or going.
  bool draining() const { return link().bytes().draining(); }
  // The endpoint is gone or ill (Pool::Cut): what has had no answer is not to wait for one.
  bool cut() const { return link().cut; }

  // The exchange is over. Keeps the connection for others if it can carry on. stream() is not to be
  // used any more.
  void Finish(MonotonicTime now);

 private:
  friend class Pool;
  // What a pool knows of a connection, whichever version of HTTP it speaks.
  struct Link {
    Link(Pool& pool, EventLoop& loop, std::unique_ptr<UpstreamConnection> made);
    ~Link();
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ByteStream& bytes() const { return *connection->stream; }
    bool exhausted() const { return most_requests > 0 && requests >= most_requests; }

    const std::unique_ptr<UpstreamConnection> connection;
    Pool& pool;
    EventLoop& loop;
    const MonotonicTime since;
    const std::list<Link*>::iterator place;  // of the pool's links
    PodLoads::Use to;                        // of a tunnel
    bool cut = false;                        // not to be used again
    uint32_t requests = 0;
    uint32_t most_requests = 0;  // 0: no limit
    MonotonicTime idle_since;
  };
  struct Http1 : Link {
    Http1(Pool& pool, EventLoop& loop, std::unique_ptr<UpstreamConnection> made)
        : Link(pool, loop, std::move(made)), stream(bytes()) {}
    H1ClientStream stream;
  };
  struct Http2 : Link {
    Http2(Pool& pool, EventLoop& loop, std::unique_ptr<UpstreamConnection> made,
          const Http2Options& options);
    H2Connection http2;
    size_t leases = 0;
  };

  // The end of a CONNECT: bytes, as they come.
  struct Raw : Link {
    Raw(Pool& pool, EventLoop& loop, std::unique_ptr<UpstreamConnection> made, std::string pod)
        : Link(pool, loop, std::move(made)), stream(bytes(), std::move(pod)) {}
    RawStream stream;
  };

  const Link& link() const {
    if (raw_ != nullptr) return *raw_;
    return http1_ != nullptr ? static_cast<Link&>(*http1_) : *http2_;
  }

  std::unique_ptr<Raw> raw_;
  std::unique_ptr<Http1> http1_;
  Http2* http2_ = nullptr;  // the pool's, which keeps it while there are leases of it
  std::unique_ptr<HttpStream> stream_;
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
    bool http2_client = false;  // for a cluster that speaks what the client speaks
    bool fresh = false;         // no HTTP/1 connection that was used before
    Tunnels* tunnels = nullptr;
    // A CONNECT ends here: a connection of its own, for bytes. `pod`: what the client is told of
    // who is behind, unless the endpoint's own gateway says; `avoid`: whom it wants to avoid;
    // `source`: who it is.
    bool raw = false;
    std::string pod = {};
    std::string avoid = {};
    std::string source = {};
    absl::string_view traceparent = {};  // of the request that a tunnel is opened for
  };
  struct Acquired {
    Lease lease;
    absl::Status status;     // if there is none; ResourceExhausted: a circuit breaker is open
    bool attempted = false;  // a connection was asked for, with that status
    std::string pod = {};    // which failed, while the gateway before it did not
  };

  // All are the cluster's.
  Pool(ClusterUsage& usage, ClusterCounters& counters, H2Counters& http2_counters)
      : usage_(usage), counters_(counters), http2_counters_(http2_counters) {}
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // A place on a connection that is there, or none.
  Lease Take(const Wanted& wanted, MonotonicTime now);
  // Opens a connection, or waits until one may be opened, or for one that is being made. The pool
  // must outlive the task.
  Task<Acquired> Acquire(EventLoop& loop, Wanted wanted);

  // Closes what the peer closed and what was idle too long.
  void Sweep(MonotonicTime now, absl::Duration idle_timeout);
  // No connection is used again, and requests that have had no answer are to be given up
  // (Lease::cut): who waits for one of them is woken. Answers that have begun come to their end.
  void Cut();
  // The pods behind the endpoint, if that is a gateway which names them.
  PodLoads& pods() { return pods_; }
  const PodLoads& pods() const { return pods_; }

  // Nothing refers to it.
  bool unused() const { return open_ == 0 && waiting_ == 0; }

 private:
  friend class Lease;
  using Http1 = Lease::Http1;
  using Http2 = Lease::Http2;
  using Raw = Lease::Raw;

  Lease TakeHttp1(const Wanted& wanted, MonotonicTime now);
  Lease TakeHttp2(const Wanted& wanted, MonotonicTime now);
  bool MaySpread(const Wanted& wanted, MonotonicTime now) const;
  std::vector<std::unique_ptr<Http1>>::iterator NextIdle(const Wanted& wanted, MonotonicTime now);
  bool MayMultiplex(const Wanted& wanted) const;
  Task<absl::Status> Await(EventLoop& loop, const Wanted& wanted);
  Task<Acquired> Open(EventLoop& loop, Wanted wanted);
  Lease Use(std::unique_ptr<Http1> connection, const ClusterConfig& cluster);
  Lease Use(Http2& connection, const ClusterConfig& cluster, MonotonicTime now);
  void Release(Http2& connection);
  void Opened();
  void Closed();

  ClusterUsage& usage_;
  ClusterCounters& counters_;
  H2Counters& http2_counters_;
  PodLoads pods_;                  // of a gateway that names them
  std::list<Lease::Link*> links_;  // all connections, idle and in use
  // The longest idle first. No deque, which takes and gives back a block whenever its end goes back
  // and forth over the border of one.
  std::vector<std::unique_ptr<Http1>> idle_;
  std::vector<std::unique_ptr<Http2>> http2_;  // idle and in use
  size_t open_ = 0;                            // idle, in use, and being made
  size_t being_made_ = 0;
  size_t waiting_ = 0;
  // Of the attempts to connect that failed, for those that waited for them.
  uint64_t failures_ = 0;
  absl::Status last_failure_;
  // What was negotiated last, where ALPN decides.
  bool negotiated_http1_ = false;
};

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_POOL_H_
