#include "proxy/serve/reverse_tunnel.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "proxy/base/log.h"
#include "proxy/net/tcp.h"
#include "proxy/serve/connection.h"
#include "proxy/serve/worker.h"
#include "proxy/stream/h2_connection.h"
#include "proxy/tls/tls_stream.h"

namespace weft {
namespace {

// A connection between two loops.
struct Moving {
  ~Moving() {
    if (fd >= 0) close(fd);  // the other loop has ended
  }
  int fd = -1;
  Buffer unread;
  Address local;
  Address peer;
  Address direct_peer;
  std::shared_ptr<const ListenerConfig> listener;
  Inspected inspected;
};

void Arrive(Worker& worker, Moving& moving) {
  auto socket = std::make_unique<TcpStream>(worker.loop(), std::exchange(moving.fd, -1),
                                            moving.local, moving.peer);
  socket->Unread(std::move(moving.unread));
  worker.SpawnConnection(ServeInspected(worker, std::move(socket), std::move(moving.direct_peer),
                                        std::move(moving.listener), std::move(moving.inspected)));
}

// Lets nobody open streams any more once none was open for as long as a draining client is given,
// and ends when the last one is over.
Task<> AwaitEnd(Worker& worker, Downstream& downstream, H2Connection& connection) {
  EventLoop& loop = worker.loop();
  const Worker::DrainNotice drain(downstream);
  bool draining = false;
  MonotonicTime quiet_since;
  while (!connection.ended()) {
    if (!std::exchange(draining, drain.draining()) || connection.open_streams() > 0) {
      quiet_since = loop.Now();
    }
    MonotonicTime until = kNever;  // pings end it if the peer is gone
    if (draining && !connection.going_away()) {
      until = downstream.drain_deadline;
      if (connection.open_streams() == 0) {
        until = std::min(until, quiet_since + downstream.drain_quiet);
      }
    }
    const bool notified =
        co_await Wait(loop, {&connection.changed(), &downstream.drain_started}, until);
    const bool needed = connection.open_streams() > 0 && loop.Now() < downstream.drain_deadline;
    if (!notified && !needed) connection.Drain();
  }
}

}  // namespace

bool HandedOver(Worker& worker, Downstream& downstream, const Inspected& inspected) {
  const WorkerOptions& options = worker.options();
  absl::string_view name = inspected.server_name;
  uint32_t index = 0;
  if (!absl::ConsumeSuffix(&name, ".reverse.weft") || !absl::SimpleAtoi(name, &index)) return false;
  if (index % options.workers == options.index) return false;
  auto moving = std::make_shared<Moving>();
  moving->unread = downstream.socket->TakeUnread();
  moving->local = downstream.socket->local_address();
  moving->peer = downstream.socket->peer_address();
  moving->direct_peer = downstream.direct_peer;
  moving->listener = downstream.listener;
  moving->inspected = inspected;
  moving->fd = downstream.socket->Release();
  options.post(index % options.workers, [moving](Worker& other) { Arrive(other, *moving); });
  return true;
}

Task<> ServeReverseTunnel(Worker& worker, Downstream& downstream) {
  // An identity counts only where the roots of its own trust domain vouched for it.
  const PeerCertificate* peer = downstream.tls != nullptr ? downstream.tls->peer() : nullptr;
  if (peer == nullptr || !peer->id.has_value()) {
    Log(LogLevel::kWarning, "gateway_refused",
        {{"listener", downstream.listener->name}, {"reason", "no proven trust domain"}});
    co_return;
  }
  H2Connection::Setup setup;
  setup.role = H2Connection::Role::kClient;
  setup.options = Http2Options::TowardsGateway();
  setup.secure = true;
  setup.counters = &worker.DownstreamHttp2Of("reverse_tunnel");
  H2Connection connection(worker.loop(), *downstream.stream, std::move(setup));
  Log(LogLevel::kInfo, "gateway_joined", {{"identity", downstream.peer_uri}});
  {
    const ReverseTunnels::Registration registered(worker.tunnels().reverse(),
                                                  peer->id->trust_domain, connection);
    co_await AwaitEnd(worker, downstream, connection);
  }
  Log(LogLevel::kInfo, "gateway_left",
      {{"identity", downstream.peer_uri}, {"reason", connection.reason()}});
}

}  // namespace weft
