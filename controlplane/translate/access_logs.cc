#include "controlplane/translate/access_logs.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/access_log.pb.h"
#include "api/envoy/file_access_log.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/tcp_proxy.pb.h"
#include "api/istio/mesh.pb.h"
#include "api/istio/telemetry.pb.h"
#include "controlplane/model/log_condition.h"
#include "controlplane/model/log_format.h"
#include "controlplane/translate/encode.h"

namespace weft {
namespace {

namespace log = envoy::config::accesslog::v3;
using envoy::config::listener::v3::Filter;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::HeaderMatcher;
using envoy::extensions::access_loggers::file::v3::FileAccessLog;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
using istio::mesh::v1alpha1::ExtensionProvider;
using istio::mesh::v1alpha1::MeshConfig;

using Filters = std::vector<log::AccessLogFilter>;
using Logs = std::vector<log::AccessLog>;

// Istio's, as text and as JSON.
constexpr char kTextFormat[] =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    "\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESPONSE_DURATION% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" "
    "\"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% "
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";
constexpr std::pair<const char*, const char*> kJsonFormat[] = {
    {"authority", "%REQ(:AUTHORITY)%"},
    {"bytes_received", "%BYTES_RECEIVED%"},
    {"bytes_sent", "%BYTES_SENT%"},
    {"connection_termination_details", "%CONNECTION_TERMINATION_DETAILS%"},
    {"downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"},
    {"downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"},
    {"duration", "%DURATION%"},
    {"method", "%REQ(:METHOD)%"},
    {"path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"},
    {"protocol", "%PROTOCOL%"},
    {"request_id", "%REQ(X-REQUEST-ID)%"},
    {"requested_server_name", "%REQUESTED_SERVER_NAME%"},
    {"response_code", "%RESPONSE_CODE%"},
    {"response_code_details", "%RESPONSE_CODE_DETAILS%"},
    {"response_flags", "%RESPONSE_FLAGS%"},
    {"route_name", "%ROUTE_NAME%"},
    {"start_time", "%START_TIME%"},
    {"upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"},
    {"upstream_host", "%UPSTREAM_HOST%"},
    {"upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"},
    {"upstream_service_time", "%RESPONSE_DURATION%"},
    {"upstream_transport_failure_reason", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"},
    {"user_agent", "%REQ(USER-AGENT)%"},
    {"x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"},
};

// ---- Conditions.

// What a condition comes to once it is known whether the connection is of mutual TLS.
struct Decided {
  enum class Kind { kAlways, kNever, kFilter } kind = Kind::kAlways;
  log::AccessLogFilter filter;  // of kFilter

  static Decided Constant(bool always) { return {always ? Kind::kAlways : Kind::kNever, {}}; }
  static Decided Of(log::AccessLogFilter filter) { return {Kind::kFilter, std::move(filter)}; }
};

log::ComparisonFilter ComparisonOf(const LogCondition& condition, const char* runtime_key) {
  log::ComparisonFilter comparison;
  switch (condition.comparison) {
    case LogCondition::Comparison::kEqual:
      comparison.set_op(log::ComparisonFilter::EQ);
      break;
    case LogCondition::Comparison::kNotEqual:
      comparison.set_op(log::ComparisonFilter::NE);
      break;
    case LogCondition::Comparison::kAtLeast:
      comparison.set_op(log::ComparisonFilter::GE);
      break;
    case LogCondition::Comparison::kAtMost:
      comparison.set_op(log::ComparisonFilter::LE);
      break;
  }
  comparison.mutable_value()->set_default_value(condition.number);
  comparison.mutable_value()->set_runtime_key(runtime_key);  // Envoy wants one
  return comparison;
}

log::AccessLogFilter Join(Filters parts, bool all) {
  if (parts.size() == 1) return std::move(parts.front());
  log::AccessLogFilter joined;
  for (log::AccessLogFilter& part : parts) {
    *(all ? joined.mutable_and_filter()->add_filters()
          : joined.mutable_or_filter()->add_filters()) = std::move(part);
  }
  return joined;
}

void SetText(const LogCondition& condition, HeaderMatcher& header) {
  auto& text = *header.mutable_string_match();
  switch (condition.text) {
    case LogCondition::Text::kPresent:
      header.set_present_match(true);
      break;
    case LogCondition::Text::kExact:
      text.set_exact(condition.value);
      break;
    case LogCondition::Text::kPrefix:
      text.set_prefix(condition.value);
      break;
    case LogCondition::Text::kSuffix:
      text.set_suffix(condition.value);
      break;
    case LogCondition::Text::kContains:
      text.set_contains(condition.value);
      break;
    case LogCondition::Text::kRegex:
      text.mutable_safe_regex()->set_regex(condition.value);
      break;
  }
}

// A header that is missing fails either of a comparison and its opposite, in Envoy as in CEL.
log::AccessLogFilter HeaderFilterOf(const LogCondition& condition) {
  log::AccessLogFilter filter;
  HeaderMatcher& header = *filter.mutable_header_filter()->mutable_header();
  header.set_name(condition.header);
  header.set_invert_match(condition.negated);
  SetText(condition, header);
  return filter;
}

Decided Decide(const LogCondition& condition, bool mutual_tls);

Decided DecideEach(const LogCondition& condition, bool mutual_tls) {
  const bool all = condition.kind == LogCondition::Kind::kAll;
  // What decides the whole by itself.
  const auto decisive = all ? Decided::Kind::kNever : Decided::Kind::kAlways;
  Filters filters;
  for (const LogCondition& part : condition.parts) {
    Decided decided = Decide(part, mutual_tls);
    if (decided.kind == decisive) return decided;
    if (decided.kind == Decided::Kind::kFilter) filters.push_back(std::move(decided.filter));
  }
  return filters.empty() ? Decided::Constant(all) : Decided::Of(Join(std::move(filters), all));
}

Decided Decide(const LogCondition& condition, bool mutual_tls) {
  log::AccessLogFilter filter;
  switch (condition.kind) {
    case LogCondition::Kind::kAlways:
      return Decided::Constant(true);
    case LogCondition::Kind::kNever:
      return Decided::Constant(false);
    case LogCondition::Kind::kMutualTls:
      return Decided::Constant(mutual_tls);
    case LogCondition::Kind::kNoMutualTls:
      return Decided::Constant(!mutual_tls);
    case LogCondition::Kind::kStatus:
      *filter.mutable_status_code_filter()->mutable_comparison() =
          ComparisonOf(condition, "weft.access_log.status");
      return Decided::Of(filter);
    case LogCondition::Kind::kDuration:
      *filter.mutable_duration_filter()->mutable_comparison() =
          ComparisonOf(condition, "weft.access_log.duration");
      return Decided::Of(filter);
    case LogCondition::Kind::kGrpcStatus: {
      auto& status = *filter.mutable_grpc_status_filter();
      status.add_statuses(static_cast<log::GrpcStatusFilter::Status>(condition.number));
      status.set_exclude(condition.comparison == LogCondition::Comparison::kNotEqual);
      return Decided::Of(filter);
    }
    case LogCondition::Kind::kAnyFlag:
      filter.mutable_response_flag_filter();
      return Decided::Of(filter);
    case LogCondition::Kind::kHeader:
      return Decided::Of(HeaderFilterOf(condition));
    case LogCondition::Kind::kAll:
    case LogCondition::Kind::kAny:
      return DecideEach(condition, mutual_tls);
  }
  return Decided::Constant(true);
}

// ---- Formats.

std::string WithNewline(const std::string& format) {
  return absl::EndsWith(format, "\n") ? format : absl::StrCat(format, "\n");
}

google::protobuf::Struct DefaultJson() {
  google::protobuf::Struct json;
  for (const auto& [name, format] : kJsonFormat) {
    (*json.mutable_fields())[name].set_string_value(format);
  }
  return json;
}

void SetText(const std::string& format, FileAccessLog& to) {
  to.mutable_log_format()->mutable_text_format_source()->set_inline_string(
      format.empty() ? kTextFormat : WithNewline(format));
}

void SetMeshFormat(const MeshConfig& mesh, FileAccessLog& to) {
  const std::string& format = mesh.access_log_format();
  if (mesh.access_log_encoding() == MeshConfig::TEXT) return SetText(format, to);
  auto json = format.empty() ? absl::StatusOr<google::protobuf::Struct>(DefaultJson())
                             : ParseJsonLogFormat(format);
  *to.mutable_log_format()->mutable_json_format() = json.ok() ? *std::move(json) : DefaultJson();
}

FileAccessLog FileLogOf(const MeshSettings& settings, const std::string& name) {
  static const MeshConfig kDefaults;
  const MeshConfig& mesh = settings.config() == nullptr ? kDefaults : *settings.config()->spec;
  FileAccessLog to;
  to.set_path("/dev/stdout");
  const ExtensionProvider* provider = settings.Find(name);
  if (provider == nullptr) {  // the builtin one
    if (!mesh.access_log_file().empty()) to.set_path(mesh.access_log_file());
    SetMeshFormat(mesh, to);
    return to;
  }
  const auto& declared = provider->envoy_file_access_log();
  if (!declared.path().empty()) to.set_path(declared.path());
  if (declared.log_format().has_labels()) {
    *to.mutable_log_format()->mutable_json_format() = declared.log_format().labels();
  } else {
    SetText(declared.log_format().text(), to);
  }
  to.mutable_log_format()->set_omit_empty_values(declared.omit_empty_values());
  return to;
}

// ---- Listeners.

Logs LogsOf(const MeshSettings& settings, const istio::telemetry::v1alpha1::Telemetry& telemetry,
            bool mutual_tls) {
  Logs logs;
  for (const auto& logging : telemetry.access_logging()) {
    const std::string& provider = logging.providers(0).name();
    if (!settings.IsLog(provider)) continue;
    log::AccessLog to;
    if (logging.has_filter()) {
      const auto condition = ParseLogCondition(logging.filter().expression());
      if (!condition.ok()) continue;  // validation has said so
      Decided decided = Decide(*condition, mutual_tls);
      if (decided.kind == Decided::Kind::kNever) continue;
      if (decided.kind == Decided::Kind::kFilter) *to.mutable_filter() = std::move(decided.filter);
    }
    to.set_name("envoy.access_loggers.file");
    *to.mutable_typed_config() = PackAny(FileLogOf(settings, provider));
    logs.push_back(std::move(to));
  }
  return logs;
}

template <typename Config>
void AddTo(const Logs& logs, Filter& filter) {
  Config config;
  if (!filter.typed_config().Is<Config>() || !filter.typed_config().UnpackTo(&config)) return;
  for (const log::AccessLog& one : logs) *config.add_access_log() = one;
  *filter.mutable_typed_config() = PackAny(config);
}

void AddToChain(const Logs& logs, FilterChain& chain) {
  for (Filter& filter : *chain.mutable_filters()) {
    AddTo<HttpConnectionManager>(logs, filter);
    AddTo<TcpProxy>(logs, filter);
  }
}

}  // namespace

void AddAccessLogs(const MeshSettings& settings, const std::string& logs, Listener& listener) {
  if (logs.empty()) return;
  istio::telemetry::v1alpha1::Telemetry telemetry;
  telemetry.ParseFromString(logs);
  const Logs plain = LogsOf(settings, telemetry, /*mutual_tls=*/false);
  const Logs mutual = LogsOf(settings, telemetry, /*mutual_tls=*/true);
  for (FilterChain& chain : *listener.mutable_filter_chains()) {
    AddToChain(chain.has_transport_socket() ? mutual : plain, chain);
  }
  if (listener.has_default_filter_chain()) {
    AddToChain(plain, *listener.mutable_default_filter_chain());
  }
}

}  // namespace weft
