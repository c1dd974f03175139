#include "proxy/config/compile_health.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace core = envoy::config::core::v3;
using core::HealthCheck;
using envoy::config::cluster::v3::OutlierDetection;
using google::protobuf::UInt32Value;

// A payload is sent and looked for each time: no more than a packet or two.
constexpr size_t kMostPayload = 4096;

// ---- Outliers.

struct NumberField {
  const char* name;
  const UInt32Value& (OutlierDetection::*get)() const;
  bool (OutlierDetection::*has)() const;
  uint32_t OutlierConfig::*to;
  bool percent;
};

#define WEFT_NUMBER(field, percent)                                                          \
  {                                                                                          \
#field, &OutlierDetection::field, &OutlierDetection::has_##field, &OutlierConfig::field, \
        percent                                                                              \
  }
constexpr NumberField kNumbers[] = {
    WEFT_NUMBER(consecutive_5xx, false),
    WEFT_NUMBER(max_ejection_percent, true),
    WEFT_NUMBER(enforcing_consecutive_5xx, true),
    WEFT_NUMBER(enforcing_success_rate, true),
    WEFT_NUMBER(success_rate_minimum_hosts, false),
    WEFT_NUMBER(success_rate_request_volume, false),
    WEFT_NUMBER(success_rate_stdev_factor, false),
    WEFT_NUMBER(consecutive_gateway_failure, false),
    WEFT_NUMBER(enforcing_consecutive_gateway_failure, true),
    WEFT_NUMBER(consecutive_local_origin_failure, false),
    WEFT_NUMBER(enforcing_consecutive_local_origin_failure, true),
    WEFT_NUMBER(enforcing_local_origin_success_rate, true),
    WEFT_NUMBER(failure_percentage_threshold, true),
    WEFT_NUMBER(enforcing_failure_percentage, true),
    WEFT_NUMBER(enforcing_failure_percentage_local_origin, true),
    WEFT_NUMBER(failure_percentage_minimum_hosts, false),
    WEFT_NUMBER(failure_percentage_request_volume, false),
};
#undef WEFT_NUMBER

absl::Status CompileTime(absl::string_view field, const google::protobuf::Duration& from,
                         absl::Duration& to) {
  to = ToDuration(from);
  if (to <= absl::ZeroDuration()) return Invalid(field, "must be above 0");
  return absl::OkStatus();
}

absl::Status CompileTimes(const OutlierDetection& from, OutlierConfig& to) {
  absl::Status status;
  if (from.has_interval()) status.Update(CompileTime("interval", from.interval(), to.interval));
  if (from.has_base_ejection_time()) {
    status.Update(
        CompileTime("base_ejection_time", from.base_ejection_time(), to.base_ejection_time));
  }
  if (from.has_max_ejection_time()) {
    status.Update(CompileTime("max_ejection_time", from.max_ejection_time(), to.max_ejection_time));
    if (status.ok() && to.max_ejection_time < to.base_ejection_time) {
      return Invalid("max_ejection_time", "must not be below base_ejection_time");
    }
  }
  to.max_ejection_time_jitter =
      std::max(absl::ZeroDuration(), ToDuration(from.max_ejection_time_jitter()));
  return status;
}

// ---- Health checks.

absl::StatusOr<std::string> CompilePayload(const HealthCheck::Payload& from) {
  std::string bytes = from.binary();
  if (!from.text().empty()) {
    const bool hex =
        from.text().size() % 2 == 0 && std::all_of(from.text().begin(), from.text().end(),
                                                   [](char c) { return absl::ascii_isxdigit(c); });
    if (!hex) return Invalid("text", "must be bytes in hexadecimal");
    bytes = absl::HexStringToBytes(from.text());
  }
  if (bytes.empty()) return Invalid("", "needs text or binary");
  if (bytes.size() > kMostPayload) {
    return Invalid("", absl::StrCat("is longer than ", kMostPayload, " bytes"));
  }
  return bytes;
}

absl::StatusOr<StatusRange> CompileRange(const envoy::type::v3::Int64Range& from) {
  if (from.start() < 100 || from.end() > 600 || from.start() >= from.end()) {
    return Invalid("", "must be start < end, from 100 to 600");
  }
  return StatusRange{from.start(), from.end() - 1};
}

bool IsHeaderText(absl::string_view text) {
  return text.find_first_of(absl::string_view("\r\n\0", 3)) == absl::string_view::npos;
}

absl::StatusOr<std::pair<std::string, std::string>> CompileHeader(
    const core::HeaderValueOption& from) {
  const core::HeaderValue& header = from.header();
  if (header.key().empty() || !IsHeaderText(header.key())) {
    return Invalid("header.key", "is not a field name");
  }
  if (!IsHeaderText(header.value())) return Invalid("header.value", "is not a field value");
  // A percent sign would be a command operator; there is no request here to fill it in from.
  if (header.value().find('%') != std::string::npos) {
    return Invalid("header.value", "command operators are not supported");
  }
  return std::make_pair(header.key(), header.value());
}

absl::Status CompileHttp(const HealthCheck::HttpHealthCheck& from, HealthCheckConfig& to) {
  to.kind = HealthCheckConfig::Kind::kHttp;
  to.host = from.host();
  to.path = from.path();
  if (to.path.empty() || to.path[0] != '/' ||
      to.path.find_first_of(" \r\n\t") != std::string::npos) {
    return Invalid("path", "must be a path");
  }
  if (!IsHeaderText(to.host)) return Invalid("host", "is not a host");
  if (from.method() == core::CONNECT) return Invalid("method", "must not be CONNECT");
  to.method =
      from.method() == core::METHOD_UNSPECIFIED ? "GET" : core::RequestMethod_Name(from.method());
  if (from.has_send()) return Invalid("send", "is not supported");
  if (from.receive_size() > 0) return Invalid("receive", "is not supported");
  if (from.has_service_name_matcher()) return Invalid("service_name_matcher", "is not supported");
  if (from.codec_client_type() != envoy::type::v3::HTTP1) {
    return Invalid("codec_client_type", "only HTTP1 is supported");
  }
  if (from.request_headers_to_remove_size() > 0) {
    return Invalid("request_headers_to_remove", "is not supported");
  }
  absl::Status status = CompileEach("request_headers_to_add", from.request_headers_to_add(),
                                    to.headers, CompileHeader);
  if (!status.ok()) return status;
  status = CompileEach("expected_statuses", from.expected_statuses(), to.expected_statuses,
                       CompileRange);
  if (!status.ok()) return status;
  if (to.expected_statuses.empty()) to.expected_statuses.push_back({200, 200});
  return CompileEach("retriable_statuses", from.retriable_statuses(), to.retriable_statuses,
                     CompileRange);
}

absl::Status CompileTcp(const HealthCheck::TcpHealthCheck& from, HealthCheckConfig& to) {
  to.kind = HealthCheckConfig::Kind::kTcp;
  if (from.has_send()) {
    absl::StatusOr<std::string> send = CompilePayload(from.send());
    if (!send.ok()) return Under("send", send.status());
    to.send = *std::move(send);
  }
  return CompileEach("receive", from.receive(), to.receive, CompilePayload);
}

absl::Status CompileGrpc(const HealthCheck::GrpcHealthCheck& from, HealthCheckConfig& to) {
  to.kind = HealthCheckConfig::Kind::kGrpc;
  to.service = from.service_name();
  to.host = from.authority();
  return CompileEach("initial_metadata", from.initial_metadata(), to.headers, CompileHeader);
}

absl::Status CompileIntervals(const HealthCheck& from, HealthCheckConfig& to) {
  absl::Status status = CompileTime("timeout", from.timeout(), to.timeout);
  status.Update(CompileTime("interval", from.interval(), to.interval));
  to.unhealthy_interval = to.interval;
  if (from.has_unhealthy_interval()) {
    status.Update(
        CompileTime("unhealthy_interval", from.unhealthy_interval(), to.unhealthy_interval));
  }
  to.unhealthy_edge_interval = to.unhealthy_interval;
  if (from.has_unhealthy_edge_interval()) {
    status.Update(CompileTime("unhealthy_edge_interval", from.unhealthy_edge_interval(),
                              to.unhealthy_edge_interval));
  }
  to.healthy_edge_interval = to.interval;
  if (from.has_healthy_edge_interval()) {
    status.Update(CompileTime("healthy_edge_interval", from.healthy_edge_interval(),
                              to.healthy_edge_interval));
  }
  to.initial_jitter = std::max(absl::ZeroDuration(), ToDuration(from.initial_jitter()));
  to.interval_jitter = std::max(absl::ZeroDuration(), ToDuration(from.interval_jitter()));
  to.interval_jitter_percent = from.interval_jitter_percent();
  return status;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const OutlierConfig>> CompileOutlier(const OutlierDetection& from) {
  auto to = std::make_shared<OutlierConfig>();
  for (const NumberField& field : kNumbers) {
    if (!(from.*field.has)()) continue;
    const uint32_t value = (from.*field.get)().value();
    if (field.percent && value > 100) return Invalid(field.name, "must be 0 to 100");
    to.get()->*field.to = value;
  }
  to->split_external_local_origin_errors = from.split_external_local_origin_errors();
  to->always_eject_one_host = from.always_eject_one_host().value();
  absl::Status status = CompileTimes(from, *to);
  if (!status.ok()) return status;
  return to;
}

// no_traffic_interval and reuse_connection change nothing here: a cluster is checked at one pace
// whether it is used or not, and each check has a connection of its own.
absl::StatusOr<std::shared_ptr<const HealthCheckConfig>> CompileHealthCheck(
    const HealthCheck& from) {
  auto to = std::make_shared<HealthCheckConfig>();
  absl::Status status = CompileIntervals(from, *to);
  if (!status.ok()) return status;
  if (!from.has_unhealthy_threshold()) return Invalid("unhealthy_threshold", "must be set");
  if (!from.has_healthy_threshold()) return Invalid("healthy_threshold", "must be set");
  to->unhealthy_threshold = std::max<uint32_t>(1, from.unhealthy_threshold().value());
  to->healthy_threshold = std::max<uint32_t>(1, from.healthy_threshold().value());
  if (from.alt_port().value() > 65535) return Invalid("alt_port", "is above 65535");
  to->alt_port = static_cast<uint16_t>(from.alt_port().value());
  to->log_failures = from.always_log_health_check_failures();
  if (from.tls_options().alpn_protocols_size() > 0) {
    return Invalid("tls_options.alpn_protocols", "is not supported");
  }
  if (from.has_transport_socket_match_criteria()) {
    return Invalid("transport_socket_match_criteria", "is not supported");
  }
  if (!from.event_log_path().empty()) return Invalid("event_log_path", "is not supported");
  switch (from.health_checker_case()) {
    case HealthCheck::kHttpHealthCheck:
      status = CompileHttp(from.http_health_check(), *to);
      if (!status.ok()) return Under("http_health_check", status);
      return to;
    case HealthCheck::kTcpHealthCheck:
      status = CompileTcp(from.tcp_health_check(), *to);
      if (!status.ok()) return Under("tcp_health_check", status);
      return to;
    case HealthCheck::kGrpcHealthCheck:
      status = CompileGrpc(from.grpc_health_check(), *to);
      if (!status.ok()) return Under("grpc_health_check", status);
      return to;
    case HealthCheck::HEALTH_CHECKER_NOT_SET:
      break;
  }
  return Invalid("", "needs one of http_health_check, tcp_health_check, grpc_health_check");
}

}  // namespace weft
