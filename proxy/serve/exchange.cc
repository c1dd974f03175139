#include "proxy/serve/exchange.h"

#include <algorithm>

#include "proxy/serve/format_input.h"

namespace weft {
namespace {

ClientFacts FactsOf(const Downstream& downstream) {
  ClientFacts facts;
  facts.address = downstream.stream->peer_address().ip();
  facts.local_port = downstream.destination.port();
  facts.tls = downstream.chain->tls != nullptr;
  facts.own_uri = downstream.own_uri;
  facts.peer_uri = downstream.peer_uri;
  facts.peer_subject = downstream.peer_subject;
  facts.peer_hash = downstream.peer_hash;
  return facts;
}

}  // namespace

HttpConnection::HttpConnection(Worker& worker, Downstream& downstream,
                               const HttpManagerConfig& config)
    : worker(worker),
      downstream(downstream),
      config(config),
      counters(worker.DownstreamOf(config.stat_prefix)),
      client(FactsOf(downstream)) {}

Exchange::Exchange(HttpConnection& connection)
    : connection(connection),
      head(connection.decoder.request()),
      config(connection.worker.config()),
      start(connection.worker.loop().Now()),
      logged(!connection.config.access_logs.empty()) {
  ++connection.counters.downstream_rq_total;
  ++connection.counters.downstream_rq_active;
  if (!logged) return;
  // The head changes on its way: the log shows the request as it came.
  record.start_time = absl::Now();
  record.method = head.method;
  record.path = head.path;
  record.protocol = head.version == HttpVersion::kHttp10 ? "HTTP/1.0" : "HTTP/1.1";
  record.authority = head.authority;
}

Exchange::~Exchange() {
  --connection.counters.downstream_rq_active;
  const int status_class = record.status / 100;
  if (status_class >= 1 && status_class <= 5) ++connection.counters.downstream_rq_xx[status_class];
  connection.counters.downstream_cx_rx_bytes_total += record.bytes_received;
  connection.counters.downstream_cx_tx_bytes_total += record.bytes_sent;
  if (!logged) return;
  LogExchange(*this);
}

}  // namespace weft
