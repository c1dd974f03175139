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

// Whether it may be used, and was made as connections are made now: not before a rotation. A
// gateway that drains says so of its tunnels.
bool IsCurrent(const UpstreamConnection& connection, const EndpointConfig& endpoint) {
  if (connection.tls != endpoint.tls || connection.stream->draining()) return false;
  const ClientTlsContext* before =
      connection.tunnel == nullptr ? nullptr : connection.tunnel->gateway.get();
  return before == (endpoint.tunnel == nullptr ? nullptr : endpoint.tunnel->gateway.get());
}

uint64_t RequestsOf(const PodLoads::Use& pod) {
  return pod.get() == nullptr ? 0 : pod.get()->requests;
}

// What to offer, in the wire's form, where the TLS of an endpoint states nothing.
absl::string_view AlpnFor(UpstreamProtocol protocol, bool http2) {
  if (protocol == UpstreamProtocol::kAlpn) return "\x02h2\x08http/1.1";
  return http2 ? "\x02h2" : "";
}

}  // namespace

Lease::Link::Link(Pool& pool, EventLoop& loop, std::unique_ptr<UpstreamConnection> made)
    : connection(std::move(made)),
      pool(pool),
      loop(loop),
      since(loop.Now()),
      place(pool.links_.insert(pool.links_.end(), this)),
      to(pool.pods_.Connected(connection->pod, loop.Now())) {}

Lease::Link::~Link() {
  pool.counters_.upstream_cx_length_ms.Record(loop.Now() - since);
  pool.links_.erase(place);
}

Lease::Http2::Http2(Pool& pool, EventLoop& loop, std::unique_ptr<UpstreamConnection> made,
                    const Http2Options& options)
    : Link(pool, loop, std::move(made)),
      http2(loop, bytes(),
            {H2Connection::Role::kClient, options, connection->tls != nullptr,
             &pool.http2_counters_, Buffer()}) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  std::swap(raw_, other.raw_);
  std::swap(http1_, other.http1_);
  std::swap(http2_, other.http2_);
  std::swap(stream_, other.stream_);
  std::swap(pool_, other.pool_);
  return *this;
}

Lease::~Lease() {
  if (raw_ != nullptr) {
    raw_.reset();
    pool_->Closed();
  } else if (http1_ != nullptr) {
    http1_.reset();
    pool_->Closed();
  } else if (http2_ != nullptr) {
    stream_.reset();
    pool_->Release(*http2_);
  }
}

void Lease::Finish(MonotonicTime now) {
  if (raw_ != nullptr) return;
  if (http2_ != nullptr) {
    http2_->idle_since = now;
    return;
  }
  if (http1_->cut || http1_->exhausted() || !http1_->stream.Reusable()) return;
  http1_->stream.NextRequest();
  http1_->idle_since = now;
  pool_->idle_.push_back(std::move(http1_));
  pool_->usage_.Released();
}

Pool::~Pool() {
  usage_.former_pods.Add(pods_.outlier_counters());
  usage_.former_pods.ejections_active = 0;
  for (size_t i = idle_.size() + http2_.size(); i > 0; --i) Closed();
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
  if (connection->to.get() != nullptr) ++connection->to.get()->requests;
  connection->most_requests = cluster.max_requests_per_connection;
  Lease lease;
  lease.http1_ = std::move(connection);
  lease.pool_ = this;
  return lease;
}

Lease Pool::Use(Http2& connection, const ClusterConfig& cluster, MonotonicTime now) {
  ++connection.requests;
  if (connection.to.get() != nullptr) ++connection.to.get()->requests;
  ++connection.leases;
  connection.most_requests = cluster.max_requests_per_connection;
  connection.idle_since = now;
  Lease lease;
  lease.http2_ = &connection;
  lease.stream_ = connection.http2.Open();
  lease.pool_ = this;
  return lease;
}

// A stream's place is free; a connection that will not be used again goes with its last one.
void Pool::Release(Http2& connection) {
  --connection.leases;
  const bool done = connection.http2.going_away() || connection.exhausted() || connection.cut ||
                    connection.bytes().draining();
  if (connection.leases > 0 || !done) return usage_.Released();
  const auto it = std::find_if(http2_.begin(), http2_.end(),
                               [&](const auto& one) { return one.get() == &connection; });
  http2_.erase(it);
  Closed();
}

// To a gateway one more connection may be opened although others are idle: until each pod has one,
// if the gateway names them; else twice the pods, so that all of them are likely met although each
// worker chooses alone.
bool Pool::MaySpread(const Wanted& wanted, MonotonicTime now) const {
  const size_t fanout = std::min<size_t>(kMostSpread, wanted.endpoint.fanout);
  if (fanout <= 1) return false;
  if (pods_.known()) return being_made_ == 0 && pods_.MayFindMore(fanout, now);
  return open_ < std::min<size_t>(kMostSpread, 2 * fanout);
}

// A connection that is being made is likely to have room for this request too.
bool Pool::MayMultiplex(const Wanted& wanted) const {
  switch (wanted.cluster.protocol) {
    case UpstreamProtocol::kHttp1:
      return false;
    case UpstreamProtocol::kHttp2:
      return true;
    case UpstreamProtocol::kDownstream:
      return wanted.http2_client;
    case UpstreamProtocol::kAlpn:
      return !negotiated_http1_;
  }
  return false;
}

Lease Pool::Take(const Wanted& wanted, MonotonicTime now) {
  if (wanted.raw || MaySpread(wanted, now)) return Lease();
  if (MayMultiplex(wanted)) {
    Lease lease = TakeHttp2(wanted, now);
    if (lease || wanted.cluster.protocol != UpstreamProtocol::kAlpn) return lease;
  }
  return TakeHttp1(wanted, now);
}

// The end if there is none that may be used.
std::vector<std::unique_ptr<Pool::Http1>>::iterator Pool::NextIdle(const Wanted& wanted,
                                                                   MonotonicTime now) {
  if (wanted.endpoint.fanout <= 1 && !pods_.known()) return idle_.end() - 1;
  if (!pods_.known()) return idle_.begin();
  auto best = idle_.end();
  for (auto one = idle_.begin(); one != idle_.end(); ++one) {
    if (pods_.Ejected((*one)->to.get())) continue;
    if (best == idle_.end() || RequestsOf((*one)->to) < RequestsOf((*best)->to)) best = one;
  }
  // Connections that are more than are in use, some more at the most, are for balance.
  const size_t in_use = open_ - idle_.size();
  const bool may_open = open_ < 2 * in_use + kMostSpread;
  if (best != idle_.end() && may_open && pods_.Ahead((*best)->to.get(), now)) return idle_.end();
  return best;
}

Lease Pool::TakeHttp1(const Wanted& wanted, MonotonicTime now) {
  while (!idle_.empty() && !wanted.fresh) {
    const auto next = NextIdle(wanted, now);
    if (next == idle_.end()) break;
    std::unique_ptr<Http1> connection = std::move(*next);
    idle_.erase(next);
    const bool current = !connection->cut && IsCurrent(*connection->connection, wanted.endpoint);
    const bool in_time = now - connection->idle_since < wanted.cluster.idle_timeout;
    if (current && in_time && connection->stream.StillQuiet()) {
      return Use(std::move(connection), wanted.cluster);
    }
    connection.reset();
    Closed();
  }
  return Lease();
}

Lease Pool::TakeHttp2(const Wanted& wanted, MonotonicTime now) {
  if (pods_.known()) {
    // The pod that has had the fewest first.
    std::sort(http2_.begin(), http2_.end(),
              [](const auto& a, const auto& b) { return RequestsOf(a->to) < RequestsOf(b->to); });
  }
  for (auto it = http2_.begin(); it != http2_.end();) {
    Http2& connection = **it;
    const bool current = !connection.cut && IsCurrent(*connection.connection, wanted.endpoint) &&
                         !pods_.Ejected(connection.to.get());
    const bool idle_too_long =
        connection.leases == 0 && now - connection.idle_since >= wanted.cluster.idle_timeout;
    const bool usable =
        current && !idle_too_long && !connection.http2.going_away() && !connection.exhausted();
    if (!usable && connection.leases == 0) {
      it = http2_.erase(it);
      Closed();
      continue;
    }
    if (usable && connection.http2.CanOpen()) {
      // The next one takes the next connection.
      if (wanted.endpoint.fanout > 1 && !pods_.known()) std::rotate(it, it + 1, http2_.end());
      return Use(connection, wanted.cluster, now);
    }
    ++it;
  }
  return Lease();
}

Task<Pool::Acquired> Pool::Open(EventLoop& loop, Wanted wanted) {
  // Counted from the start, and taken back if it comes to nothing or the request is given up.
  struct Attempt {
    explicit Attempt(Pool& pool) : pool(pool) {
      pool.Opened();
      ++pool.being_made_;
    }
    ~Attempt() {
      --pool.being_made_;
      if (!succeeded) pool.Closed();
      pool.usage_.Released();
    }
    Pool& pool;
    bool succeeded = false;
  };
  Attempt attempt(*this);
  Acquired acquired;
  acquired.attempted = true;
  const ClusterConfig& cluster = wanted.cluster;
  const MonotonicTime start = loop.Now();
  Tunneling tunneling;
  tunneling.tunnels = wanted.tunnels;
  tunneling.avoid = wanted.raw ? wanted.avoid : pods_.Avoided(wanted.endpoint.fanout, start);
  if (wanted.raw) tunneling.source = wanted.source;
  tunneling.traceparent = std::string(wanted.traceparent);
  tunneling.reached = &acquired.pod;
  const absl::string_view alpn = wanted.raw ? "" : AlpnFor(cluster.protocol, MayMultiplex(wanted));
  auto connected =
      co_await ConnectUpstream(loop, cluster, wanted.endpoint, wanted.mark, wanted.deadline,
                               ProxiedAddresses(), alpn, std::move(tunneling));
  if (!connected.ok()) {
    ++failures_;
    last_failure_ = connected.status();
    acquired.status = connected.status();
    pods_.ConnectFailed(acquired.pod, loop.Now());
    co_return acquired;
  }
  attempt.succeeded = true;
  counters_.upstream_cx_connect_ms.Record(loop.Now() - start);
  if (wanted.raw) {
    std::string pod = (*connected)->pod.empty() ? wanted.pod : (*connected)->pod;
    acquired.lease.raw_ = std::make_unique<Raw>(*this, loop, *std::move(connected), std::move(pod));
    acquired.lease.raw_->requests = 1;
    acquired.lease.pool_ = this;
    co_return acquired;
  }
  const bool by_alpn = cluster.protocol == UpstreamProtocol::kAlpn;
  if (by_alpn) negotiated_http1_ = (*connected)->alpn != "h2";
  if (MayMultiplex(wanted)) {
    ++counters_.upstream_cx_http2_total;
    http2_.push_back(std::make_unique<Http2>(*this, loop, *std::move(connected), cluster.http2));
    acquired.lease = Use(*http2_.back(), cluster, loop.Now());
  } else {
    ++counters_.upstream_cx_http1_total;
    acquired.lease = Use(std::make_unique<Http1>(*this, loop, *std::move(connected)), cluster);
  }
  co_return acquired;
}

// Until something of the cluster's was given back, or a connection was made or was not.
Task<absl::Status> Pool::Await(EventLoop& loop, const Wanted& wanted) {
  Waiter waiter(usage_);
  const uint64_t failures = failures_;
  const bool making = being_made_ > 0;
  const bool notified = co_await Wait(loop, {&waiter.released()}, wanted.deadline);
  if (!notified) co_return absl::DeadlineExceededError("timeout");
  // What was waited for is not to be had: not each of those who wait has to find that out.
  if (making && failures != failures_ && being_made_ == 0) co_return last_failure_;
  co_return absl::OkStatus();
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
  bool overflowed = false;
  while (true) {
    const bool on_its_way =
        being_made_ > 0 && !wanted.raw && MayMultiplex(wanted) && !MaySpread(wanted, loop.Now());
    // An endpoint without any connection may always have one, lest it starve behind the others.
    const bool full = usage_.connections >= limits.max_connections && open_ > 0;
    if (!on_its_way && !full) break;
    if (full && !on_its_way && !overflowed) {
      ++counters_.upstream_cx_overflow;
      overflowed = true;
    }
    acquired.status = co_await Await(loop, wanted);
    if (!acquired.status.ok()) co_return acquired;
    if (!wanted.raw) acquired.lease = Take(wanted, loop.Now());
    if (acquired.lease) co_return acquired;
  }
  co_return co_await Open(loop, wanted);
}

void Pool::Cut() {
  for (Lease::Link* link : links_) {
    link->cut = true;
    link->bytes().readable().Notify();
  }
  for (const std::unique_ptr<Http2>& connection : http2_) connection->http2.WakeAll();
}

void Pool::Sweep(MonotonicTime now, absl::Duration idle_timeout) {
  const auto gone1 = [&](const std::unique_ptr<Http1>& connection) {
    return connection->cut || connection->bytes().draining() ||
           now - connection->idle_since >= idle_timeout || !connection->stream.StillQuiet();
  };
  const auto gone2 = [&](const std::unique_ptr<Http2>& connection) {
    if (connection->leases > 0) return false;
    return connection->cut || connection->bytes().draining() ||
           now - connection->idle_since >= idle_timeout || connection->http2.going_away();
  };
  const size_t before = idle_.size() + http2_.size();
  idle_.erase(std::remove_if(idle_.begin(), idle_.end(), gone1), idle_.end());
  http2_.erase(std::remove_if(http2_.begin(), http2_.end(), gone2), http2_.end());
  for (size_t i = idle_.size() + http2_.size(); i < before; ++i) Closed();
}

}  // namespace weft
