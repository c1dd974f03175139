#include "proxy/serve/exchange.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proxy/http/grpc.h"
#include "proxy/serve/format_input.h"

namespace weft {
namespace {

ClientFacts FactsOf(const Downstream& downstream) {
  ClientFacts facts;
  facts.address = downstream.stream->peer_address().ip();
  facts.local_port = downstream.destination.port();
  facts.tls = downstream.tls != nullptr;
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

// A client that takes longer for the head of a request (slowloris) is cut off, where the config
// states no limit of its own.
constexpr absl::Duration kHeadTimeout = absl::Seconds(60);

// What every response gets, whoever made it.
void FinishResponseHead(Exchange& x, Headers& headers) {
  const HttpManagerConfig& config = x.connection.config;
  switch (config.server_header) {
    case ServerHeader::kOverwrite:
      headers.Set(KnownHeader::kServer, config.server_name);
      break;
    case ServerHeader::kAppendIfAbsent:
      if (!headers.Has(KnownHeader::kServer)) headers.Add(KnownHeader::kServer, config.server_name);
      break;
    case ServerHeader::kPassThrough:
      break;
  }
  if (!config.via.empty()) AppendToList("via", config.via, headers);
  if (config.request_id_in_response) {
    const auto id = x.head.headers.Get(KnownHeader::kXRequestId);
    if (id.has_value()) headers.Set(KnownHeader::kXRequestId, *id);
  }
  if (x.route != nullptr && x.route->attempt_count_in_response && x.record.attempts > 0) {
    headers.Set(KnownHeader::kXEnvoyAttemptCount, absl::StrCat(x.record.attempts));
  }
  if (!x.notes.set_cookie.empty()) headers.Add("set-cookie", x.notes.set_cookie);
}

}  // namespace

HttpConnection::HttpConnection(Worker& worker, Downstream& downstream,
                               const HttpManagerConfig& config)
    : worker(worker),
      downstream(downstream),
      config(config),
      counters(worker.DownstreamOf(config.stat_prefix)),
      client(FactsOf(downstream)),
      expires(worker.loop().Now() + config.max_connection_duration) {}

bool HttpConnection::Ending() {
  if (ending) return true;
  const ListenerConfig& listener = *downstream.listener;
  uint64_t* cause = nullptr;
  if (drain.draining() || (worker.unhealthy() && !listener.drains_on_changes_alone)) {
    cause = &counters.downstream_cx_drain_close;
  } else if (config.max_requests_per_connection > 0 &&
             requests >= config.max_requests_per_connection) {
    cause = &counters.downstream_cx_max_requests_reached;
  } else if (worker.loop().Now() >= expires) {
    cause = &counters.downstream_cx_max_duration_reached;
  } else if (worker.overload().disable_http_keepalive && !listener.bypass_overload_manager) {
    cause = &counters.downstream_cx_overload_disable_keepalive;
  } else {
    return false;
  }
  ++*cause;
  ending = true;
  drain.started().Notify();
  return true;
}

Exchange::Exchange(HttpConnection& connection, HttpStream& client)
    : connection(connection),
      client(client),
      head(client.request()),
      config(connection.worker.config()),
      start(connection.worker.loop().Now()),
      logged(!connection.config.access_logs.empty()) {
  ++connection.requests;
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
  LogExchange(*this);
}

void StartResponse(Exchange& x, ResponseHead& head, BodyLength body) {
  x.response_started = true;
  x.record.status = head.status;
  if (const auto status = GrpcStatusIn(head.headers)) x.record.grpc_status = *status;
  if (HasHttpFilters(x)) RunResponseFilters(x, head);
  FinishResponseHead(x, head.headers);
  NoteResponse(x, head.headers);
  if (x.connection.Ending() && head.status != 101) {
    head.headers.Set(KnownHeader::kConnection, "close");
  }
  x.client.WriteHead(head, body);
}

bool RetryAllowed(const Exchange& x) {
  ClusterState& state = x.worker().StateOf(x.cluster->name);
  const CircuitBreakerLimits& limits = x.cluster->limits;
  uint64_t most = limits.max_retries;
  if (limits.retry_budget.has_value()) {
    const double share = limits.retry_budget->percent / 100 *
                         static_cast<double>(state.active_requests + state.usage.pending);
    most = std::max<uint64_t>(limits.retry_budget->min_concurrency, static_cast<uint64_t>(share));
  }
  if (state.active_retries < most) return true;
  ++state.counters.upstream_rq_retry_overflow;
  return false;
}

absl::Duration HeadTimeout(const HttpManagerConfig& config) {
  return std::min(config.request_headers_timeout, kHeadTimeout);
}

absl::Duration FlushTimeout(const HttpManagerConfig& config) {
  return std::min(kFlushTimeout, config.stream_idle_timeout);
}

Task<bool> FlushResponse(HttpConnection& c, HttpStream& client) {
  EventLoop& loop = c.worker.loop();
  const MonotonicTime deadline = loop.Now() + FlushTimeout(c.config);
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
