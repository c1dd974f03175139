#include "proxy/config/compile_filters.h"

#include <google/protobuf/util/json_util.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "api/envoy/connection_limit.pb.h"
#include "api/envoy/file_access_log.pb.h"
#include "api/envoy/sni_cluster.pb.h"
#include "api/envoy/stream_access_log.pb.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace core = envoy::config::core::v3;
namespace listener = envoy::config::listener::v3;
namespace loggers = envoy::extensions::access_loggers;
namespace network = envoy::extensions::filters::network;
using network::http_connection_manager::v3::HttpConnectionManager;
using ConnectionLimitFilter = network::connection_limit::v3::ConnectionLimit;
using network::sni_cluster::v3::SniCluster;
using network::tcp_proxy::v3::TcpProxy;

using Service = std::variant<HttpManagerConfig, TcpProxyConfig>;

template <typename Config, typename Message>
absl::StatusOr<Service> CompileService(const google::protobuf::Any& any,
                                       absl::StatusOr<Config> (*compile)(const Message&)) {
  absl::StatusOr<Message> message = Unpack<Message>(any);
  if (!message.ok()) return message.status();
  absl::StatusOr<Config> config = compile(*message);
  if (!config.ok()) return config.status();
  return Service(*std::move(config));
}

absl::StatusOr<Service> CompileLastFilter(const listener::Filter& from) {
  const google::protobuf::Any& any = from.typed_config();
  if (any.Is<HttpConnectionManager>()) {
    return CompileService<HttpManagerConfig, HttpConnectionManager>(any, CompileHttpManager);
  }
  if (any.Is<TcpProxy>()) return CompileService<TcpProxyConfig, TcpProxy>(any, CompileTcpProxy);
  return Invalid("", absl::StrCat("unsupported filter '", from.name(), "' (", TypeOf(any),
                                  "); the last one must be the HTTP connection manager or "
                                  "tcp_proxy"));
}

// The log format's text or JSON, from its present spelling.
absl::Status CompileFormat(const core::SubstitutionFormatString& from, AccessLogConfig& to) {
  if (from.has_json_format()) {
    if (!google::protobuf::util::MessageToJsonString(from.json_format(), &to.json_format).ok()) {
      return Invalid("log_format.json_format", "is not representable as JSON");
    }
    return absl::OkStatus();
  }
  to.text_format = from.has_text_format_source() ? from.text_format_source().inline_string()
                                                 : from.text_format();
  return absl::OkStatus();
}

template <typename Message>
absl::StatusOr<AccessLogConfig> CompileStreamLog(const google::protobuf::Any& any,
                                                 absl::string_view path) {
  absl::StatusOr<Message> message = Unpack<Message>(any);
  if (!message.ok()) return message.status();
  AccessLogConfig to;
  to.path = std::string(path);
  absl::Status status = CompileFormat(message->log_format(), to);
  if (!status.ok()) return status;
  return to;
}

absl::StatusOr<AccessLogConfig> CompileFileLog(const google::protobuf::Any& any) {
  absl::StatusOr<loggers::file::v3::FileAccessLog> message =
      Unpack<loggers::file::v3::FileAccessLog>(any);
  if (!message.ok()) return message.status();
  AccessLogConfig to;
  to.path = message->path();
  if (to.path.empty()) return Invalid("path", "must not be empty");
  to.text_format = message->format();
  if (message->has_log_format()) {
    absl::Status status = CompileFormat(message->log_format(), to);
    if (!status.ok()) return status;
  }
  return to;
}

}  // namespace

absl::StatusOr<AccessLogConfig> CompileAccessLog(
    const envoy::config::accesslog::v3::AccessLog& from) {
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

absl::StatusOr<TcpProxyConfig> CompileTcpProxy(const TcpProxy& from) {
  TcpProxyConfig to;
  to.stat_prefix = from.stat_prefix();
  switch (from.cluster_specifier_case()) {
    case TcpProxy::kCluster:
      if (from.cluster().empty()) return Invalid("cluster", "must not be empty");
      to.clusters.emplace_back().cluster = from.cluster();
      break;
    case TcpProxy::kWeightedClusters:
      for (const TcpProxy::WeightedCluster::ClusterWeight& one :
           from.weighted_clusters().clusters()) {
        WeightedTarget& target = to.clusters.emplace_back();
        target.cluster = one.name();
        target.weight = one.weight();
      }
      break;
    case TcpProxy::CLUSTER_SPECIFIER_NOT_SET:
      return Invalid("", "needs one of cluster, weighted_clusters");
  }
  for (const WeightedTarget& target : to.clusters) to.total_weight += target.weight;
  if (to.total_weight == 0) return Invalid("weighted_clusters", "the weights must not sum to 0");
  if (from.has_tunneling_config()) {
    return Invalid("tunneling_config", "is not supported by this proxy");
  }
  if (from.has_metadata_match()) {
    return Invalid("metadata_match", "is not supported by this proxy");
  }
  if (from.has_idle_timeout()) to.idle_timeout = ToTimeout(from.idle_timeout());
  if (from.has_max_downstream_connection_duration()) {
    to.max_connection_duration = ToTimeout(from.max_downstream_connection_duration());
  }
  if (from.hash_policy_size() > 1) return Invalid("hash_policy", "at most one is allowed");
  if (from.hash_policy_size() == 1) {
    if (!from.hash_policy(0).has_source_ip()) {
      return Invalid("hash_policy[0]", "only source_ip is supported");
    }
    to.hash_source_ip = true;
  }
  if (from.has_max_connect_attempts()) {
    to.max_connect_attempts = from.max_connect_attempts().value();
    if (to.max_connect_attempts == 0) return Invalid("max_connect_attempts", "must be above 0");
  }
  absl::Status status =
      CompileEach("access_log", from.access_log(), to.access_logs, CompileAccessLog);
  if (!status.ok()) return status;
  return to;
}

absl::Status CompileConnectionLimit(const listener::FilterChain& from,
                                    std::optional<ConnectionLimit>& to) {
  for (int i = 0; i < from.filters_size(); ++i) {
    const google::protobuf::Any& any = from.filters(i).typed_config();
    if (!any.Is<ConnectionLimitFilter>()) continue;
    const std::string path = Index("filters", i);
    absl::StatusOr<ConnectionLimitFilter> limit = Unpack<ConnectionLimitFilter>(any);
    if (!limit.ok()) return Under(path, limit.status());
    if (limit->max_connections().value() == 0) {
      return Invalid(absl::StrCat(path, ".typed_config.max_connections"), "must be above 0");
    }
    // The tightest of several decides; switched off by its runtime default, it does nothing.
    if (limit->runtime_enabled().has_default_value() &&
        !limit->runtime_enabled().default_value().value()) {
      continue;
    }
    if (to.has_value() && to->max_connections <= limit->max_connections().value()) continue;
    to = ConnectionLimit{limit->max_connections().value(), ToDuration(limit->delay())};
  }
  return absl::OkStatus();
}

absl::StatusOr<Service> CompileFilters(const listener::FilterChain& from) {
  if (from.filters().empty()) return Invalid("filters", "must not be empty");
  const int last = from.filters_size() - 1;
  int sni_cluster = -1;
  for (int i = 0; i < last; ++i) {
    const listener::Filter& filter = from.filters(i);
    if (filter.typed_config().Is<ConnectionLimitFilter>()) continue;  // CompileConnectionLimit
    if (filter.typed_config().Is<SniCluster>()) {
      sni_cluster = i;
      continue;
    }
    return Invalid(Index("filters", i), absl::StrCat("unsupported filter '", filter.name(), "'"));
  }
  absl::StatusOr<Service> service = CompileLastFilter(from.filters(last));
  if (!service.ok()) return Under(Index("filters", last), service.status());
  if (sni_cluster >= 0) {
    auto* tcp = std::get_if<TcpProxyConfig>(&*service);
    if (tcp == nullptr) {
      return Invalid(Index("filters", sni_cluster), "sni_cluster must be followed by tcp_proxy");
    }
    tcp->sni_cluster = true;
  }
  return service;
}

}  // namespace weft
