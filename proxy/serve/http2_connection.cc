#include "proxy/serve/http2_connection.h"

#include <memory>
#include <utility>

#include "proxy/serve/exchange.h"
#include "proxy/serve/request.h"
#include "proxy/stream/h2_connection.h"

namespace weft {
namespace {

Task<> ServeStream(HttpConnection& c, std::unique_ptr<HttpStream> client) {
  {
    Exchange x(c, *client);
    co_await ServeRequest(x);
  }
  // What the connection takes no faster than the client reads; going earlier would cut it.
  (void)co_await FlushResponse(c.worker.loop(), *client);
}

}  // namespace

Task<> ServeHttp2(HttpConnection& c, Buffer already_read) {
  Worker& worker = c.worker;
  EventLoop& loop = worker.loop();
  H2Connection::Setup setup;
  setup.options = c.config.http2;
  setup.secure = c.downstream.chain->tls != nullptr;
  setup.counters = &worker.DownstreamHttp2Of(c.config.stat_prefix);
  setup.already_read = std::move(already_read);
  H2Connection connection(loop, *c.downstream.stream, std::move(setup));
  bool draining = false;
  {
    Scope requests;  // ends before the connection that they write to
    while (!connection.ended()) {
      while (std::unique_ptr<HttpStream> client = connection.TakeRequest()) {
        requests.Spawn(ServeStream(c, std::move(client)));
      }
      if (worker.draining() && !draining) {
        draining = true;
        connection.Drain();
        continue;
      }
      const MonotonicTime deadline =
          connection.idle() ? loop.Now() + c.config.idle_timeout : kNever;
      const bool notified = co_await Wait(
          loop, {&connection.arrived(), &connection.changed(), &c.drain.started()}, deadline);
      if (!notified && connection.idle() && !draining) {
        draining = true;
        connection.Drain();
      }
    }
  }
  if (connection.broken()) worker.CountRejection(connection.reason());
  c.downstream.stream->CloseWrite();
}

}  // namespace weft
