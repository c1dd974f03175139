#include "proxy/config/check_bootstrap.h"

#include "absl/strings/string_view.h"
#include "api/envoy/bootstrap.pb.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

constexpr absl::string_view kNotSupported = "is not supported by this proxy";

absl::Status CheckAdmin(const envoy::config::bootstrap::v3::Admin& admin) {
  if (!admin.allow_paths().empty()) return Invalid("allow_paths", kNotSupported);
  if (!admin.socket_options().empty()) return Invalid("socket_options", kNotSupported);
  if (admin.has_address() && !admin.address().has_socket_address()) {
    return Invalid("address", "only socket_address is supported for the admin port");
  }
  return absl::OkStatus();
}

absl::Status CheckClusterManager(const envoy::config::bootstrap::v3::ClusterManager& manager) {
  if (manager.has_upstream_bind_config()) return Invalid("upstream_bind_config", kNotSupported);
  if (manager.has_load_stats_config()) return Invalid("load_stats_config", kNotSupported);
  if (!manager.outlier_detection().event_log_path().empty()) {
    return Invalid("outlier_detection.event_log_path", kNotSupported);
  }
  return absl::OkStatus();
}

absl::Status CheckStats(const envoy::config::metrics::v3::StatsConfig& stats) {
  if (!stats.stats_tags().empty()) return Invalid("stats_tags", kNotSupported);
  if (stats.has_stats_matcher()) return Invalid("stats_matcher", kNotSupported);
  if (!stats.histogram_bucket_settings().empty()) {
    return Invalid("histogram_bucket_settings", kNotSupported);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckBootstrap(const envoy::config::bootstrap::v3::Bootstrap& bootstrap) {
  absl::Status status = CheckAdmin(bootstrap.admin());
  if (!status.ok()) return Under("admin", status);
  status = CheckClusterManager(bootstrap.cluster_manager());
  if (!status.ok()) return Under("cluster_manager", status);
  status = CheckStats(bootstrap.stats_config());
  if (!status.ok()) return Under("stats_config", status);
  if (!bootstrap.stats_sinks().empty()) return Invalid("stats_sinks", kNotSupported);
  if (!bootstrap.header_prefix().empty() && bootstrap.header_prefix() != "x-envoy") {
    return Invalid("header_prefix", "only x-envoy is supported by this proxy");
  }
  if (bootstrap.use_tcp_for_dns_lookups()) return Invalid("use_tcp_for_dns_lookups", kNotSupported);
  if (!bootstrap.bootstrap_extensions().empty()) {
    return Invalid("bootstrap_extensions", kNotSupported);
  }
  if (!bootstrap.config_sources().empty()) return Invalid("config_sources", kNotSupported);
  if (bootstrap.has_default_config_source()) {
    return Invalid("default_config_source", kNotSupported);
  }
  if (!bootstrap.certificate_provider_instances().empty()) {
    return Invalid("certificate_provider_instances", kNotSupported);
  }
  if (!bootstrap.node_context_params().empty())
    return Invalid("node_context_params", kNotSupported);
  if (bootstrap.has_typed_dns_resolver_config()) {
    return Invalid("typed_dns_resolver_config", kNotSupported);
  }
  return absl::OkStatus();
}

}  // namespace weft
