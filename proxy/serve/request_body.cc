#include "proxy/serve/request_body.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "proxy/serve/exchange.h"

namespace weft {
namespace {

using Event = HttpStream::Event;

void TellToGoOn(Exchange& x) {
  x.head.headers.Remove(KnownHeader::kExpect);
  ResponseHead go_on;
  go_on.status = 100;
  x.client.WriteHead(go_on, BodyLength());
  x.client.Flush();
}

bool AwaitsGoAhead(const Exchange& x) {
  const auto expect = x.head.headers.Get(KnownHeader::kExpect);
  if (!expect.has_value() || !absl::EqualsIgnoreCase(*expect, "100-continue")) return false;
  const bool has_body = x.body.framing == BodyFraming::kChunked || x.body.length > 0;
  return has_body && x.head.version != HttpVersion::kHttp10;
}

Answer TooLarge() {
  return {413, ResponseFlag::kNone, "request_payload_too_large", "Payload Too Large", {}};
}

Answer Broken(Exchange& x) {
  const StreamFailure& failure = x.client.failure();
  if (failure.kind != StreamFailure::Kind::kProtocol) {
    return {400, ResponseFlag::kDownstreamTermination, "downstream_remote_disconnect", "", {}};
  }
  x.worker().CountRejection(failure.reason);
  return {400, ResponseFlag::kDownstreamProtocolError, failure.reason, failure.reason, {}};
}

// The client took too long, as a whole or between two pieces.
Answer TimedOut(Exchange& x, bool idle) {
  DownstreamCounters& counters = x.connection.counters;
  if (idle) {
    ++counters.downstream_rq_idle_timeout;
    return {408, ResponseFlag::kStreamIdleTimeout, "stream_idle_timeout", "stream timeout", {}};
  }
  ++counters.downstream_rq_timeout;
  return {408, ResponseFlag::kNone, "request_overall_timeout", "request timeout", {}};
}

// Takes what is here. kBlocked: there may be more; kHead is never returned.
Event TakeBody(Exchange& x, size_t most) {
  while (true) {
    const Event event = x.client.Next();
    if (event == Event::kHead) return Event::kBlocked;
    if (event == Event::kEnd) x.request_received = true;
    if (event != Event::kBody || x.replay.size() >= most) return event;
    const absl::string_view body = x.client.body();
    const absl::string_view piece = body.substr(0, std::min(body.size(), most - x.replay.size()));
    x.replay.Append(piece);
    x.record.bytes_received += piece.size();
    x.client.Take(piece.size());
  }
}

}  // namespace

void AnswerExpectation(Exchange& x) {
  if (AwaitsGoAhead(x) && !x.connection.config.proxy_100_continue) TellToGoOn(x);
}

Task<std::optional<Answer>> BufferBody(Exchange& x, size_t most, bool partial) {
  const bool known = x.body.framing == BodyFraming::kLength;
  if (known && x.body.length > most && !partial) co_return TooLarge();
  // Config that leaves it to the endpoint cannot mean this body, which is wanted before.
  if (!x.request_received && AwaitsGoAhead(x)) TellToGoOn(x);
  const HttpManagerConfig& config = x.connection.config;
  const MonotonicTime all_due = x.start + config.request_timeout;
  while (!x.request_received) {
    switch (TakeBody(x, most)) {
      case Event::kBody:  // and no room for it
        if (partial) co_return std::nullopt;
        co_return TooLarge();
      case Event::kBroken:
        co_return Broken(x);
      case Event::kEnd:
      case Event::kHead:
      case Event::kBlocked:
        break;
    }
    if (x.request_received || (partial && x.replay.size() >= most)) break;
    const MonotonicTime idle_due = x.loop().Now() + config.stream_idle_timeout;
    const bool notified =
        co_await Wait(x.loop(), {&x.client.readable()}, std::min(all_due, idle_due));
    if (!notified) co_return TimedOut(x, idle_due < all_due);
  }
  co_return std::nullopt;
}

}  // namespace weft
