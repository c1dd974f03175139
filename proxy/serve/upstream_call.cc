#include "proxy/serve/upstream_call.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "proxy/serve/upstream_choice.h"
#include "proxy/serve/worker.h"

namespace weft {
namespace {

using Event = HttpStream::Event;

// An answer's body; what the proxy asks for is far smaller.
constexpr size_t kMostAnswer = 256 * 1024;
// Endpoints tried, of those that cannot be reached.
constexpr int kMostAttempts = 3;

enum class Progress { kWaiting, kDone, kFailed };

// One try of a call on one connection.
class Attempt {
 public:
  Attempt(HttpStream& stream, const UpstreamCall& call, CallAnswer& answer)
      : stream_(stream), left_(call.body), answer_(answer), sent_(call.body.empty()) {
    const BodyLength length =
        sent_ ? BodyLength() : BodyLength{BodyFraming::kLength, call.body.size()};
    stream_.WriteHead(call.head, length);
  }

  // Moves what can be moved, both ways.
  Progress Move() {
    Send();
    while (true) {
      switch (stream_.Next()) {
        case Event::kHead:
          if (stream_.response().status == 101) return Fail("switches protocols unasked");
          if (stream_.response().status >= 200) answer_.head = stream_.response();
          break;
        case Event::kBody:
          if (answer_.body.size() + stream_.body().size() > kMostAnswer) {
            return Fail("the answer is too large");
          }
          answer_.body.append(stream_.body().data(), stream_.body().size());
          stream_.Take(stream_.body().size());
          break;
        case Event::kEnd:
          answer_.trailers = stream_.trailers();
          return Progress::kDone;
        case Event::kBroken:
          return Fail(stream_.failure().reason);
        case Event::kBlocked:
          return Progress::kWaiting;
      }
    }
  }

  // All of the request is on its way.
  bool sent() const { return sent_ && flushed_; }

 private:
  void Send() {
    while (!left_.empty()) {
      const size_t taken = stream_.Write(left_);
      if (taken == 0) break;
      left_.remove_prefix(taken);
    }
    if (left_.empty() && !sent_) {
      stream_.WriteEnd(Headers());
      sent_ = true;
    }
    flushed_ = stream_.Flush() == HttpStream::Flushed::kDone;
  }

  Progress Fail(absl::string_view reason) {
    answer_.failure = reason.empty() ? "reset" : std::string(reason);
    return Progress::kFailed;
  }

  HttpStream& stream_;
  absl::string_view left_;
  CallAnswer& answer_;
  bool sent_;
  bool flushed_ = false;
};

// A place on a connection; why there is none in `failure`. `again`: another endpoint may help.
Task<Lease> Reach(Worker& worker, UpstreamChoice& choice, Pool& pool, Pool::Wanted wanted,
                  std::string& failure, bool& again) {
  Lease lease = pool.Take(wanted, worker.loop().Now());
  if (lease) co_return lease;
  Pool::Acquired acquired = co_await pool.Acquire(worker.loop(), wanted);
  if (acquired.status.ok()) {
    if (acquired.attempted) choice.ConnectSucceeded();
    co_return std::move(acquired.lease);
  }
  const bool late = worker.loop().Now() >= wanted.deadline;
  choice.Reached(acquired.pod);
  if (acquired.attempted && !late) choice.ConnectFailed();
  failure = late ? "timed out" : std::string(acquired.status.message());
  again = acquired.attempted && !late;
  co_return Lease();
}

void Report(const CallAnswer& answer, absl::Duration latency, bool late, UpstreamChoice& choice) {
  ClusterCounters& counters = choice.state().counters;
  if (!answer.failure.empty()) {
    if (late) ++counters.upstream_rq_timeout;
    return choice.LocalFailed(late ? LocalFailure::kTimeout : LocalFailure::kReset);
  }
  choice.Responded(answer.head.status, latency);
  counters.upstream_rq_time.Record(latency);
  const int status_class = answer.head.status / 100;
  if (status_class >= 1 && status_class <= 5) ++counters.upstream_rq_xx[status_class];
}

// Whether to try once more is in `again`. `fresh`: on no connection that may have been closed
// meanwhile.
Task<CallAnswer> CallEndpoint(Worker& worker, UpstreamChoice& choice,
                              const EndpointConfig& endpoint, const UpstreamCall& call, bool fresh,
                              bool& again) {
  CallAnswer answer;
  ClusterState& state = choice.state();
  const ActiveRequest busy(choice);
  ++state.counters.upstream_rq_total;
  Pool::Wanted wanted{choice.cluster(), endpoint, worker.options().mark, call.deadline};
  wanted.http2_client = call.http2;
  wanted.fresh = fresh;
  wanted.tunnels = &worker.tunnels();
  Lease lease =
      co_await Reach(worker, choice, state.PoolOf(endpoint), wanted, answer.failure, again);
  if (!lease) co_return answer;

  EventLoop& loop = worker.loop();
  const MonotonicTime start = loop.Now();
  HttpStream& stream = lease.stream();
  Attempt attempt(stream, call, answer);
  Progress progress = attempt.Move();
  bool late = false;
  while (progress == Progress::kWaiting && !late) {
    const bool notified =
        co_await Wait(loop, {&stream.readable(), &stream.writable()}, call.deadline);
    late = !notified;
    if (notified) progress = attempt.Move();
  }
  if (late) answer.failure = "timed out";
  if (answer.failure.empty() || !lease.draining()) choice.Reached(lease.pod());
  Report(answer, loop.Now() - start, late, choice);
  if (progress == Progress::kDone && attempt.sent()) {
    lease.Finish(loop.Now());
  } else {
    // An idle connection that the endpoint closed as we took it into use.
    again = progress == Progress::kFailed && lease.reused() && !stream.heard();
    stream.Abort();
  }
  co_return answer;
}

}  // namespace

Task<CallAnswer> CallUpstream(Worker& worker, const ClusterConfig& cluster,
                              const Downstream& downstream, UpstreamCall call) {
  UpstreamChoice choice(worker, cluster, downstream, std::nullopt);
  ClusterState& state = choice.state();
  CallAnswer answer;
  if (state.active_requests >= cluster.limits.max_requests) {
    ++state.counters.upstream_rq_pending_overflow;
    answer.failure = "overflow";
    co_return answer;
  }
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    const EndpointConfig* endpoint = choice.Next();
    if (endpoint == nullptr) {
      ++state.counters.upstream_cx_none_healthy;
      if (attempt == 0) answer.failure = "no healthy upstream";
      co_return answer;
    }
    bool again = false;
    answer = co_await CallEndpoint(worker, choice, *endpoint, call, attempt > 0, again);
    if (!again) co_return answer;
  }
  co_return answer;
}

}  // namespace weft
