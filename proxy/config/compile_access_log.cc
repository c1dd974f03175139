#include "proxy/config/compile_access_log.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/access_log.pb.h"
#include "api/envoy/file_access_log.pb.h"
#include "api/envoy/stream_access_log.pb.h"
#include "proxy/config/compile_matchers.h"
#include "proxy/config/compile_route.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace core = envoy::config::core::v3;
namespace log = envoy::config::accesslog::v3;
namespace loggers = envoy::extensions::access_loggers;
using google::protobuf::Struct;
using google::protobuf::Value;

// Istio's format, which is Envoy's with more of the upstream in it.
constexpr char kDefaultFormat[] =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    "\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESPONSE_DURATION% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% "
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

// Levels of a JSON log, as of a filter: beyond, the config is a mistake or an attack on our stack.
constexpr int kDeepest = 16;

std::string JsonText(absl::string_view text) {
  Value value;
  value.set_string_value(std::string(text));
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(value, &json);
  return json;
}

absl::StatusOr<JsonFormat> CompileJson(const Value& from, int depth);

absl::StatusOr<JsonFormat> CompileObject(const Struct& from, int depth) {
  if (depth > kDeepest) return Invalid("", "is nested too deeply");
  JsonFormat to;
  to.kind = JsonFormat::Kind::kObject;
  const std::map<std::string, Value> sorted(from.fields().begin(), from.fields().end());
  for (const auto& [name, value] : sorted) {
    absl::StatusOr<JsonFormat> member = CompileJson(value, depth + 1);
    if (!member.ok()) return Under(name, member.status());
    to.names.push_back(JsonText(name));
    to.members.push_back(*std::move(member));
  }
  return to;
}

absl::StatusOr<JsonFormat> CompileJson(const Value& from, int depth) {
  JsonFormat to;
  switch (from.kind_case()) {
    case Value::kStringValue: {
      to.kind = JsonFormat::Kind::kFormat;
      absl::StatusOr<FormatString> format = ParseFormat(from.string_value());
      if (!format.ok()) return format.status();
      to.format = *std::move(format);
      return to;
    }
    case Value::kStructValue:
      return CompileObject(from.struct_value(), depth);
    case Value::kListValue: {
      if (depth > kDeepest) return Invalid("", "is nested too deeply");
      to.kind = JsonFormat::Kind::kList;
      for (int i = 0; i < from.list_value().values_size(); ++i) {
        absl::StatusOr<JsonFormat> one = CompileJson(from.list_value().values(i), depth + 1);
        if (!one.ok()) return Under(Index("", i), one.status());
        to.members.push_back(*std::move(one));
      }
      return to;
    }
    default:
      if (!google::protobuf::util::MessageToJsonString(from, &to.raw).ok()) to.raw = "null";
      return to;
  }
}

absl::Status SetJson(const Struct& from, AccessLogConfig& to) {
  absl::StatusOr<JsonFormat> json = CompileObject(from, 0);
  if (!json.ok()) return json.status();
  to.json = std::make_shared<const JsonFormat>(*std::move(json));
  return absl::OkStatus();
}

absl::Status SetText(absl::string_view from, AccessLogConfig& to) {
  absl::StatusOr<FormatString> format = ParseFormat(from);
  if (!format.ok()) return format.status();
  to.text = *std::move(format);
  return absl::OkStatus();
}

template <typename Message>
absl::StatusOr<AccessLogConfig> CompileStreamLog(const google::protobuf::Any& any,
                                                 absl::string_view path) {
  absl::StatusOr<Message> message = Unpack<Message>(any);
  if (!message.ok()) return message.status();
  AccessLogConfig to;
  to.path = std::string(path);
  absl::Status status = CompileLogFormat(message->log_format(), to);
  if (!status.ok()) return Under("log_format", status);
  return to;
}

absl::StatusOr<AccessLogConfig> CompileFileLog(const google::protobuf::Any& any) {
  using loggers::file::v3::FileAccessLog;
  absl::StatusOr<FileAccessLog> message = Unpack<FileAccessLog>(any);
  if (!message.ok()) return message.status();
  AccessLogConfig to;
  to.path = message->path();
  if (to.path.empty()) return Invalid("path", "must not be empty");
  absl::Status status;
  switch (message->access_log_format_case()) {
    case FileAccessLog::kFormat:
      status = SetText(message->format(), to);
      return status.ok() ? absl::StatusOr<AccessLogConfig>(to) : Under("format", status);
    case FileAccessLog::kJsonFormat:
      status = SetJson(message->json_format(), to);
      return status.ok() ? absl::StatusOr<AccessLogConfig>(to) : Under("json_format", status);
    case FileAccessLog::kTypedJsonFormat:
      status = SetJson(message->typed_json_format(), to);
      return status.ok() ? absl::StatusOr<AccessLogConfig>(to) : Under("typed_json_format", status);
    case FileAccessLog::kLogFormat:
      status = CompileLogFormat(message->log_format(), to);
      return status.ok() ? absl::StatusOr<AccessLogConfig>(to) : Under("log_format", status);
    case FileAccessLog::ACCESS_LOG_FORMAT_NOT_SET:
      break;
  }
  return to;
}

absl::StatusOr<AccessLogConfig> CompileSink(const log::AccessLog& from) {
  const google::protobuf::Any& any = from.typed_config();
  if (any.Is<loggers::file::v3::FileAccessLog>()) return CompileFileLog(any);
  if (any.Is<loggers::stream::v3::StdoutAccessLog>()) {
    return CompileStreamLog<loggers::stream::v3::StdoutAccessLog>(any, "/dev/stdout");
  }
  if (any.Is<loggers::stream::v3::StderrAccessLog>()) {
    return CompileStreamLog<loggers::stream::v3::StderrAccessLog>(any, "/dev/stderr");
  }
  return Invalid("",
                 absl::StrCat("unsupported access log '", from.name(), "' (", TypeOf(any), ")"));
}

// ---- Filters.

absl::StatusOr<AccessLogFilter> CompileFilter(const log::AccessLogFilter& from, int depth);

void CompileComparison(const log::ComparisonFilter& from, AccessLogFilter& to) {
  using Comparison = AccessLogFilter::Comparison;
  to.number = from.value().default_value();
  switch (from.op()) {
    case log::ComparisonFilter::GE:
      to.comparison = Comparison::kAtLeast;
      break;
    case log::ComparisonFilter::LE:
      to.comparison = Comparison::kAtMost;
      break;
    case log::ComparisonFilter::NE:
      to.comparison = Comparison::kNotEqual;
      break;
    default:
      to.comparison = Comparison::kEqual;
  }
}

template <typename List>
absl::StatusOr<AccessLogFilter> CompileParts(AccessLogFilter::Kind kind, const List& from,
                                             int depth) {
  AccessLogFilter to;
  to.kind = kind;
  if (depth > kDeepest) return Invalid("", "is nested too deeply");
  if (from.size() < 2) return Invalid("filters", "must hold at least two");
  absl::Status status = CompileEach(
      "filters", from, to.parts,
      [depth](const log::AccessLogFilter& one) { return CompileFilter(one, depth + 1); });
  if (!status.ok()) return status;
  return to;
}

absl::StatusOr<AccessLogFilter> CompileFlags(const log::ResponseFlagFilter& from) {
  AccessLogFilter to;
  to.kind = AccessLogFilter::Kind::kResponseFlags;
  for (int i = 0; i < from.flags_size(); ++i) {
    const std::optional<ResponseFlag> flag = FlagOf(from.flags(i));
    if (!flag.has_value()) {
      return Invalid(Index("flags", i), absl::StrCat("unknown flag '", from.flags(i), "'"));
    }
    to.flags.Add(*flag);
  }
  return to;
}

absl::StatusOr<AccessLogFilter> CompileFilter(const log::AccessLogFilter& from, int depth) {
  using Kind = AccessLogFilter::Kind;
  AccessLogFilter to;
  const auto under = [](const char* field, absl::StatusOr<AccessLogFilter> part) {
    return part.ok() ? std::move(part) : Under(field, part.status());
  };
  switch (from.filter_specifier_case()) {
    case log::AccessLogFilter::kStatusCodeFilter:
      to.kind = Kind::kStatusCode;
      CompileComparison(from.status_code_filter().comparison(), to);
      return to;
    case log::AccessLogFilter::kDurationFilter:
      to.kind = Kind::kDuration;
      CompileComparison(from.duration_filter().comparison(), to);
      return to;
    case log::AccessLogFilter::kNotHealthCheckFilter:
      return to;  // no health check is answered by a filter here, so every request is one of these
    case log::AccessLogFilter::kRuntimeFilter:
      to.kind = Kind::kShare;
      to.share = CompileFraction(from.runtime_filter().percent_sampled());
      return to;
    case log::AccessLogFilter::kAndFilter:
      return under("and_filter", CompileParts(Kind::kAnd, from.and_filter().filters(), depth));
    case log::AccessLogFilter::kOrFilter:
      return under("or_filter", CompileParts(Kind::kOr, from.or_filter().filters(), depth));
    case log::AccessLogFilter::kHeaderFilter: {
      to.kind = Kind::kHeader;
      absl::StatusOr<HeaderMatch> header = CompileHeaderMatch(from.header_filter().header());
      if (!header.ok()) return Under("header_filter.header", header.status());
      to.header = *std::move(header);
      return to;
    }
    case log::AccessLogFilter::kResponseFlagFilter:
      return under("response_flag_filter", CompileFlags(from.response_flag_filter()));
    case log::AccessLogFilter::kGrpcStatusFilter:
      to.kind = Kind::kGrpcStatus;
      to.exclude = from.grpc_status_filter().exclude();
      for (const int status : from.grpc_status_filter().statuses()) {
        if (status >= 0 && status < 32) to.grpc_statuses |= uint32_t{1} << status;
      }
      return to;
    case log::AccessLogFilter::FILTER_SPECIFIER_NOT_SET:
      return Invalid("", "needs one of status_code_filter, duration_filter, …");
    default:
      return Invalid("", "this kind of filter is not supported by this proxy");
  }
}

// ---- What the logs need kept.

void AddName(const std::string& name, std::vector<std::string>& to) {
  if (name.empty() || std::find(to.begin(), to.end(), name) != to.end()) return;
  to.push_back(name);
}

void CollectHeaders(const FormatString& format, LoggedHeaders& to) {
  for (const FormatPiece& piece : format.pieces) {
    std::vector<std::string>* names = nullptr;
    if (piece.op == FormatOperator::kResponseHeader) names = &to.response;
    if (piece.op == FormatOperator::kResponseTrailer) names = &to.response_trailers;
    if (piece.op == FormatOperator::kRequestTrailer) names = &to.request_trailers;
    if (names == nullptr) continue;
    AddName(piece.text, *names);
    AddName(piece.alternative, *names);
  }
}

void CollectHeaders(const JsonFormat& json, LoggedHeaders& to) {
  CollectHeaders(json.format, to);
  for (const JsonFormat& member : json.members) CollectHeaders(member, to);
}

}  // namespace

absl::StatusOr<AccessLogConfig> CompileAccessLog(const log::AccessLog& from) {
  absl::StatusOr<AccessLogConfig> to = CompileSink(from);
  if (!to.ok()) return to;
  if (to->json == nullptr && to->text.empty()) {
    absl::Status status = SetText(kDefaultFormat, *to);
    if (!status.ok()) return status;
  }
  if (from.has_filter()) {
    absl::StatusOr<AccessLogFilter> filter = CompileFilter(from.filter(), 0);
    if (!filter.ok()) return Under("filter", filter.status());
    to->filter = std::make_shared<const AccessLogFilter>(*std::move(filter));
  }
  return to;
}

absl::Status CompileLogFormat(const core::SubstitutionFormatString& from, AccessLogConfig& to) {
  to.omit_empty_values = from.omit_empty_values();
  if (!from.formatters().empty()) return Invalid("formatters", "is not supported by this proxy");
  switch (from.format_case()) {
    case core::SubstitutionFormatString::kJsonFormat: {
      absl::Status status = SetJson(from.json_format(), to);
      return status.ok() ? status : Under("json_format", status);
    }
    case core::SubstitutionFormatString::kTextFormat: {
      absl::Status status = SetText(from.text_format(), to);
      return status.ok() ? status : Under("text_format", status);
    }
    case core::SubstitutionFormatString::kTextFormatSource: {
      absl::StatusOr<std::string> text = CompileDataSource(from.text_format_source(), Secrets{});
      if (!text.ok()) return Under("text_format_source", text.status());
      absl::Status status = SetText(*text, to);
      return status.ok() ? status : Under("text_format_source", status);
    }
    case core::SubstitutionFormatString::FORMAT_NOT_SET:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::StatusOr<AccessLogFilter> CompileAccessLogFilter(const log::AccessLogFilter& from) {
  return CompileFilter(from, 0);
}

LoggedHeaders HeadersOfLogs(const std::vector<AccessLogConfig>& logs) {
  LoggedHeaders to;
  for (const AccessLogConfig& one : logs) {
    CollectHeaders(one.text, to);
    if (one.json != nullptr) CollectHeaders(*one.json, to);
  }
  return to;
}

}  // namespace weft
