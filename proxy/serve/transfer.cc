#include "proxy/serve/transfer.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "proxy/http/grpc.h"
#include "proxy/serve/format_input.h"
#include "proxy/serve/mirror.h"

namespace weft {
namespace {

using Event = HttpStream::Event;
using Flushed = HttpStream::Flushed;

// A request's body up to this size is kept, so that it can be sent again (Envoy's
// per_connection_buffer_limit is 1 MiB; most retried bodies are far smaller than this).
constexpr size_t kMostReplayed = 64 * 1024;
// Pieces moved in one direction, and turns without a wait, before other connections get their turn:
// two fast peers would otherwise keep the worker for themselves.
constexpr int kMostMoves = 32;
constexpr int kBusyTurns = 4;

}  // namespace

Transfer::Transfer(Exchange& x, const Lease& lease, uint32_t attempt)
    : x_(x),
      lease_(lease),
      client_(x.client),
      upstream_(lease.stream()),
      attempt_(attempt),
      start_(x.loop().Now()) {
  upstream_.WriteHead(x.head, x.body);
  request_ended_ = x.body.framing == BodyFraming::kNone;
  if (!request_ended_ || attempt > 1) return;
  x.record.request_received = absl::ZeroDuration();
  if (!x.forward->mirrors.empty()) SendMirrors(x);
}

Task<> Transfer::Run(MonotonicTime try_deadline) {
  EventLoop& loop = x_.loop();
  int busy_turns = 0;
  while (true) {
    const bool sent = StepRequest();
    const bool received = !over_ && StepResponse();
    if (over_) co_return;
    if (sent || received) {
      if (++busy_turns % kBusyTurns == 0) co_await Sleep(loop, absl::ZeroDuration());
      continue;
    }
    busy_turns = 0;
    const Due due = FirstDue(try_deadline);
    const bool notified = co_await Wait(
        loop,
        {&upstream_.readable(), &upstream_.writable(), &client_.readable(), &client_.writable()},
        due.at);
    if (notified) continue;
    co_return TimedOut(due.limit);
  }
}

Transfer::Due Transfer::FirstDue(MonotonicTime try_deadline) const {
  Due first;
  const auto consider = [&first](MonotonicTime at, TimeLimit limit) {
    if (at < first.at) first = {at, limit};
  };
  consider(x_.stream_end, TimeLimit::kStream);
  if (!tunnel_) {
    consider(x_.deadline, TimeLimit::kRequest);
    consider(try_deadline, TimeLimit::kTry);
    consider(x_.loop().Now() + x_.policy.per_try_idle, TimeLimit::kTryIdle);
  }
  if (!x_.request_received) {
    consider(x_.start + x_.connection.config.request_timeout, TimeLimit::kReceiving);
  }
  consider(x_.loop().Now() + x_.policy.idle, TimeLimit::kIdle);
  return first;
}

// --- The request.

bool Transfer::sending() const {
  if (request_ended_ || write_broke_ || over_) return false;
  return x_.body.framing != BodyFraming::kTunnel || tunnel_;
}

bool Transfer::StepRequest() {
  bool moved = false;
  for (int moves = 0; moves < kMostMoves && sending() && MoveRequest(); ++moves) moved = true;
  if (over_) return true;
  FlushUpstream();
  // Once the request is complete nothing is expected from the client but its end, or the next one.
  if (!tunnel_ && !sending() && client_.PeerGone()) ClientGone();
  return moved || over_;
}

// Moves one piece; false if it cannot.
bool Transfer::MoveRequest() {
  if (replayed_ < x_.replay.size()) {
    const size_t taken = upstream_.Write(x_.replay.view().substr(replayed_));
    replayed_ += taken;
    wrote_request_ = wrote_request_ || taken > 0;
    return taken > 0;
  }
  if (x_.request_received && !tunnel_) {
    EndRequest();
    return true;
  }
  switch (client_.Next()) {
    case Event::kBody: {
      const absl::string_view body = client_.body();
      const size_t taken = upstream_.Write(body);
      if (taken == 0) return false;
      wrote_request_ = true;
      Keep(body.substr(0, taken));
      client_.Take(taken);
      return true;
    }
    case Event::kEnd:
      x_.request_received = true;
      EndRequest();
      return true;
    case Event::kBroken:
      ClientBroke();
      return true;
    case Event::kHead:
    case Event::kBlocked:
      break;
  }
  return false;
}

void Transfer::EndRequest() {
  if (attempt_ == 1) {
    NoteRequestTrailers(x_, client_.trailers());
    x_.record.request_received = x_.loop().Now() - x_.start;
    // Copied once it is here whole: what of it went on is in x.replay.
    if (!x_.forward->mirrors.empty() && x_.replayable && !tunnel_) SendMirrors(x_);
  }
  upstream_.WriteEnd(client_.trailers());
  request_ended_ = true;
}

// Remembers what went to this endpoint, for another.
void Transfer::Keep(absl::string_view piece) {
  x_.record.bytes_received += piece.size();
  if (!x_.replayable) return;
  if (x_.replay.size() + piece.size() > kMostReplayed) {
    x_.replayable = false;
    x_.replay.Clear();
  } else {
    x_.replay.Append(piece);
  }
  replayed_ = x_.replay.size();
}

void Transfer::FlushUpstream() {
  if (write_broke_) return;
  const Flushed flushed = upstream_.Flush();
  upstream_flushed_ = flushed == Flushed::kDone;
  if (flushed == Flushed::kBroken) {
    // It may have answered before it stopped reading: that answer counts.
    write_broke_ = true;
  } else {
    wrote_request_ = true;
  }
}

// --- The response.

bool Transfer::StepResponse() {
  bool moved = false;
  for (int moves = 0; moves < kMostMoves && !response_ended_ && !over_ && MoveResponse(); ++moves) {
    moved = true;
  }
  if (!over_) FlushClient();
  return moved || over_;
}

bool Transfer::MoveResponse() {
  if (lease_.cut() && !heard()) {
    GiveUp();
    return true;
  }
  switch (upstream_.Next()) {
    case Event::kHead:
      OnResponseHead();
      return true;
    case Event::kBody: {
      const size_t taken = client_.Write(upstream_.body());
      x_.record.bytes_sent += taken;
      upstream_.Take(taken);
      return taken > 0;
    }
    case Event::kEnd:
      if (const auto status = GrpcStatusIn(upstream_.trailers())) x_.record.grpc_status = *status;
      NoteResponseTrailers(x_, upstream_.trailers());
      client_.WriteEnd(upstream_.trailers());
      response_ended_ = true;
      return true;
    case Event::kBroken:
      UpstreamBroke();
      return true;
    case Event::kBlocked:
      break;
  }
  return false;
}

void Transfer::FlushClient() {
  const Flushed flushed = client_.Flush();
  if (flushed == Flushed::kBroken) return ClientGone();
  if (flushed == Flushed::kBlocked || !response_ended_) return;
  if (tunnel_ && !(request_ended_ && upstream_flushed_) && !write_broke_) return;
  Finish(ForwardEnd::kDone, ResponseFlag::kNone, "via_upstream");
}

void Transfer::OnResponseHead() {
  ResponseHead& head = upstream_.response();
  if (head.status < 200 && head.status != 101) {
    // The client was told 100 Continue by us; other interim responses pass.
    if (head.status == 100 && !x_.connection.config.proxy_100_continue) return;
    RemoveHopByHop(head.headers);
    client_.WriteHead(head, BodyLength());
    return;
  }
  if (WantsRetry()) {
    Finish(ForwardEnd::kFailed, ResponseFlag::kNone, "retriable status");
    result_.retry = true;
    return;
  }
  PassResponseHead();
}

// Whether the policy prefers another attempt to this response.
bool Transfer::WantsRetry() {
  ResponseHead& head = upstream_.response();
  result_.outcome.kind = Outcome::Kind::kResponse;
  result_.outcome.status = head.status;
  result_.latency = x_.loop().Now() - start_;
  result_.outcome.headers = &head.headers;
  const RetryPolicy* policy = x_.policy.retry();
  const bool wanted = x_.replayable && policy != nullptr &&
                      ShouldRetry(*policy, attempt_, result_.outcome, x_.head) && RetryAllowed(x_);
  if (wanted) result_.back_off = StatedBackOff(*policy, head.headers, absl::Now());
  result_.outcome.headers = nullptr;  // gone with the stream, while the result lives on
  return wanted;
}

// This is the response that the client gets.
void Transfer::PassResponseHead() {
  ResponseHead& head = upstream_.response();
  const bool asked = x_.body.framing == BodyFraming::kTunnel;
  const bool connect = x_.head.method == "CONNECT";
  tunnel_ = asked && (connect ? head.status / 100 == 2 : head.status == 101);
  x_.replay.Clear();
  x_.replayable = false;
  x_.record.upstream_time = x_.loop().Now() - x_.start;

  RemoveHopByHop(head.headers);
  if (tunnel_ && !connect) {
    head.headers.Set(KnownHeader::kConnection, "Upgrade");
    head.headers.Set(KnownHeader::kUpgrade, x_.upgrade);
  }
  const auto input = [&] { return InputOf(x_, &head); };
  ApplyMutations(x_.target->response_headers, head.headers, input);
  ApplyMutations(x_.route->response_headers, head.headers, input);
  StartResponse(x_, head, tunnel_ ? BodyLength{BodyFraming::kTunnel, 0} : upstream_.incoming());
  if (asked && !tunnel_) EndRequest();
}

// --- Ends.

void Transfer::Finish(ForwardEnd end, ResponseFlag flag, absl::string_view reason) {
  over_ = true;
  result_.end = end;
  result_.flag = flag;
  result_.reason.assign(reason.data(), reason.size());
}

void Transfer::TimedOut(TimeLimit limit) {
  // A slow client says nothing of the endpoint.
  if (limit != TimeLimit::kReceiving) result_.outcome.kind = Outcome::Kind::kPerTryTimeout;
  result_.exceeded = limit;
  result_.final = limit != TimeLimit::kTry && limit != TimeLimit::kTryIdle;
  const ForwardEnd end = x_.response_started ? ForwardEnd::kBroken : ForwardEnd::kFailed;
  DownstreamCounters& counters = x_.connection.counters;
  switch (limit) {
    case TimeLimit::kReceiving:
      ++counters.downstream_rq_timeout;
      return Finish(end, ResponseFlag::kNone, "request timeout");
    case TimeLimit::kStream:
      ++counters.downstream_rq_max_duration_reached;
      return Finish(end, ResponseFlag::kDurationTimeout, "downstream duration timeout");
    case TimeLimit::kIdle:
      ++counters.downstream_rq_idle_timeout;
      return Finish(end, ResponseFlag::kStreamIdleTimeout, "stream timeout");
    case TimeLimit::kTryIdle:
      return Finish(end, ResponseFlag::kStreamIdleTimeout, "upstream request timeout");
    case TimeLimit::kTry:
    case TimeLimit::kRequest:
    case TimeLimit::kNone:
      break;
  }
  Finish(end, ResponseFlag::kUpstreamRequestTimeout, "upstream request timeout");
}

void Transfer::ClientBroke() {
  const StreamFailure& failure = client_.failure();
  if (failure.kind != StreamFailure::Kind::kProtocol) return ClientGone();
  x_.worker().CountRejection(failure.reason);
  Finish(x_.response_started ? ForwardEnd::kBroken : ForwardEnd::kFailed,
         ResponseFlag::kDownstreamProtocolError, failure.reason);
  result_.final = true;
}

void Transfer::ClientGone() {
  Finish(ForwardEnd::kDone, ResponseFlag::kDownstreamTermination, "downstream_remote_disconnect");
}

// Whoever was asked is not expected to answer any more.
void Transfer::GiveUp() {
  result_.outcome.kind =
      wrote_request_ ? Outcome::Kind::kReset : Outcome::Kind::kResetBeforeRequest;
  Finish(ForwardEnd::kFailed, ResponseFlag::kUpstreamTermination, "endpoint is gone");
}

void Transfer::UpstreamBroke() {
  using Kind = Outcome::Kind;
  const StreamFailure& failure = upstream_.failure();
  const bool malformed = failure.kind == StreamFailure::Kind::kProtocol && heard();
  if (failure.kind == StreamFailure::Kind::kRefused) {
    result_.outcome.kind = Kind::kRefusedStream;
  } else {
    result_.outcome.kind = heard() || wrote_request_ ? Kind::kReset : Kind::kResetBeforeRequest;
  }
  const std::string cause = malformed ? "" : lease_.error();
  Finish(x_.response_started ? ForwardEnd::kBroken : ForwardEnd::kFailed,
         malformed ? ResponseFlag::kUpstreamProtocolError : ResponseFlag::kUpstreamTermination,
         cause.empty() ? absl::string_view(failure.reason) : absl::string_view(cause));
}

}  // namespace weft
