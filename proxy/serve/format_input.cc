#include "proxy/serve/format_input.h"

#include "absl/strings/numbers.h"
#include "proxy/serve/access_log.h"
#include "proxy/serve/exchange.h"

namespace weft {
namespace {

void NoteConnection(const HttpConnection& connection, RequestRecord& record) {
  const Downstream& downstream = connection.downstream;
  record.downstream_local = downstream.destination.ToString();
  record.downstream_remote = downstream.stream->peer_address().ToString();
  record.downstream_direct_remote = downstream.direct_peer.ToString();
  record.server_name = downstream.server_name;
  record.peer_uri = downstream.peer_uri;
  record.peer_subject = downstream.peer_subject;
  record.peer_hash = downstream.peer_hash;
  record.own_uri = downstream.own_uri;
  record.filter_chain = downstream.chain->name;
  record.listener = downstream.listener->name;
}

void Keep(const std::vector<std::string>& names, const Headers& from, Headers& to) {
  for (const std::string& name : names) {
    for (absl::string_view value : from.GetAll(name)) to.Add(name, value);
  }
}

// The final status of a call may come with the head or behind the body.
void NoteGrpcStatus(const Headers& headers, RequestRecord& record) {
  int status = 0;
  const auto text = headers.Get("grpc-status");
  if (text.has_value() && absl::SimpleAtoi(*text, &status) && status >= 0) {
    record.grpc_status = status;
  }
}

}  // namespace

FormatInput InputOf(Exchange& x, const ResponseHead* response) {
  if (x.record.downstream_remote.empty()) NoteConnection(x.connection, x.record);
  if (x.record.start_time == absl::UnixEpoch()) x.record.start_time = absl::Now();
  if (x.route != nullptr && x.record.virtual_host.empty()) {
    x.record.route_name = x.route->name;
    x.record.virtual_host = x.route->virtual_host;
  }
  if (x.target != nullptr) x.record.upstream_cluster = x.target->cluster;
  FormatInput input;
  input.record = &x.record;
  input.request = &x.head;
  if (response != nullptr) input.response = &response->headers;
  return input;
}

void LogExchange(Exchange& x) {
  x.record.duration = x.loop().Now() - x.start;
  x.worker().access_log()->Write(x.connection.config.access_logs, InputOf(x), x.worker().Random());
}

void NoteResponse(Exchange& x, const Headers& headers) {
  if (!x.logged) return;
  NoteGrpcStatus(headers, x.record);
  Keep(x.connection.config.logged_headers.response, headers, x.record.response_headers);
}

void NoteResponseTrailers(Exchange& x, const Headers& trailers) {
  if (!x.logged) return;
  NoteGrpcStatus(trailers, x.record);
  Keep(x.connection.config.logged_headers.response_trailers, trailers, x.record.response_trailers);
}

void NoteRequestTrailers(Exchange& x, const Headers& trailers) {
  if (!x.logged) return;
  Keep(x.connection.config.logged_headers.request_trailers, trailers, x.record.request_trailers);
}

}  // namespace weft
