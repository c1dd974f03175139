#include "proxy/serve/http_connection.h"

#include <utility>

#include "proxy/serve/exchange.h"
#include "proxy/serve/http2_connection.h"
#include "proxy/serve/linger.h"
#include "proxy/serve/reply.h"
#include "proxy/serve/request.h"
#include "proxy/stream/h1_server_stream.h"

namespace weft {
namespace {

using Event = HttpStream::Event;

// Requests served without a wait before other connections get their turn.
constexpr int kBusyTurns = 32;

constexpr absl::string_view kHttp2Alpn = "h2";

// A client may speak HTTP/2 without saying so before (prior knowledge), in plaintext.
bool IsHttp2(const HttpConnection& c, const H1ServerStream& client) {
  return c.config.codec == CodecType::kAuto && client.AtHttp2Preface();
}

// When a connection without a request since `since` ends.
MonotonicTime QuietUntil(HttpConnection& c, MonotonicTime since) {
  const MonotonicTime usual = std::min(since + c.config.idle_timeout, c.expires);
  if (!c.drain.draining()) return usual;
  return std::min({usual, since + c.downstream.drain_quiet, c.downstream.drain_deadline});
}

// The head took too long, or did not begin to come.
void OnSilence(HttpConnection& c, H1ServerStream& client, MonotonicTime since) {
  if (!client.idle()) {
    ++c.counters.downstream_rq_header_timeout;
    return RefuseHead(client, 408, "request header timeout");
  }
  if (!c.Ending() && c.worker.loop().Now() >= since + c.config.idle_timeout) {
    ++c.counters.downstream_cx_idle_timeout;
  }
}

// Reads until the next head, or the connection's end (false).
Task<bool> AwaitHead(HttpConnection& c, H1ServerStream& client) {
  EventLoop& loop = c.worker.loop();
  const absl::Duration head_timeout = HeadTimeout(c.config);
  const MonotonicTime since = loop.Now();
  MonotonicTime started = kNever;
  while (true) {
    const Event event = client.Next();
    if (event == Event::kHead) co_return true;
    if (event == Event::kBroken) {
      if (IsHttp2(c, client)) co_return false;
      if (client.failure().kind == StreamFailure::Kind::kProtocol) RejectMalformed(c, client);
      co_return false;
    }
    const bool idle = client.idle();
    if (!idle && started == kNever) started = loop.Now();
    const MonotonicTime deadline = idle ? QuietUntil(c, since) : started + head_timeout;
    const bool notified = co_await Wait(loop, {&client.readable(), &c.drain.started()}, deadline);
    if (notified) continue;
    OnSilence(c, client, since);
    co_return false;
  }
}

// One request after the other. The bytes of a client that turned out to speak HTTP/2; else none.
Task<Buffer> ServeHttp1(HttpConnection& c) {
  EventLoop& loop = c.worker.loop();
  H1ServerStream client(*c.downstream.stream, {size_t{c.config.max_request_headers_kb} * 1024,
                                               c.config.max_headers_count});
  int served = 0;
  while (true) {
    const bool has_request = co_await AwaitHead(c, client);
    if (!has_request) break;
    {
      Exchange x(c, client);
      co_await ServeRequest(x);
    }
    if (client.aborted()) co_return Buffer();
    const bool flushed = co_await FlushResponse(c, client);
    if (!flushed) co_return Buffer();
    if (!client.Reusable()) break;
    client.NextRequest();
    if (++served % kBusyTurns == 0) co_await Sleep(loop, absl::ZeroDuration());
  }
  if (IsHttp2(c, client)) co_return client.TakeUnread();
  const bool flushed = co_await FlushResponse(c, client);
  c.downstream.stream->CloseWrite();
  if (flushed && client.HasMore()) co_await Linger(loop, *c.downstream.stream);
  co_return Buffer();
}

}  // namespace

Task<> ServeHttp(Worker& worker, Downstream& downstream, const HttpManagerConfig& config) {
  HttpConnection c(worker, downstream, config);
  const ActiveCount active(c.counters.downstream_cx_total, c.counters.downstream_cx_active);
  Buffer preface;
  const bool http2 = config.codec == CodecType::kHttp2 ||
                     (config.codec == CodecType::kAuto && downstream.alpn == kHttp2Alpn);
  if (!http2) {
    preface = co_await ServeHttp1(c);
    if (preface.empty()) co_return;
  }
  co_await ServeHttp2(c, std::move(preface));
}

}  // namespace weft
