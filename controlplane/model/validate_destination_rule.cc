#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/validate_rules.h"

namespace weft {
namespace {

namespace networking = istio::networking::v1alpha3;
using networking::ClientTLSSettings;
using networking::ConnectionPoolSettings;
using networking::LoadBalancerSettings;
using networking::LocalityLoadBalancerSetting;
using networking::OutlierDetection;
using networking::TrafficPolicy;

void CheckLocality(const LocalityLoadBalancerSetting& locality, Checker& check) {
  const Checker::In in(check, "localityLbSetting");
  const int ways = !locality.distribute().empty() + !locality.failover().empty();
  if (ways > 1) check.Error("", "only one of 'distribute' and 'failover' may be set");
  for (int i = 0; i < locality.distribute_size(); ++i) {
    uint64_t total = 0;
    for (const auto& [to, weight] : locality.distribute(i).to()) total += weight;
    if (total != 100) {
      check.Error(absl::StrCat("distribute[", i, "].to"),
                  absl::StrCat("the weights add up to ", total, ", not to 100"));
    }
  }
  for (int i = 0; i < locality.failover_size(); ++i) {
    const auto& failover = locality.failover(i);
    if (failover.from() == failover.to()) {
      check.Error(absl::StrCat("failover[", i, "]"), "'from' and 'to' are the same region");
    }
  }
}

void CheckLoadBalancer(const LoadBalancerSettings& settings, Checker& check) {
  const Checker::In in(check, "loadBalancer");
  if (settings.has_consistent_hash()) {
    const auto& hash = settings.consistent_hash();
    const Checker::In at(check, "consistentHash");
    if (hash.hash_key_case() == LoadBalancerSettings::ConsistentHashLB::HASH_KEY_NOT_SET) {
      check.Error("",
                  "one of httpHeaderName, httpCookie, useSourceIp and "
                  "httpQueryParameterName is needed");
    }
    if (hash.has_http_cookie()) {
      if (hash.http_cookie().name().empty()) check.Error("httpCookie.name", "is missing");
      check.Duration("httpCookie.ttl", hash.http_cookie().ttl());
    }
  }
  if (settings.has_locality_lb_setting()) CheckLocality(settings.locality_lb_setting(), check);
  if (settings.has_warmup()) check.Duration("warmup.duration", settings.warmup().duration());
}

}  // namespace

void CheckConnectionPool(absl::string_view field, const ConnectionPoolSettings& pool,
                         Checker& check) {
  const Checker::In in(check, field);
  const auto& tcp = pool.tcp();
  check.NotNegative("tcp.maxConnections", tcp.max_connections());
  check.Duration("tcp.connectTimeout", tcp.connect_timeout());
  check.Duration("tcp.maxConnectionDuration", tcp.max_connection_duration());
  check.Duration("tcp.idleTimeout", tcp.idle_timeout());
  check.Duration("tcp.tcpKeepalive.time", tcp.tcp_keepalive().time());
  check.Duration("tcp.tcpKeepalive.interval", tcp.tcp_keepalive().interval());
  const auto& http = pool.http();
  check.NotNegative("http.http1MaxPendingRequests", http.http1_max_pending_requests());
  check.NotNegative("http.http2MaxRequests", http.http2_max_requests());
  check.NotNegative("http.maxRequestsPerConnection", http.max_requests_per_connection());
  check.NotNegative("http.maxRetries", http.max_retries());
  check.NotNegative("http.maxConcurrentStreams", http.max_concurrent_streams());
  check.Duration("http.idleTimeout", http.idle_timeout());
}

namespace {

void CheckOutliers(const OutlierDetection& outliers, Checker& check) {
  const Checker::In in(check, "outlierDetection");
  check.Duration("interval", outliers.interval());
  check.Duration("baseEjectionTime", outliers.base_ejection_time());
  check.Range("maxEjectionPercent", outliers.max_ejection_percent(), 0, 100);
  check.Range("minHealthPercent", outliers.min_health_percent(), 0, 100);
}

void CheckTls(const ClientTLSSettings& tls, Checker& check) {
  const Checker::In in(check, "tls");
  const bool files = !tls.client_certificate().empty() || !tls.private_key().empty();
  if (tls.mode() == ClientTLSSettings::MUTUAL && tls.credential_name().empty()) {
    if (tls.client_certificate().empty()) check.Error("clientCertificate", "is missing for MUTUAL");
    if (tls.private_key().empty()) check.Error("privateKey", "is missing for MUTUAL");
  }
  if (!tls.credential_name().empty() && files) {
    check.Error("credentialName", "cannot be used together with files");
  }
  if (tls.mode() == ClientTLSSettings::ISTIO_MUTUAL &&
      (files || !tls.ca_certificates().empty() || !tls.credential_name().empty())) {
    check.Error("mode", "ISTIO_MUTUAL uses the mesh's certificates: no other may be named");
  }
}

// Fields that a whole policy and a port's share.
template <typename Policy>
void CheckPolicy(const Policy& policy, Checker& check) {
  if (policy.has_load_balancer()) CheckLoadBalancer(policy.load_balancer(), check);
  if (policy.has_connection_pool())
    CheckConnectionPool("connectionPool", policy.connection_pool(), check);
  if (policy.has_outlier_detection()) CheckOutliers(policy.outlier_detection(), check);
  if (policy.has_tls()) CheckTls(policy.tls(), check);
}

void CheckTrafficPolicy(const TrafficPolicy& policy, Checker& check) {
  const Checker::In in(check, "trafficPolicy");
  CheckPolicy(policy, check);
  std::set<uint32_t> ports;
  for (int i = 0; i < policy.port_level_settings_size(); ++i) {
    const auto& setting = policy.port_level_settings(i);
    const Checker::In at(check, "portLevelSettings", i);
    check.RequiredPort("port.number", setting.port().number());
    if (!ports.insert(setting.port().number()).second) {
      check.Error("port.number", absl::StrCat(setting.port().number(), " is there twice"));
    }
    CheckPolicy(setting, check);
  }
  if (policy.has_tunnel()) {
    const Checker::In at(check, "tunnel");
    check.Host("targetHost", policy.tunnel().target_host(), /*wildcard=*/false);
    check.RequiredPort("targetPort", policy.tunnel().target_port());
  }
}

}  // namespace

void CheckDestinationRule(const networking::DestinationRule& spec, Checker& check) {
  check.Host("host", spec.host(), /*wildcard=*/true);
  if (spec.has_traffic_policy()) CheckTrafficPolicy(spec.traffic_policy(), check);
  std::set<std::string> names;
  for (int i = 0; i < spec.subsets_size(); ++i) {
    const networking::Subset& subset = spec.subsets(i);
    const Checker::In in(check, "subsets", i);
    if (subset.name().empty()) {
      check.Error("name", "is missing");
    } else {
      check.Label("name", subset.name());
    }
    if (!names.insert(subset.name()).second) {
      check.Error("name", absl::StrCat("'", subset.name(), "' is there twice"));
    }
    check.SelectorLabels("labels", subset.labels());
    if (subset.has_traffic_policy()) CheckTrafficPolicy(subset.traffic_policy(), check);
  }
  check.SelectorLabels("workloadSelector.matchLabels", spec.workload_selector().match_labels());
  check.ExportTo(spec.export_to());
}

}  // namespace weft
