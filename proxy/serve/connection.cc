#include "proxy/serve/connection.h"

#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "proxy/base/log.h"
#include "proxy/decide/match_chain.h"
#include "proxy/serve/authorization.h"
#include "proxy/serve/http_connection.h"
#include "proxy/serve/tcp_connection.h"
#include "proxy/serve/worker.h"
#include "proxy/tls/client_hello.h"
#include "proxy/tls/tls_stream.h"

namespace weft {
namespace {

// A handshake that takes longer is an attack or a dead peer (Envoy's
// transport_socket_connect_timeout has no default; this one is generous across continents).
constexpr absl::Duration kHandshakeTimeout = absl::Seconds(10);

// Looks at the first bytes without taking them: TLS and what for, or not. Nothing if the connection
// is broken, or silent for too long.
Task<std::optional<ClientHello>> Inspect(EventLoop& loop, TcpStream& stream,
                                         const ListenerConfig& listener) {
  const MonotonicTime deadline = loop.Now() + listener.listener_filters_timeout;
  std::string peeked;
  while (true) {
    const IoResult got = stream.Peek(peeked, kMaxSniffedBytes);
    if (got.status == IoStatus::kError || got.status == IoStatus::kEof) co_return std::nullopt;
    if (got.ok()) {
      ClientHello hello = ParseClientHello(peeked);
      if (hello.state == ClientHelloState::kInvalid) co_return std::nullopt;
      if (hello.state != ClientHelloState::kNeedMore) co_return hello;
    }
    const bool notified = co_await Wait(loop, {&stream.readable()}, deadline);
    if (notified) continue;
    if (!listener.continue_on_listener_filters_timeout) co_return std::nullopt;
    ClientHello silent;
    silent.state = ClientHelloState::kNotTls;
    co_return silent;
  }
}

// Terminates TLS; false if the handshake failed.
Task<bool> Secure(Worker& worker, Downstream& downstream, ListenerCounters& counters) {
  const MonotonicTime deadline = worker.loop().Now() + kHandshakeTimeout;
  auto secured = co_await TlsStream::Accept(worker.loop(), std::move(downstream.stream),
                                            downstream.chain->tls, Buffer(), deadline);
  if (!secured.ok()) {
    ++counters.ssl_connection_error;
    Log(LogLevel::kDebug, "tls_handshake_failed",
        {{"listener", downstream.listener->name},
         {"chain", downstream.chain->name},
         {"reason", std::string(secured.status().message())}});
    co_return false;
  }
  ++counters.ssl_handshake;
  if (const PeerCertificate* peer = (*secured)->peer()) {
    if (!peer->names.uris.empty()) downstream.peer_uri = peer->names.uris.front();
    downstream.peer_subject = peer->subject;
    downstream.peer_hash = peer->sha256;
  }
  downstream.own_uri = (*secured)->local_uri();
  downstream.server_name = std::string((*secured)->sni());
  downstream.alpn = std::string((*secured)->alpn());
  downstream.stream = std::move(*secured);
  co_return true;
}

}  // namespace

Task<> ServeConnection(Worker& worker, std::unique_ptr<TcpStream> accepted,
                       std::shared_ptr<const ListenerConfig> listener) {
  Downstream downstream;
  downstream.destination = accepted->local_address();
  if (listener->original_dst) {
    if (std::optional<Address> original = accepted->OriginalDestination()) {
      downstream.destination = *original;
    }
  }
  downstream.meant_for_us = downstream.destination.port() == listener->address.port() &&
                            downstream.destination == accepted->local_address();
  if (listener->use_original_dst) {
    const std::shared_ptr<const Snapshot>& config = worker.config();
    const ListenerConfig* meant = MatchListener(*config, downstream.destination);
    if (meant != nullptr) listener = config->listeners.at(meant->name);
  }
  downstream.listener = listener;
  ListenerCounters& counters = worker.ListenerOf(listener->name);
  const ActiveCount active(counters.downstream_cx_total, counters.downstream_cx_active);

  ConnectionFacts facts;
  facts.destination = downstream.destination;
  std::optional<ClientHello> hello;
  if (listener->tls_inspector) {
    hello = co_await Inspect(worker.loop(), *accepted, *listener);
    if (!hello.has_value()) {
      ++counters.downstream_listener_filter_error;
      co_return;
    }
    if (hello->state == ClientHelloState::kClientHello) {
      facts.tls = true;
      facts.server_name = hello->server_name;
      facts.application_protocols = hello->alpn;
      downstream.server_name = hello->server_name;
    }
  }

  downstream.chain = MatchChain(*listener, facts);
  if (downstream.chain == nullptr) {
    ++counters.no_filter_chain_match;
    co_return;
  }
  downstream.stream = std::move(accepted);
  if (downstream.chain->tls != nullptr) {
    const bool secured = co_await Secure(worker, downstream, counters);
    if (!secured) co_return;
  }

  if (!AuthorizeConnection(downstream)) {
    ++counters.rbac_denied;
    co_return;
  }
  if (const auto* http = std::get_if<HttpManagerConfig>(&downstream.chain->service)) {
    co_await ServeHttp(worker, downstream, *http);
  } else {
    co_await ServeTcp(worker, downstream, std::get<TcpProxyConfig>(downstream.chain->service));
  }
}

}  // namespace weft
