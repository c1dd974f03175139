#include "proxy/serve/http2_connection.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "proxy/serve/exchange.h"
#include "proxy/serve/linger.h"
#include "proxy/serve/reply.h"
#include "proxy/serve/request.h"
#include "proxy/stream/h2_connection.h"

namespace weft {
namespace {

Task<> ServeStream(HttpConnection& c, std::unique_ptr<HttpStream> client) {
  if (client->Next() == HttpStream::Event::kHead) {
    Exchange x(c, *client);
    co_await ServeRequest(x);
  } else if (client->failure().kind == StreamFailure::Kind::kProtocol) {
    RejectMalformed(c, *client);
  }
  // What the connection takes no faster than the client reads; going earlier would cut it.
  (void)co_await FlushResponse(c, *client);
}

// Serves until either side ends the connection; why, if it broke, else "".
Task<const char*> ServeStreams(HttpConnection& c, Buffer already_read) {
  Worker& worker = c.worker;
  EventLoop& loop = worker.loop();
  H2Connection::Setup setup;
  setup.options = c.config.http2;
  setup.secure = c.downstream.tls != nullptr;
  setup.counters = &worker.DownstreamHttp2Of(c.config.stat_prefix);
  setup.already_read = std::move(already_read);
  setup.head_timeout = HeadTimeout(c.config);
  H2Connection connection(loop, *c.downstream.stream, std::move(setup));
  // Who comes while clients are asked to go gets an answer first: it may not ask before it has
  // heard from us, and would come again and again.
  const bool came_late = c.drain.draining();
  Scope requests;  // ends before the connection that they write to
  while (!connection.ended()) {
    while (std::unique_ptr<HttpStream> client = connection.TakeRequest()) {
      requests.Spawn(ServeStream(c, std::move(client)));
    }
    const bool may_end = !came_late || c.requests > 0 || loop.Now() >= c.expires;
    if (may_end && c.Ending()) connection.Drain(c.config.drain_timeout);
    if (connection.going_away()) c.downstream.Leave();
    const bool idle = connection.idle() && !connection.going_away();
    const MonotonicTime idle_end = idle ? loop.Now() + c.config.idle_timeout : kNever;
    const MonotonicTime end = c.ending ? kNever : c.expires;
    const bool notified =
        co_await Wait(loop, {&connection.arrived(), &connection.changed(), &c.drain.started()},
                      std::min(idle_end, end));
    if (notified || end <= idle_end) continue;
    ++c.counters.downstream_cx_idle_timeout;
    connection.Drain(c.config.drain_timeout);
  }
  c.downstream.Leave();
  const absl::string_view reason = connection.reason();
  if (reason == H2Connection::kHeadTimeout) ++c.counters.downstream_rq_header_timeout;
  co_return connection.broken() ? connection.reason() : "";
}

}  // namespace

Task<> ServeHttp2(HttpConnection& c, Buffer already_read) {
  const char* broken = co_await ServeStreams(c, std::move(already_read));
  c.downstream.stream->CloseWrite();
  if (*broken == 0) co_return;
  c.worker.CountRejection(broken);
  co_await Linger(c.worker.loop(), *c.downstream.stream);
}

}  // namespace weft
