#include "proxy/serve/forward.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace weft {
namespace {

ForwardResult Overflow() {
  ForwardResult result;
  result.end = ForwardEnd::kFailed;
  result.final = true;
  result.flag = ResponseFlag::kUpstreamOverflow;
  result.reason = "overflow";
  return result;
}

// The request's own time was over before there was a connection.
ForwardResult OutOfTime(Exchange& x) {
  ForwardResult result;
  result.end = ForwardEnd::kFailed;
  result.final = true;
  if (x.stream_end <= x.deadline) {
    ++x.connection.counters.downstream_rq_max_duration_reached;
    result.exceeded = TimeLimit::kStream;
    result.flag = ResponseFlag::kDurationTimeout;
    result.reason = "downstream duration timeout";
  } else {
    result.flag = ResponseFlag::kUpstreamRequestTimeout;
    result.exceeded = TimeLimit::kRequest;
    result.reason = "upstream request timeout";
  }
  return result;
}

ForwardResult ConnectFailure(const absl::Status& status) {
  ForwardResult result;
  result.end = ForwardEnd::kFailed;
  result.flag = ResponseFlag::kUpstreamConnectionFailure;
  result.outcome.kind = Outcome::Kind::kConnectFailure;
  result.reason = std::string(status.message());
  return result;
}

// Of one attempt, sent again as below: each time somebody else's idle close would have to be lost
// to.
constexpr int kMostRaces = 3;

// Whether sending again on another connection cannot do anything twice: the endpoint closed an idle
// connection as we took it into use, and not a byte of an answer came (RFC 9110, section 9.2.2); or
// it says that it did not look at the request (RFC 9113, section 8.7).
bool LostRaceWithClose(const Exchange& x, const Transfer& transfer) {
  static constexpr std::array<absl::string_view, 6> kIdempotent = {"GET", "HEAD",   "OPTIONS",
                                                                   "PUT", "DELETE", "TRACE"};
  const bool idempotent =
      std::find(kIdempotent.begin(), kIdempotent.end(), x.head.method) != kIdempotent.end();
  const auto kind = transfer.result().outcome.kind;
  const bool unseen =
      kind == Outcome::Kind::kResetBeforeRequest || kind == Outcome::Kind::kRefusedStream;
  return transfer.result().end == ForwardEnd::kFailed && !transfer.heard() && x.replayable &&
         (unseen || (kind == Outcome::Kind::kReset && idempotent));
}

// What came of an attempt is the pod's, where a gateway says which pod it was; but for one that
// broke off as the gateway went.
void NotePod(const Transfer& transfer, const Lease& lease, UpstreamChoice& choice) {
  const bool answered = transfer.result().outcome.kind == Outcome::Kind::kResponse;
  if (answered || !(lease.draining() || lease.cut())) choice.Reached(lease.pod());
}

}  // namespace

Task<ForwardResult> Forward(Exchange& x, UpstreamChoice& choice, const EndpointConfig& endpoint,
                            uint32_t attempt, MonotonicTime try_deadline) {
  ClusterState& state = choice.state();
  const ClusterConfig& cluster = choice.cluster();
  if (state.active_requests >= cluster.limits.max_requests) {
    ++state.counters.upstream_rq_pending_overflow;
    co_return Overflow();
  }
  const ActiveRequest busy(choice);
  ++state.counters.upstream_rq_total;
  Pool& pool = state.PoolOf(endpoint);
  Pool::Wanted wanted{cluster, endpoint, x.worker().options().mark,
                      std::min(x.deadline, x.stream_end)};
  wanted.http2_client = x.head.version == HttpVersion::kHttp2;
  wanted.tunnels = &x.worker().tunnels();
  if (endpoint.tunnel != nullptr) {
    wanted.traceparent = x.head.headers.Get("traceparent").value_or("");
  }
  if (x.forward->ends_connect && x.body.framing == BodyFraming::kTunnel && x.upgrade.empty()) {
    wanted.raw = true;
    wanted.avoid = x.tunnel.avoid;
    wanted.source = x.tunnel.source;
    if (x.tunnel.filter != nullptr) {
      wanted.pod = x.worker().PodName(x.tunnel.filter->pod_name_key, endpoint.address);
    }
  }
  for (int races = 0;; ++races) {
    Lease lease = pool.Take(wanted, x.loop().Now());
    if (!lease) {
      const bool bounded_by_request = wanted.deadline <= x.loop().Now() + cluster.connect_timeout;
      Pool::Acquired acquired = co_await pool.Acquire(x.loop(), wanted);
      const absl::Status& status = acquired.status;
      if (absl::IsResourceExhausted(status)) co_return Overflow();
      const bool out_of_time = bounded_by_request && absl::IsDeadlineExceeded(status);
      if (acquired.attempted && status.ok()) choice.ConnectSucceeded();
      choice.Reached(acquired.pod);
      if (acquired.attempted && !status.ok() && !out_of_time) choice.ConnectFailed();
      if (out_of_time) co_return OutOfTime(x);
      if (!status.ok()) co_return ConnectFailure(status);
      lease = std::move(acquired.lease);
    }
    Transfer transfer(x, lease, attempt);
    co_await transfer.Run(try_deadline);
    NotePod(transfer, lease, choice);
    if (transfer.upstream_ended()) {
      lease.Finish(x.loop().Now());
      co_return transfer.result();
    }
    lease.stream().Abort();
    const bool once_more = lease.reused() && !lease.cut() && races < kMostRaces;
    if (!once_more || !LostRaceWithClose(x, transfer)) co_return transfer.result();
    wanted.fresh = true;
  }
}

}  // namespace weft
