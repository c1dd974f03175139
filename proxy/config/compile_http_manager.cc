// The HTTP connection manager: how a chain's connections are read as HTTP.
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "proxy/config/compile.h"
#include "proxy/config/compile_access_log.h"
#include "proxy/config/compile_address.h"
#include "proxy/config/compile_filters.h"
#include "proxy/config/compile_http2.h"
#include "proxy/config/compile_http_filters.h"
#include "proxy/config/compile_route.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

using envoy::config::core::v3::HttpProtocolOptions;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::filters::network::http_connection_manager::v3::LocalReplyConfig;
using envoy::extensions::filters::network::http_connection_manager::v3::ResponseMapper;

absl::Status CompileRouteSource(const HttpConnectionManager& from, const Secrets& secrets,
                                HttpManagerConfig& to) {
  switch (from.route_specifier_case()) {
    case HttpConnectionManager::kRds:
      to.route_config_name = from.rds().route_config_name();
      if (to.route_config_name.empty()) {
        return Invalid("rds.route_config_name", "must not be empty");
      }
      return absl::OkStatus();
    case HttpConnectionManager::kRouteConfig: {
      absl::StatusOr<std::shared_ptr<const RouteTable>> table =
          CompileRoutes(from.route_config(), secrets);
      if (!table.ok()) return Under("route_config", table.status());
      to.route_table = *std::move(table);
      return absl::OkStatus();
    }
    case HttpConnectionManager::ROUTE_SPECIFIER_NOT_SET:
      return Invalid("", "needs one of rds, route_config");
  }
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
  const auto set = [](bool given, const google::protobuf::Duration& value,
                      absl::Duration& timeout) {
    if (given) timeout = ToTimeout(value);
  };
  set(from.has_stream_idle_timeout(), from.stream_idle_timeout(), to.stream_idle_timeout);
  set(from.has_request_timeout(), from.request_timeout(), to.request_timeout);
  set(from.has_request_headers_timeout(), from.request_headers_timeout(),
      to.request_headers_timeout);
  if (from.has_drain_timeout()) to.drain_timeout = ToDuration(from.drain_timeout());
  const HttpProtocolOptions& common = from.common_http_protocol_options();
  set(common.has_idle_timeout(), common.idle_timeout(), to.idle_timeout);
  set(common.has_max_connection_duration(), common.max_connection_duration(),
      to.max_connection_duration);
  set(common.has_max_stream_duration(), common.max_stream_duration(), to.max_stream_duration);
}

UnderscoreAction UnderscoresOf(HttpProtocolOptions::HeadersWithUnderscoresAction action) {
  switch (action) {
    case HttpProtocolOptions::REJECT_REQUEST:
      return UnderscoreAction::kReject;
    case HttpProtocolOptions::DROP_HEADER:
      return UnderscoreAction::kDrop;
    default:
      return UnderscoreAction::kAllow;
  }
}

constexpr uint32_t kMostHeadersKb = 8192;  // Envoy's

absl::Status CompileLimits(const HttpConnectionManager& from, HttpManagerConfig& to) {
  if (from.has_max_request_headers_kb()) {
    to.max_request_headers_kb = from.max_request_headers_kb().value();
    if (to.max_request_headers_kb == 0 || to.max_request_headers_kb > kMostHeadersKb) {
      return Invalid("max_request_headers_kb", absl::StrCat("must be 1 to ", kMostHeadersKb));
    }
  }
  const HttpProtocolOptions& common = from.common_http_protocol_options();
  if (common.has_max_headers_count()) to.max_headers_count = common.max_headers_count().value();
  to.max_requests_per_connection = common.max_requests_per_connection().value();
  to.underscores = UnderscoresOf(common.headers_with_underscores_action());
  return absl::OkStatus();
}

// RFC 1918 and what never leaves a machine or site.
const std::vector<IpPrefix>& UsualInternalRanges() {
  static const auto* const kRanges = new std::vector<IpPrefix>{
      {std::string("\x0a\0\0\0", 4), 8},     {std::string("\xac\x10\0\0", 4), 12},
      {std::string("\xc0\xa8\0\0", 4), 16},  {std::string("\x7f\0\0\0", 4), 8},
      {std::string(15, '\0') + '\x01', 128}, {'\xfd' + std::string(15, '\0'), 8},
  };
  return *kRanges;
}

absl::Status CompileOrigin(const HttpConnectionManager& from, HttpManagerConfig& to) {
  to.use_remote_address = from.use_remote_address().value();
  to.xff_trusted_hops = from.xff_num_trusted_hops();
  to.skip_xff_append = from.skip_xff_append();
  to.append_x_forwarded_port = from.append_x_forwarded_port();
  to.internal_unix_sockets = from.internal_address_config().unix_sockets();
  to.scheme_to_overwrite = from.scheme_header_transformation().scheme_to_overwrite();
  if (!to.scheme_to_overwrite.empty() && to.scheme_to_overwrite != "http" &&
      to.scheme_to_overwrite != "https") {
    return Invalid("scheme_header_transformation.scheme_to_overwrite", "must be http or https");
  }
  if (!from.has_internal_address_config()) {
    to.internal_ranges = UsualInternalRanges();
    return absl::OkStatus();
  }
  return CompileEach("internal_address_config.cidr_ranges",
                     from.internal_address_config().cidr_ranges(), to.internal_ranges,
                     CompilePrefix);
}

absl::Status CompileRequestId(const HttpConnectionManager& from, HttpManagerConfig& to) {
  if (from.has_generate_request_id()) to.generate_request_id = from.generate_request_id().value();
  to.preserve_external_request_id = from.preserve_external_request_id();
  to.request_id_in_response = from.always_set_request_id_in_response();
  if (!from.request_id_extension().has_typed_config()) return absl::OkStatus();
  const absl::string_view type = TypeOf(from.request_id_extension().typed_config());
  if (type == "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig") return absl::OkStatus();
  return Invalid("request_id_extension", absl::StrCat("unsupported extension ", type));
}

void CompileIdentification(const HttpConnectionManager& from, HttpManagerConfig& to) {
  if (!from.server_name().empty()) to.server_name = from.server_name();
  switch (from.server_header_transformation()) {
    case HttpConnectionManager::APPEND_IF_ABSENT:
      to.server_header = ServerHeader::kAppendIfAbsent;
      break;
    case HttpConnectionManager::PASS_THROUGH:
      to.server_header = ServerHeader::kPassThrough;
      break;
    default:
      to.server_header = ServerHeader::kOverwrite;
  }
  to.via = from.via();
}

absl::StatusOr<std::shared_ptr<const AccessLogConfig>> CompileBodyFormat(
    const envoy::config::core::v3::SubstitutionFormatString& from) {
  AccessLogConfig to;
  absl::Status status = CompileLogFormat(from, to);
  if (!status.ok()) return status;
  return std::make_shared<const AccessLogConfig>(std::move(to));
}

absl::StatusOr<LocalReplyMapper> CompileMapper(const ResponseMapper& from, const Secrets& secrets) {
  LocalReplyMapper to;
  if (!from.has_filter()) return Invalid("filter", "must be set");
  absl::StatusOr<AccessLogFilter> filter = CompileAccessLogFilter(from.filter());
  if (!filter.ok()) return Under("filter", filter.status());
  to.filter = *std::move(filter);
  to.status = from.status_code().value();
  if (from.has_status_code() && (to.status < 200 || to.status > 599)) {
    return Invalid("status_code", "must be 200 to 599");
  }
  if (from.has_body()) {
    absl::StatusOr<std::string> body = CompileDataSource(from.body(), secrets);
    if (!body.ok()) return Under("body", body.status());
    to.body = *std::move(body);
  }
  if (from.has_body_format_override()) {
    auto format = CompileBodyFormat(from.body_format_override());
    if (!format.ok()) return Under("body_format_override", format.status());
    to.body_format = *std::move(format);
  }
  absl::Status status =
      CompileEach("headers_to_add", from.headers_to_add(), to.headers.add, CompileHeaderToAdd);
  if (!status.ok()) return status;
  return to;
}

absl::Status CompileLocalReply(const LocalReplyConfig& from, const Secrets& secrets,
                               weft::LocalReplyConfig& to) {
  absl::Status status =
      CompileEach("mappers", from.mappers(), to.mappers,
                  [&](const ResponseMapper& one) { return CompileMapper(one, secrets); });
  if (!status.ok() || !from.has_body_format()) return status;
  auto format = CompileBodyFormat(from.body_format());
  if (!format.ok()) return Under("body_format", format.status());
  to.body_format = *std::move(format);
  to.content_type = from.body_format().content_type();
  return absl::OkStatus();
}

absl::Status CheckUnsupported(const HttpConnectionManager& from) {
  if (!from.original_ip_detection_extensions().empty()) {
    return Invalid("original_ip_detection_extensions", "is not supported by this proxy");
  }
  if (!from.early_header_mutation_extensions().empty()) {
    return Invalid("early_header_mutation_extensions", "is not supported by this proxy");
  }
  if (from.add_user_agent().value()) {
    return Invalid("add_user_agent", "is not supported by this proxy");
  }
  if (from.scheme_header_transformation().match_upstream()) {
    return Invalid("scheme_header_transformation.match_upstream", "is not supported");
  }
  for (int i = 0; i < from.upgrade_configs_size(); ++i) {
    if (from.upgrade_configs(i).filters().empty()) continue;
    return Invalid(absl::StrCat(Index("upgrade_configs", i), ".filters"),
                   "is not supported by this proxy");
  }
  return absl::OkStatus();
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

absl::StatusOr<HttpManagerConfig> CompileHttpManager(const HttpConnectionManager& from,
                                                     const Secrets& secrets) {
  HttpManagerConfig to;
  to.stat_prefix = from.stat_prefix();
  absl::Status status = CheckUnsupported(from);
  if (!status.ok()) return status;
  status = CompileRouteSource(from, secrets, to);
  if (!status.ok()) return status;
  status = CompileHttpFilters(from, secrets, to);
  if (!status.ok()) return status;
  absl::StatusOr<CodecType> codec = CodecOf(from);
  if (!codec.ok()) return codec.status();
  to.codec = *codec;
  CompileIdentification(from, to);
  status = CompileOrigin(from, to);
  if (!status.ok()) return status;
  status = CompileRequestId(from, to);
  if (!status.ok()) return status;
  CompileClientCert(from, to);
  to.path = {.normalize = from.normalize_path().value(),
             .merge_slashes = from.merge_slashes(),
             .escaped_slashes = EscapedSlashes(from.path_with_escaped_slashes_action())};
  to.strip_matching_host_port = from.strip_matching_host_port();
  to.strip_any_host_port = from.strip_any_host_port();
  to.strip_trailing_host_dot = from.strip_trailing_host_dot();
  to.proxy_100_continue = from.proxy_100_continue();
  to.default_host_for_http_10 = from.http_protocol_options().default_host_for_http_10();
  for (const auto& upgrade : from.upgrade_configs()) {
    if (upgrade.has_enabled() && !upgrade.enabled().value()) continue;
    to.upgrades.push_back(absl::AsciiStrToLower(upgrade.upgrade_type()));
  }
  CompileTimeouts(from, to);
  status = CompileLimits(from, to);
  if (!status.ok()) return status;
  status = CompileLocalReply(from.local_reply_config(), secrets, to.local_reply);
  if (!status.ok()) return Under("local_reply_config", status);
  status = CompileHttp2(from.http2_protocol_options(), to.http2);
  if (!status.ok()) return Under("http2_protocol_options", status);
  to.http2.max_headers_kb = to.max_request_headers_kb;
  to.http2.max_headers_count = to.max_headers_count;
  status = CompileEach("access_log", from.access_log(), to.access_logs, CompileAccessLog);
  if (!status.ok()) return status;
  to.logged_headers = HeadersOfLogs(to.access_logs);
  return to;
}

}  // namespace weft
