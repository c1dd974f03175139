#include "proxy/serve/connection.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "proxy/base/log.h"
#include "proxy/decide/match_chain.h"
#include "proxy/serve/authorization.h"
#include "proxy/serve/http_connection.h"
#include "proxy/serve/listener_filters.h"
#include "proxy/serve/reverse_tunnel.h"
#include "proxy/serve/tcp_connection.h"
#include "proxy/serve/worker.h"
#include "proxy/tls/tls_stream.h"

namespace weft {

void TakeSecured(Downstream& downstream, std::unique_ptr<TlsStream> stream) {
  if (const PeerCertificate* peer = stream->peer()) {
    if (!peer->names.uris.empty()) downstream.peer_uri = peer->names.uris.front();
    downstream.peer_subject = peer->subject;
    downstream.peer_hash = peer->sha256;
  }
  downstream.own_uri = stream->local_uri();
  downstream.alpn = std::string(stream->alpn());
  downstream.server_name = absl::AsciiStrToLower(stream->sni());
  downstream.tls = stream.get();
  downstream.stream = std::move(stream);
}

namespace {

// Terminates TLS; false if the handshake failed.
Task<bool> Secure(Worker& worker, Downstream& downstream, ListenerCounters& counters) {
  const MonotonicTime deadline = worker.loop().Now() + downstream.chain->handshake_timeout;
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
  if ((*secured)->resumed()) ++counters.ssl_session_reused;
  TakeSecured(downstream, *std::move(secured));
  co_return true;
}

// Where the client meant to go, and by which listener it is to be served: `accepted_by`, or, with
// use_original_dst, that of the original destination.
void FindListener(Worker& worker, Downstream& downstream,
                  std::shared_ptr<const ListenerConfig> accepted_by) {
  TcpStream& socket = *downstream.socket;
  const auto& filters = accepted_by->filters;
  const Address accepted_at = socket.local_address();
  if (std::find(filters.begin(), filters.end(), ListenerFilter::kOriginalDst) != filters.end()) {
    // Where TPROXY brought it, the local address is the original one.
    if (std::optional<Address> original = socket.OriginalDestination()) {
      socket.Present(*original, socket.peer_address());
    }
  }
  const Address& meant = socket.local_address();
  downstream.meant_for_us = meant == accepted_at && meant.port() == accepted_by->address.port();
  if (accepted_by->use_original_dst) {
    const std::shared_ptr<const Snapshot>& config = worker.config();
    const ListenerConfig* other = MatchListener(*config, meant);
    if (other != nullptr) accepted_by = config->listeners.at(other->name);
  }
  downstream.listener = std::move(accepted_by);
}

const FilterChainConfig* ChooseChain(const Downstream& downstream, const Inspected& inspected) {
  ConnectionFacts facts;
  facts.destination = downstream.destination;
  facts.source = downstream.stream->peer_address();
  facts.direct_source = downstream.direct_peer;
  facts.server_name = inspected.server_name;
  facts.application_protocols = inspected.application_protocols;
  facts.tls = inspected.tls;
  return MatchChain(*downstream.listener, facts);
}

// The listener that has the name of `listener` by now.
std::shared_ptr<const ListenerConfig> LatestOf(Worker& worker,
                                               std::shared_ptr<const ListenerConfig> listener) {
  const auto& listeners = worker.config()->listeners;
  const auto now = listeners.find(listener->name);
  return now != listeners.end() ? now->second : std::move(listener);
}

}  // namespace

Task<> ServeByChain(Worker& worker, Downstream& downstream, ListenerCounters& counters) {
  if (downstream.chain->tls != nullptr) {
    const bool secured = co_await Secure(worker, downstream, counters);
    if (!secured) co_return;
  }
  if (!AuthorizeConnection(downstream)) {
    ++counters.rbac_denied;
    co_return;
  }
  const auto& service = downstream.chain->service;
  if (const auto* http = std::get_if<HttpManagerConfig>(&service)) {
    co_await ServeHttp(worker, downstream, *http);
  } else if (const auto* tcp = std::get_if<TcpProxyConfig>(&service)) {
    co_await ServeTcp(worker, downstream, *tcp);
  } else {
    co_await ServeReverseTunnel(worker, downstream);
  }
}

namespace {

// Within the chain's connection_limit.
Task<> ServeWithin(Worker& worker, Downstream& downstream, ListenerCounters& counters) {
  const ConnectionLimit& limit = *downstream.chain->connection_limit;
  const size_t workers = worker.options().workers;
  const uint64_t share = (limit.max_connections + workers - 1) / workers;
  uint64_t& open = worker.ChainConnections(downstream.chain->fingerprint);
  if (open >= share) {
    ++counters.downstream_cx_overflow;
    if (limit.delay > absl::ZeroDuration()) co_await Sleep(worker.loop(), limit.delay);
    co_return;
  }
  uint64_t total = 0;  // nobody asks
  const ActiveCount counted(total, open);
  co_await ServeByChain(worker, downstream, counters);
}

Task<> ServeChosen(Worker& worker, Downstream& downstream, ListenerCounters& counters) {
  if (downstream.chain->connection_limit.has_value()) {
    co_await ServeWithin(worker, downstream, counters);
  } else {
    co_await ServeByChain(worker, downstream, counters);
  }
}

}  // namespace

Task<> ServeConnection(Worker& worker, std::unique_ptr<TcpStream> accepted,
                       std::shared_ptr<const ListenerConfig> listener) {
  Downstream downstream;
  downstream.socket = accepted.get();
  downstream.direct_peer = accepted->peer_address();
  downstream.stream = std::move(accepted);
  FindListener(worker, downstream, std::move(listener));
  const Worker::Live live(worker, downstream);
  ListenerCounters& counters = worker.ListenerOf(downstream.listener->name);
  const ActiveCount active(counters.downstream_cx_total, counters.downstream_cx_active);
  Inspected inspected;
  const Address meant = downstream.stream->local_address();
  if (!downstream.listener->filters.empty()) {
    const bool go_on = co_await RunListenerFilters(worker.loop(), *downstream.listener,
                                                   *downstream.socket, counters, inspected);
    if (!go_on) co_return;
    downstream.listener = LatestOf(worker, std::move(downstream.listener));
  }
  downstream.destination = downstream.stream->local_address();
  if (!(downstream.destination == meant)) downstream.meant_for_us = false;  // a PROXY header's
  downstream.server_name = inspected.server_name;
  downstream.chain = ChooseChain(downstream, inspected);
  if (downstream.chain == nullptr) {
    ++counters.no_filter_chain_match;
    co_return;
  }
  if (std::holds_alternative<ReverseTunnelConfig>(downstream.chain->service) &&
      HandedOver(worker, downstream, inspected)) {
    co_return;
  }
  co_await ServeChosen(worker, downstream, counters);
}

Task<> ServeInspected(Worker& worker, std::unique_ptr<TcpStream> accepted, Address direct_peer,
                      std::shared_ptr<const ListenerConfig> listener, Inspected inspected) {
  Downstream downstream;
  downstream.socket = accepted.get();
  downstream.direct_peer = std::move(direct_peer);
  downstream.stream = std::move(accepted);
  downstream.listener = LatestOf(worker, std::move(listener));
  const Worker::Live live(worker, downstream);
  ListenerCounters& counters = worker.ListenerOf(downstream.listener->name);
  uint64_t total = 0;  // who accepted it has counted it
  const ActiveCount active(total, counters.downstream_cx_active);
  downstream.destination = downstream.stream->local_address();
  downstream.server_name = inspected.server_name;
  downstream.chain = ChooseChain(downstream, inspected);
  if (downstream.chain == nullptr) {
    ++counters.no_filter_chain_match;
    co_return;
  }
  co_await ServeChosen(worker, downstream, counters);
}

}  // namespace weft
