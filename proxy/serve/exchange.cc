#include "proxy/serve/exchange.h"

#include <algorithm>

#include "proxy/http/grpc.h"
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

absl::string_view VersionName(HttpVersion version) {
  switch (version) {
    case HttpVersion::kHttp10:
      return "HTTP/1.0";
    case HttpVersion::kHttp11:
      return "HTTP/1.1";
    case HttpVersion::kHttp2:
      return "HTTP/2";
  }
  return "";
}

// A client that takes longer to read the last bytes of a response.
constexpr absl::Duration kFlushTimeout = absl::Seconds(60);

}  // namespace

HttpConnection::HttpConnection(Worker& worker, Downstream& downstream,
                               const HttpManagerConfig& config)
    : worker(worker),
      downstream(downstream),
      config(config),
      counters(worker.DownstreamOf(config.stat_prefix)),
      client(FactsOf(downstream)) {}

Exchange::Exchange(HttpConnection& connection, HttpStream& client)
    : connection(connection),
      client(client),
      head(client.request()),
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
  record.protocol = std::string(VersionName(head.version));
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

void StartResponse(Exchange& x, ResponseHead& head, BodyLength body) {
  x.response_started = true;
  x.record.status = head.status;
  if (const auto status = GrpcStatusIn(head.headers)) x.record.grpc_status = *status;
  if (x.worker().draining() && head.status != 101) {
    head.headers.Set(KnownHeader::kConnection, "close");
  }
  x.client.WriteHead(head, body);
}

bool RetryAllowed(const Exchange& x) {
  ClusterState& state = x.worker().StateOf(x.cluster->name);
  if (state.active_retries < x.cluster->limits.max_retries) return true;
  ++state.counters.upstream_rq_retry_overflow;
  return false;
}

Task<bool> FlushResponse(EventLoop& loop, HttpStream& client) {
  const MonotonicTime deadline = loop.Now() + kFlushTimeout;
  while (true) {
    switch (client.Flush()) {
      case HttpStream::Flushed::kDone:
        co_return true;
      case HttpStream::Flushed::kBroken:
        co_return false;
      case HttpStream::Flushed::kBlocked:
        break;
    }
    const bool notified = co_await Wait(loop, {&client.writable()}, deadline);
    if (!notified) co_return false;
  }
}

}  // namespace weft
