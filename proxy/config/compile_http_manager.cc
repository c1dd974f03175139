// The HTTP connection manager: how a chain's connections are read as HTTP.
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/router.pb.h"
#include "proxy/config/compile.h"
#include "proxy/config/compile_filters.h"
#include "proxy/config/compile_http2.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

using envoy::extensions::filters::http::router::v3::Router;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;

absl::Status CompileRouteSource(const HttpConnectionManager& from, HttpManagerConfig& to) {
  switch (from.route_specifier_case()) {
    case HttpConnectionManager::kRds:
      to.route_config_name = from.rds().route_config_name();
      if (to.route_config_name.empty()) {
        return Invalid("rds.route_config_name", "must not be empty");
      }
      return absl::OkStatus();
    case HttpConnectionManager::kRouteConfig: {
      absl::StatusOr<std::shared_ptr<const RouteTable>> table = CompileRoutes(from.route_config());
      if (!table.ok()) return Under("route_config", table.status());
      to.route_table = *std::move(table);
      return absl::OkStatus();
    }
    case HttpConnectionManager::ROUTE_SPECIFIER_NOT_SET:
      return Invalid("", "needs one of rds, route_config");
  }
  return absl::OkStatus();
}

// The router has to be the last; nothing else is known yet.
absl::Status CheckHttpFilters(const HttpConnectionManager& from) {
  for (int i = 0; i < from.http_filters_size(); ++i) {
    const HttpFilter& filter = from.http_filters(i);
    const bool last = i + 1 == from.http_filters_size();
    if (filter.typed_config().Is<Router>() && last) continue;
    if (!last && (filter.is_optional() || filter.disabled())) continue;
    return Invalid(
        Index("http_filters", i),
        last ? absl::StrCat("the last filter must be the router, not '", filter.name(), "'")
             : absl::StrCat("unsupported filter '", filter.name(), "'"));
  }
  if (from.http_filters().empty()) return Invalid("http_filters", "must hold the router");
  return absl::OkStatus();
}

ForwardClientCert ForwardMode(HttpConnectionManager::ForwardClientCertDetails mode) {
  switch (mode) {
    case HttpConnectionManager::FORWARD_ONLY:
      return ForwardClientCert::kForwardOnly;
    case HttpConnectionManager::APPEND_FORWARD:
      return ForwardClientCert::kAppendForward;
    case HttpConnectionManager::SANITIZE_SET:
      return ForwardClientCert::kSanitizeSet;
    case HttpConnectionManager::ALWAYS_FORWARD_ONLY:
      return ForwardClientCert::kAlwaysForwardOnly;
    default:
      return ForwardClientCert::kSanitize;
  }
}

void CompileClientCert(const HttpConnectionManager& from, HttpManagerConfig& to) {
  const auto& details = from.set_current_client_cert_details();
  to.forward_client_cert = ForwardMode(from.forward_client_cert_details());
  to.client_cert_details = {.subject = details.subject().value(),
                            .cert = details.cert(),
                            .chain = details.chain(),
                            .dns = details.dns(),
                            .uri = details.uri()};
}

PathNormalisation::EscapedSlashes EscapedSlashes(
    HttpConnectionManager::PathWithEscapedSlashesAction action) {
  switch (action) {
    case HttpConnectionManager::REJECT_REQUEST:
      return PathNormalisation::EscapedSlashes::kReject;
    case HttpConnectionManager::UNESCAPE_AND_REDIRECT:
      return PathNormalisation::EscapedSlashes::kRedirect;
    case HttpConnectionManager::UNESCAPE_AND_FORWARD:
      return PathNormalisation::EscapedSlashes::kForward;
    default:
      return PathNormalisation::EscapedSlashes::kKeep;
  }
}

void CompileTimeouts(const HttpConnectionManager& from, HttpManagerConfig& to) {
  if (from.has_stream_idle_timeout())
    to.stream_idle_timeout = ToTimeout(from.stream_idle_timeout());
  if (from.has_request_timeout()) to.request_timeout = ToTimeout(from.request_timeout());
  if (from.has_request_headers_timeout()) {
    to.request_headers_timeout = ToTimeout(from.request_headers_timeout());
  }
  if (from.has_drain_timeout()) to.drain_timeout = ToDuration(from.drain_timeout());
  const auto& common = from.common_http_protocol_options();
  if (common.has_idle_timeout()) to.idle_timeout = ToTimeout(common.idle_timeout());
}

void CompileLimits(const HttpConnectionManager& from, HttpManagerConfig& to) {
  if (from.has_max_request_headers_kb()) {
    to.max_request_headers_kb = from.max_request_headers_kb().value();
  }
  const auto& common = from.common_http_protocol_options();
  if (common.has_max_headers_count()) to.max_headers_count = common.max_headers_count().value();
}

absl::StatusOr<CodecType> CodecOf(const HttpConnectionManager& from) {
  switch (from.codec_type()) {
    case HttpConnectionManager::AUTO:
      return CodecType::kAuto;
    case HttpConnectionManager::HTTP1:
      return CodecType::kHttp1;
    case HttpConnectionManager::HTTP2:
      return CodecType::kHttp2;
    default:
      return Invalid("codec_type", "HTTP/3 is not supported by this proxy");
  }
}

}  // namespace

absl::StatusOr<HttpManagerConfig> CompileHttpManager(const HttpConnectionManager& from) {
  HttpManagerConfig to;
  to.stat_prefix = from.stat_prefix();
  absl::Status status = CompileRouteSource(from, to);
  if (!status.ok()) return status;
  status = CheckHttpFilters(from);
  if (!status.ok()) return status;
  absl::StatusOr<CodecType> codec = CodecOf(from);
  if (!codec.ok()) return codec.status();
  to.codec = *codec;
  if (!from.server_name().empty()) to.server_name = from.server_name();
  to.use_remote_address = from.use_remote_address().value();
  to.xff_trusted_hops = from.xff_num_trusted_hops();
  to.skip_xff_append = from.skip_xff_append();
  if (from.has_generate_request_id()) to.generate_request_id = from.generate_request_id().value();
  CompileClientCert(from, to);
  to.path = {.normalize = from.normalize_path().value(),
             .merge_slashes = from.merge_slashes(),
             .escaped_slashes = EscapedSlashes(from.path_with_escaped_slashes_action())};
  to.strip_matching_host_port = from.strip_matching_host_port();
  to.strip_any_host_port = from.strip_any_host_port();
  for (const auto& upgrade : from.upgrade_configs()) {
    if (upgrade.has_enabled() && !upgrade.enabled().value()) continue;
    to.upgrades.push_back(absl::AsciiStrToLower(upgrade.upgrade_type()));
  }
  CompileTimeouts(from, to);
  CompileLimits(from, to);
  status = CompileHttp2(from.http2_protocol_options(), to.http2);
  if (!status.ok()) return Under("http2_protocol_options", status);
  to.http2.max_headers_kb = to.max_request_headers_kb;
  to.http2.max_headers_count = to.max_headers_count;
  status = CompileEach("access_log", from.access_log(), to.access_logs, CompileAccessLog);
  if (!status.ok()) return status;
  return to;
}

}  // namespace weft
