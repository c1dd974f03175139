#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
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

// A duration that must be there to mean anything.
void Positive(absl::string_view field, absl::string_view text, Checker& check) {
  check.Duration(field, text);
  absl::Duration duration;
  if (absl::ParseDuration(text, &duration) && duration == absl::ZeroDuration()) {
    check.Error(field, "must be above 0");
  }
}

// "region", "region/zone" or "region/zone/subzone", each but the first part may be "*".
void CheckPattern(absl::string_view field, absl::string_view pattern, Checker& check) {
  const std::vector<absl::string_view> parts = absl::StrSplit(pattern, '/');
  if (parts.size() > 3 || parts[0].empty()) {
    return check.Error(field, absl::StrCat("'", pattern, "' is not a locality as 'region/zone/*'"));
  }
  if (parts.size() == 3 && parts[2] != "*" && !parts[2].empty()) {
    check.Warning(field, absl::StrCat("'", pattern,
                                      "': sub-zones are not known to the mesh, so "
                                      "this matches nothing"));
  }
}

void CheckLocality(const LocalityLoadBalancerSetting& locality, Checker& check) {
  const Checker::In in(check, "localityLbSetting");
  const auto names_region = [](const std::string& label) {
    return absl::StartsWith(label, "topology.kubernetes.io/region");
  };
  const auto& priority = locality.failover_priority();
  if (!locality.failover().empty() && std::any_of(priority.begin(), priority.end(), names_region)) {
    check.Error("", "'failover' and a region in 'failoverPriority' contradict each other");
  }
  for (int i = 0; i < locality.distribute_size(); ++i) {
    const Checker::In at(check, "distribute", i);
    uint64_t total = 0;
    CheckPattern("from", locality.distribute(i).from(), check);
    for (const auto& [to, weight] : locality.distribute(i).to()) {
      CheckPattern("to", to, check);
      total += weight;
    }
    if (total != 100) {
      check.Error("to", absl::StrCat("the weights add up to ", total, ", not to 100"));
    }
  }
  for (int i = 0; i < locality.failover_size(); ++i) {
    const auto& failover = locality.failover(i);
    if (failover.from() == failover.to()) {
      check.Error(absl::StrCat("failover[", i, "]"), "'from' and 'to' are the same region");
    }
  }
  for (int i = 0; i < locality.failover_priority_size(); ++i) {
    const std::string& label = locality.failover_priority(i);
    if (!label.empty() && label.front() != '=') continue;
    check.Error(absl::StrCat("failoverPriority[", i, "]"), "names no label");
  }
}

bool IsPrime(uint64_t number) {
  if (number < 2) return false;
  for (uint64_t divisor = 2; divisor * divisor <= number; ++divisor) {
    if (number % divisor == 0) return false;
  }
  return true;
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
void CheckTableSizes(const LoadBalancerSettings::ConsistentHashLB& hash, Checker& check) {
  constexpr uint64_t kMostRingPlaces = 8 * 1024 * 1024;  // the proxy's bounds, and Envoy's
  constexpr uint64_t kMostMaglevSlots = 5'000'011;
  if (hash.minimum_ring_size() > kMostRingPlaces) {
    check.Error("minimumRingSize", absl::StrCat("must be at most ", kMostRingPlaces));
  }
  if (hash.ring_hash().minimum_ring_size() > kMostRingPlaces) {
    check.Error("ringHash.minimumRingSize", absl::StrCat("must be at most ", kMostRingPlaces));
  }
  const uint64_t slots = hash.maglev().table_size();
  if (slots != 0 && (slots < 3 || slots > kMostMaglevSlots || !IsPrime(slots))) {
    check.Error("maglev.tableSize",
                absl::StrCat(slots, " is not a prime number of 3 to ", kMostMaglevSlots));
  }
}
#pragma clang diagnostic pop

void CheckConsistentHash(const LoadBalancerSettings::ConsistentHashLB& hash, Checker& check) {
  using Hash = LoadBalancerSettings::ConsistentHashLB;
  const Checker::In in(check, "consistentHash");
  CheckTableSizes(hash, check);
  switch (hash.hash_key_case()) {
    case Hash::HASH_KEY_NOT_SET:
      check.Error("",
                  "one of httpHeaderName, httpCookie, useSourceIp and "
                  "httpQueryParameterName is needed");
      break;
    case Hash::kHttpHeaderName:
      check.HeaderName("httpHeaderName", hash.http_header_name());
      break;
    case Hash::kHttpCookie:
      if (hash.http_cookie().name().empty()) check.Error("httpCookie.name", "is missing");
      check.Duration("httpCookie.ttl", hash.http_cookie().ttl());
      break;
    case Hash::kHttpQueryParameterName:
      if (hash.http_query_parameter_name().empty()) {
        check.Error("httpQueryParameterName", "is empty");
      }
      break;
    case Hash::kUseSourceIp:
      if (!hash.use_source_ip()) check.Error("useSourceIp", "false is no key to go by");
      break;
  }
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
void CheckWarmup(const LoadBalancerSettings& settings, Checker& check) {
  if (!settings.has_warmup() && settings.warmup_duration_secs().empty()) return;
  Positive("warmupDurationSecs", settings.warmup_duration_secs(), check);
  if (settings.has_warmup()) {
    const Checker::In in(check, "warmup");
    if (settings.warmup().duration().empty()) check.Error("duration", "is missing");
    Positive("duration", settings.warmup().duration(), check);
    check.Range("minimumPercent", settings.warmup().minimum_percent(), 0, 100);
    if (settings.warmup().has_aggression() && !(settings.warmup().aggression() >= 1)) {
      check.Error("aggression", "must be at least 1");
    }
  }
  const bool known = !settings.has_consistent_hash() &&
                     settings.simple() != LoadBalancerSettings::RANDOM &&
                     settings.simple() != LoadBalancerSettings::PASSTHROUGH;
  if (!known) check.Warning("warmup", "has effect with LEAST_REQUEST and ROUND_ROBIN only");
}
#pragma clang diagnostic pop

void CheckLoadBalancer(const LoadBalancerSettings& settings, Checker& check) {
  const Checker::In in(check, "loadBalancer");
  if (settings.has_consistent_hash()) CheckConsistentHash(settings.consistent_hash(), check);
  if (settings.has_locality_lb_setting()) CheckLocality(settings.locality_lb_setting(), check);
  CheckWarmup(settings, check);
  if (settings.has_zone_aware_lb_setting()) {
    check.Warning("zoneAwareLbSetting",
                  "has no effect: endpoints of the client's zone come first in any case; "
                  "localityLbSetting changes that");
  }
}

}  // namespace

void CheckConnectionPool(absl::string_view field, const ConnectionPoolSettings& pool,
                         Checker& check) {
  const Checker::In in(check, field);
  const auto& tcp = pool.tcp();
  check.NotNegative("tcp.maxConnections", tcp.max_connections());
  Positive("tcp.connectTimeout", tcp.connect_timeout(), check);
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
  if (!tcp.max_connection_duration().empty()) {
    check.Info("tcp.maxConnectionDuration",
               "bounds connections of TCP ports; those that carry HTTP requests it does not");
  }
  if (http.use_client_protocol() &&
      http.h2_upgrade_policy() == ConnectionPoolSettings::HTTPSettings::UPGRADE) {
    check.Error("http.useClientProtocol", "cannot be used together with h2UpgradePolicy UPGRADE");
  }
  if (!http.has_http2_keep_alive()) return;
  const Checker::In at(check, "http.http2KeepAlive");
  Positive("interval", http.http2_keep_alive().interval(), check);
  Positive("timeout", http.http2_keep_alive().timeout(), check);
}

namespace {

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
void CheckOutliers(const OutlierDetection& outliers, Checker& check) {
  const Checker::In in(check, "outlierDetection");
  Positive("interval", outliers.interval(), check);
  Positive("baseEjectionTime", outliers.base_ejection_time(), check);
  check.Range("maxEjectionPercent", outliers.max_ejection_percent(), 0, 100);
  check.Range("minHealthPercent", outliers.min_health_percent(), 0, 100);
  if (outliers.consecutive_errors() != 0) {
    check.Warning("consecutiveErrors",
                  "has no effect, as in Istio: use consecutive5xxErrors or "
                  "consecutiveGatewayErrors");
  }
  if (!outliers.outlier_detection_http_error_codes().empty()) {
    check.Warning("outlierDetectionHttpErrorCodes",
                  "has no effect: it is the codes 500 to 599 that count");
  }
  if (outliers.has_consecutive_local_origin_failures() &&
      !outliers.split_external_local_origin_errors()) {
    check.Warning("consecutiveLocalOriginFailures",
                  "has no effect without splitExternalLocalOriginErrors");
  }
}
#pragma clang diagnostic pop

void CheckCredentialName(const ClientTLSSettings& tls, bool files, Checker& check) {
  if (files || !tls.ca_certificates().empty()) {
    return check.Error("credentialName", "cannot be used together with files");
  }
  if (absl::StrContains(tls.credential_name(), "/")) {
    return check.Error("credentialName", absl::StrCat("'", tls.credential_name(),
                                                      "' is not the name of a Secret; it is looked "
                                                      "for in the gateway's own namespace"));
  }
  if (tls.mode() != ClientTLSSettings::SIMPLE && tls.mode() != ClientTLSSettings::MUTUAL) {
    return check.Error("credentialName", "is for the modes SIMPLE and MUTUAL");
  }
  check.Info("credentialName",
             tls.mode() == ClientTLSSettings::SIMPLE
                 ? "is for gateways; sidecars verify by the system's roots"
                 : "is for gateways; connections of sidecars fail, as they are sent no Secrets");
}

void CheckTls(const ClientTLSSettings& tls, Checker& check) {
  const Checker::In in(check, "tls");
  const bool files = !tls.client_certificate().empty() || !tls.private_key().empty();
  const bool named = !tls.credential_name().empty();
  if (named) CheckCredentialName(tls, files, check);
  if (tls.mode() == ClientTLSSettings::MUTUAL && !named) {
    if (tls.client_certificate().empty()) check.Error("clientCertificate", "is missing for MUTUAL");
    if (tls.private_key().empty()) check.Error("privateKey", "is missing for MUTUAL");
  }
  if (tls.mode() == ClientTLSSettings::ISTIO_MUTUAL && (files || !tls.ca_certificates().empty())) {
    check.Error("mode", "ISTIO_MUTUAL uses the mesh's certificates: no other may be named");
  }
  const bool own =
      tls.mode() == ClientTLSSettings::SIMPLE || tls.mode() == ClientTLSSettings::MUTUAL;
  if (own && tls.insecure_skip_verify()) {
    check.Warning("insecureSkipVerify", "anybody may answer for this host");
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
    check.Error("tunnel", "is not supported: the proxy opens no tunnels for TCP; remove it");
  }
  if (policy.has_proxy_protocol()) {
    check.Info("proxyProtocol",
               "connections to HTTP ports are shared by clients, so that their header names none");
  }
  if (!policy.has_retry_budget()) return;
  check.Range("retryBudget.percent", policy.retry_budget().percent(), 0, 100);
  if (!policy.retry_budget().budget_interval().empty()) {
    check.Warning("retryBudget.budgetInterval",
                  "has no effect: the budget is of the requests that are under way");
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
