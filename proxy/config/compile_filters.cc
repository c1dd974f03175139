#include "proxy/config/compile_filters.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "api/envoy/connection_limit.pb.h"
#include "api/envoy/network_rbac.pb.h"
#include "api/envoy/sni_cluster.pb.h"
#include "api/weft/tunnel.pb.h"
#include "proxy/config/compile_access_log.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace listener = envoy::config::listener::v3;
namespace network = envoy::extensions::filters::network;
using network::http_connection_manager::v3::HttpConnectionManager;
using ConnectionLimitFilter = network::connection_limit::v3::ConnectionLimit;
using network::sni_cluster::v3::SniCluster;
using network::tcp_proxy::v3::TcpProxy;

using Service = decltype(FilterChainConfig::service);

absl::StatusOr<Service> CompileLastFilter(const listener::Filter& from, const Secrets& secrets) {
  const google::protobuf::Any& any = from.typed_config();
  if (any.Is<HttpConnectionManager>()) {
    absl::StatusOr<HttpConnectionManager> message = Unpack<HttpConnectionManager>(any);
    if (!message.ok()) return message.status();
    absl::StatusOr<HttpManagerConfig> config = CompileHttpManager(*message, secrets);
    if (!config.ok()) return config.status();
    return Service(*std::move(config));
  }
  if (any.Is<proxy::v1::ReverseTunnel>()) return Service(ReverseTunnelConfig());
  if (any.Is<TcpProxy>()) {
    absl::StatusOr<TcpProxy> message = Unpack<TcpProxy>(any);
    if (!message.ok()) return message.status();
    absl::StatusOr<TcpProxyConfig> config = CompileTcpProxy(*message);
    if (!config.ok()) return config.status();
    return Service(*std::move(config));
  }
  return Invalid("", absl::StrCat("unsupported filter '", from.name(), "' (", TypeOf(any),
                                  "); the last one must be the HTTP connection manager or "
                                  "tcp_proxy"));
}

}  // namespace

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

absl::StatusOr<Service> CompileFilters(const listener::FilterChain& from, const Secrets& secrets) {
  if (from.filters().empty()) return Invalid("filters", "must not be empty");
  const int last = from.filters_size() - 1;
  int sni_cluster = -1;
  for (int i = 0; i < last; ++i) {
    const listener::Filter& filter = from.filters(i);
    if (filter.typed_config().Is<network::rbac::v3::RBAC>()) continue;  // CompileAuthorization
    if (filter.typed_config().Is<ConnectionLimitFilter>()) continue;    // CompileConnectionLimit
    if (filter.typed_config().Is<SniCluster>()) {
      sni_cluster = i;
      continue;
    }
    return Invalid(Index("filters", i), absl::StrCat("unsupported filter '", filter.name(), "'"));
  }
  absl::StatusOr<Service> service = CompileLastFilter(from.filters(last), secrets);
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
