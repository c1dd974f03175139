#include "proxy/serve/reverse_tunnel.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "absl/random/random.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "certs/spiffe_id.h"
#include "proxy/base/log.h"
#include "proxy/net/tcp.h"
#include "proxy/serve/connection.h"
#include "proxy/serve/http_connection.h"
#include "proxy/serve/worker.h"
#include "proxy/stream/h2_connection.h"
#include "proxy/tls/tls_stream.h"

namespace weft {
namespace {

constexpr absl::Duration kDialTimeout = absl::Seconds(5);
constexpr absl::Duration kBackoffFirst = absl::Milliseconds(100);
constexpr absl::Duration kBackoffMost = absl::Seconds(5);
// One that lasted as long was a good one: the next attempt need not wait.
constexpr absl::Duration kGood = absl::Seconds(10);
// Many readers share the connection's window.
constexpr uint32_t kConnectionWindow = 64 << 20;

Http2Options ClientOptions() {
  Http2Options options;
  options.keepalive_interval = Tunnels::kPingInterval;
  options.keepalive_timeout = Tunnels::kPingTimeout;
  options.initial_connection_window_size = kConnectionWindow;
  return options;
}

const FilterChainConfig* ChainOf(const ListenerConfig& listener) {
  if (!listener.chains.empty()) return &listener.chains.front();
  return listener.default_chain.has_value() ? &*listener.default_chain : nullptr;
}

// As if it had been accepted, with TLS done.
Task<> ServeDialed(Worker& worker, std::unique_ptr<TlsStream> stream, TcpStream* socket,
                   std::shared_ptr<const ListenerConfig> listener) {
  Downstream downstream;
  downstream.socket = socket;
  downstream.tls = stream.get();
  if (const PeerCertificate* peer = stream->peer()) {
    if (!peer->names.uris.empty()) downstream.peer_uri = peer->names.uris.front();
    downstream.peer_subject = peer->subject;
    downstream.peer_hash = peer->sha256;
  }
  downstream.own_uri = stream->local_uri();
  downstream.alpn = std::string(stream->alpn());
  downstream.direct_peer = stream->peer_address();
  downstream.destination = stream->local_address();
  downstream.meant_for_us = true;
  downstream.stream = std::move(stream);
  downstream.listener = std::move(listener);
  downstream.chain = ChainOf(*downstream.listener);
  const auto* http = downstream.chain == nullptr
                         ? nullptr
                         : std::get_if<HttpManagerConfig>(&downstream.chain->service);
  if (http == nullptr) co_return;
  const Worker::Live live(worker, downstream);
  co_await ServeHttp(worker, downstream, *http);
}

// Why there is no connection; OK once there was one, and it has ended.
Task<absl::Status> DialOnce(Worker& worker, std::shared_ptr<const ListenerConfig> listener,
                            Address gateway, size_t index) {
  ConnectOptions options;
  options.mark = worker.options().mark;
  options.deadline = worker.loop().Now() + kDialTimeout;
  auto connected = co_await Connect(worker.loop(), gateway, options);
  if (!connected.ok()) co_return connected.status();
  TcpStream* socket = connected->get();
  auto secured = co_await TlsStream::Connect(worker.loop(), *std::move(connected),
                                             listener->dial->tls[index], options.deadline);
  if (!secured.ok()) {
    co_return absl::Status(secured.status().code(), absl::StrCat("TLS with ", gateway.ToString(),
                                                                 ": ", secured.status().message()));
  }
  co_await ServeDialed(worker, *std::move(secured), socket, std::move(listener));
  co_return absl::OkStatus();
}

}  // namespace

bool HandedOver(Worker& worker, Downstream& downstream, absl::string_view server_name) {
  const WorkerOptions& options = worker.options();
  uint32_t index = 0;
  if (!absl::ConsumeSuffix(&server_name, ".reverse.weft")) return false;
  if (!absl::SimpleAtoi(server_name, &index) || index % options.workers == options.index) {
    return false;
  }
  // Another loop watches the same connection by a descriptor of its own.
  const int fd = fcntl(downstream.socket->fd(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return false;
  auto bytes = std::make_shared<Buffer>(downstream.socket->TakeUnread());
  options.post(index % options.workers, [fd, bytes, listener = downstream.listener](Worker& other) {
    auto stream = std::make_unique<TcpStream>(other.loop(), fd);
    stream->Unread(std::move(*bytes));
    other.TakeOver(std::move(stream), listener);
  });
  return true;
}

Task<> ServeReverseTunnel(Worker& worker, Downstream& downstream) {
  const auto peer = certs::SpiffeId::Parse(downstream.peer_uri);
  if (!peer.ok()) co_return;
  H2Counters counters;
  H2Connection::Setup setup;
  setup.role = H2Connection::Role::kClient;
  setup.options = ClientOptions();
  setup.secure = true;
  setup.counters = &counters;
  H2Connection connection(worker.loop(), *downstream.stream, std::move(setup));
  Log(LogLevel::kInfo, "gateway_joined", {{"identity", downstream.peer_uri}});
  Worker::DrainNotice drain(downstream);
  {
    const ReverseTunnels::Registration registered(worker.tunnels().reverse(), peer->trust_domain,
                                                  connection);
    while (!connection.going_away() && !drain.draining()) {
      co_await Wait(worker.loop(), {&connection.changed(), &drain.started()});
    }
  }
  connection.Drain();
  while (!connection.ended() && worker.loop().Now() < downstream.drain_deadline) {
    co_await Wait(worker.loop(), {&connection.changed()}, downstream.drain_deadline);
  }
  Log(LogLevel::kInfo, "gateway_left",
      {{"identity", downstream.peer_uri}, {"reason", connection.reason()}});
}

Task<> KeepDialed(Worker& worker, std::string listener, Address gateway, size_t index) {
  absl::Duration backoff = kBackoffFirst;
  std::string told;
  while (true) {
    const auto& listeners = worker.config()->listeners;
    const auto config = listeners.find(listener);
    const MonotonicTime begun = worker.loop().Now();
    absl::Status status = absl::UnavailableError("not configured");
    if (config != listeners.end() && config->second->dial != nullptr &&
        index < config->second->dial->tls.size()) {
      status = co_await DialOnce(worker, config->second, gateway, index);
    }
    if (!status.ok() && status.message() != told) {
      told = std::string(status.message());
      Log(LogLevel::kWarning, "dial_failed",
          {{"listener", listener}, {"gateway", gateway.ToString()}, {"reason", told}});
    }
    if (worker.loop().Now() - begun >= kGood) backoff = kBackoffFirst;
    // In its upper half at random, so that a gateway that comes back is not dialed by all at once.
    co_await Sleep(worker.loop(), backoff * absl::Uniform<double>(worker.random(), 0.5, 1.0));
    backoff = std::min(backoff * 2, kBackoffMost);
  }
}

}  // namespace weft
