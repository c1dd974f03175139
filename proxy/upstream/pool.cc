#include "proxy/upstream/pool.h"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

// Counts a request that waits, for as long as it does.
class Pending {
 public:
  Pending(ClusterUsage& usage, size_t& waiting) : usage_(usage), waiting_(waiting) {
    ++usage_.pending;
    ++waiting_;
  }
  ~Pending() {
    --usage_.pending;
    --waiting_;
  }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

 private:
  ClusterUsage& usage_;
  size_t& waiting_;
};

// A place in the queue of a cluster.
class Waiter {
 public:
  explicit Waiter(ClusterUsage& usage)
      : usage_(usage), place_(usage.waiting.emplace(usage.waiting.end())) {}
  ~Waiter() { usage_.waiting.erase(place_); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  Signal& released() { return *place_; }

 private:
  ClusterUsage& usage_;
  const std::list<Signal>::iterator place_;
};

}  // namespace

Lease& Lease::operator=(Lease&& other) noexcept {
  std::swap(http1_, other.http1_);
  std::swap(pool_, other.pool_);
  return *this;
}

Lease::~Lease() {
  if (http1_ == nullptr) return;
  http1_.reset();
  pool_->Closed();
}

void Lease::Finish(MonotonicTime now) {
  const bool exhausted = http1_->most_requests > 0 && http1_->requests >= http1_->most_requests;
  if (exhausted || !http1_->stream.Reusable()) return;
  http1_->stream.NextRequest();
  http1_->idle_since = now;
  pool_->idle_.push_back(std::move(http1_));
  pool_->usage_.Released();
}

Pool::~Pool() {
  for (size_t i = idle_.size(); i > 0; --i) Closed();
}

void Pool::Opened() {
  ++open_;
  ++usage_.connections;
}

void Pool::Closed() {
  --open_;
  --usage_.connections;
  usage_.Released();
}

Lease Pool::Use(std::unique_ptr<Http1> connection, const ClusterConfig& cluster) {
  ++connection->requests;
  connection->most_requests = cluster.max_requests_per_connection;
  Lease lease;
  lease.http1_ = std::move(connection);
  lease.pool_ = this;
  return lease;
}

Lease Pool::Take(const Wanted& wanted, MonotonicTime now) {
  const EndpointConfig& endpoint = wanted.endpoint;
  const bool spread = endpoint.fanout > 1;
  // Twice the pods, so that all of them are likely met although each worker chooses alone.
  if (spread && open_ < std::min<size_t>(kMostSpread, 2 * endpoint.fanout)) return Lease();
  while (!idle_.empty() && !wanted.fresh) {
    std::unique_ptr<Http1> connection;
    if (spread) {
      connection = std::move(idle_.front());
      idle_.pop_front();
    } else {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
    const bool current = connection->connection->tls == endpoint.tls;
    const bool in_time = now - connection->idle_since < wanted.cluster.idle_timeout;
    if (current && in_time && connection->stream.StillQuiet()) {
      return Use(std::move(connection), wanted.cluster);
    }
    connection.reset();
    Closed();
  }
  return Lease();
}

Task<Pool::Acquired> Pool::Open(EventLoop& loop, Wanted wanted) {
  // Counted from the start, and taken back if it comes to nothing or the request is given up.
  struct Attempt {
    explicit Attempt(Pool& pool) : pool(pool) { pool.Opened(); }
    ~Attempt() {
      if (!succeeded) pool.Closed();
    }
    Pool& pool;
    bool succeeded = false;
  };
  Attempt attempt(*this);
  Acquired acquired;
  acquired.attempted = true;
  const MonotonicTime start = loop.Now();
  auto connected =
      co_await ConnectUpstream(loop, wanted.cluster, wanted.endpoint, wanted.mark, wanted.deadline);
  if (!connected.ok()) {
    acquired.status = connected.status();
    co_return acquired;
  }
  attempt.succeeded = true;
  ++counters_.upstream_cx_http1_total;
  counters_.upstream_cx_connect_ms.Record(loop.Now() - start);
  acquired.lease = Use(std::make_unique<Http1>(std::move(*connected)), wanted.cluster);
  co_return acquired;
}

Task<Pool::Acquired> Pool::Acquire(EventLoop& loop, Wanted wanted) {
  const CircuitBreakerLimits& limits = wanted.cluster.limits;
  Acquired acquired;
  if (usage_.pending >= limits.max_pending_requests) {
    ++counters_.upstream_rq_pending_overflow;
    acquired.status = absl::ResourceExhaustedError("overflow");
    co_return acquired;
  }
  const Pending pending(usage_, waiting_);
  std::optional<Waiter> waiter;
  // An endpoint without any connection may always have one, lest it starve behind the others.
  while (usage_.connections >= limits.max_connections && open_ > 0) {
    if (!waiter.has_value()) {
      ++counters_.upstream_cx_overflow;
      waiter.emplace(usage_);
    }
    const bool notified = co_await Wait(loop, {&waiter->released()}, wanted.deadline);
    if (!notified) {
      acquired.status = absl::DeadlineExceededError("timeout");
      co_return acquired;
    }
    acquired.lease = Take(wanted, loop.Now());
    if (acquired.lease) co_return acquired;
  }
  co_return co_await Open(loop, wanted);
}

void Pool::Sweep(MonotonicTime now, absl::Duration idle_timeout) {
  const auto gone = [&](const std::unique_ptr<Http1>& connection) {
    return now - connection->idle_since >= idle_timeout || !connection->stream.StillQuiet();
  };
  const size_t before = idle_.size();
  idle_.erase(std::remove_if(idle_.begin(), idle_.end(), gone), idle_.end());
  for (size_t i = idle_.size(); i < before; ++i) Closed();
}

}  // namespace weft
