#include "proxy/serve/http_connection.h"

#include <algorithm>

#include "proxy/http/h1_encoder.h"
#include "proxy/net/write_all.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/request.h"

namespace weft {
namespace {

using Event = H1Decoder::Event;

// A client that takes longer for the head of a request (slowloris) is cut off, where the config
// states no limit of its own.
constexpr absl::Duration kHeadTimeout = absl::Seconds(60);
// A client that takes longer to read the last bytes of a response.
constexpr absl::Duration kFlushTimeout = absl::Seconds(60);

// How long we go on reading from a client that was answered before it had sent everything: closing
// earlier would reset the connection, and could take the answer with it.
constexpr absl::Duration kLinger = absl::Seconds(2);
// Requests served without a wait, or reads thrown away, before other connections get their turn.
constexpr int kBusyTurns = 32;

// Writes what is left for the client; false if it is gone.
Task<bool> Flush(HttpConnection& c) {
  EventLoop& loop = c.worker.loop();
  return WriteAll(loop, *c.downstream.stream, c.out, loop.Now() + kFlushTimeout);
}

void RejectMalformed(HttpConnection& c) {
  const H1Error& error = c.decoder.error();
  ++c.counters.downstream_rq_rejected;
  c.worker.CountRejection(error.reason);
  LocalReply reply;
  reply.status = error.status;
  reply.body = error.reason;
  reply.close = true;
  AppendLocalReply(reply, c.out);
  c.close = true;
}

// Reads until the next head, or the connection's end (false).
Task<bool> AwaitHead(HttpConnection& c) {
  EventLoop& loop = c.worker.loop();
  ByteStream& stream = *c.downstream.stream;
  const absl::Duration head_timeout = std::min(c.config.request_headers_timeout, kHeadTimeout);
  MonotonicTime started = kNever;
  while (true) {
    const Event event = c.decoder.Next(c.in);
    if (event == Event::kHead) co_return true;
    if (event == Event::kClosed) co_return false;
    if (event == Event::kError) {
      RejectMalformed(c);
      co_return false;
    }
    const IoResult got = stream.Read(c.in, Buffer::kBlockSize);
    if (got.status == IoStatus::kEof) c.decoder.OnEof();
    if (got.status == IoStatus::kError) co_return false;
    if (got.status != IoStatus::kBlocked) continue;
    const bool idle = c.decoder.at_start(c.in);
    if (idle && c.drain.draining()) co_return false;
    if (!idle && started == kNever) started = loop.Now();
    const MonotonicTime deadline =
        idle ? loop.Now() + c.config.idle_timeout : started + head_timeout;
    if (!idle && stream.ReadAgain()) continue;
    const bool notified = co_await Wait(loop, {&stream.readable(), &c.drain.started()}, deadline);
    if (!notified) co_return false;
  }
}

Task<> Linger(HttpConnection& c) {
  EventLoop& loop = c.worker.loop();
  ByteStream& stream = *c.downstream.stream;
  const MonotonicTime deadline = loop.Now() + kLinger;
  int reads = 0;
  while (loop.Now() < deadline) {
    c.in.Clear();
    const IoResult got = stream.Read(c.in, Buffer::kBlockSize);
    if (got.status == IoStatus::kEof || got.status == IoStatus::kError) co_return;
    if (got.status == IoStatus::kBlocked) {
      const bool notified = co_await Wait(loop, {&stream.readable()}, deadline);
      if (!notified) co_return;
    } else if (++reads % kBusyTurns == 0) {
      co_await Sleep(loop, absl::ZeroDuration());
    }
  }
}

// Whether the client may still be sending, or has sent more than we are going to look at.
bool HasMore(HttpConnection& c) { return c.decoder.Next(c.in) != Event::kEnd || !c.in.empty(); }

}  // namespace

Task<> ServeHttp(Worker& worker, Downstream& downstream, const HttpManagerConfig& config) {
  HttpConnection c(worker, downstream, config);
  const ActiveCount active(c.counters.downstream_cx_total, c.counters.downstream_cx_active);
  int served = 0;
  while (!c.close) {
    const bool has_request = co_await AwaitHead(c);
    if (!has_request) break;
    {
      Exchange x(c);
      co_await ServeRequest(x);
    }
    const bool flushed = co_await Flush(c);
    if (!flushed) co_return;
    if (!c.close) c.decoder.NextMessage();
    if (++served % kBusyTurns == 0) co_await Sleep(worker.loop(), absl::ZeroDuration());
  }
  if (c.broken) {
    downstream.stream->ResetOnClose();
    co_return;
  }
  const bool flushed = co_await Flush(c);
  downstream.stream->CloseWrite();
  if (c.close && flushed && HasMore(c)) co_await Linger(c);
}

}  // namespace weft
