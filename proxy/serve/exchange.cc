#include "proxy/serve/exchange.h"

#include <algorithm>

#include "proxy/serve/access_log.h"

namespace weft {
namespace {

ClientFacts FactsOf(const Downstream& downstream) {
  ClientFacts facts;
  facts.address = downstream.stream->peer_address().ip();
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
  connection.counters.downstream_rq_time.Record(loop().Now() - start);
  connection.counters.downstream_cx_rx_bytes_total += record.bytes_received;
  connection.counters.downstream_cx_tx_bytes_total += record.bytes_sent;
  if (!logged) return;
  const Downstream& downstream = connection.downstream;
  const auto value = [&](KnownHeader known) {
    return std::string(head.headers.Get(known).value_or(""));
  };
  record.duration = loop().Now() - start;
  record.forwarded_for = value(KnownHeader::kXForwardedFor);
  record.user_agent = value(KnownHeader::kUserAgent);
  record.request_id = value(KnownHeader::kXRequestId);
  record.downstream_local = downstream.destination.ToString();
  record.downstream_remote = downstream.stream->peer_address().ToString();
  record.server_name = downstream.server_name;
  if (route != nullptr) record.route_name = route->name;
  if (target != nullptr) record.upstream_cluster = target->cluster;
  connection.worker.access_log()->Write(connection.config.access_logs, record);
}

}  // namespace weft
