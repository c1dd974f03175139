#include "controlplane/translate/cluster_policy.h"

#include <algorithm>
#include <limits>

#include "api/envoy/cluster.pb.h"
#include "api/envoy/http_protocol_options.pb.h"
#include "api/envoy/upstream_proxy_protocol.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/index.h"
#include "controlplane/translate/parts.h"

namespace weft {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::core::v3::Http2ProtocolOptions;
using envoy::config::core::v3::ProxyProtocolConfig;
using envoy::config::core::v3::TransportSocket;
using envoy::extensions::transport_sockets::proxy_protocol::v3::ProxyProtocolUpstreamTransport;
using envoy::extensions::transport_sockets::tls::v3::CertificateValidationContext;
using envoy::extensions::transport_sockets::tls::v3::SdsSecretConfig;
using envoy::extensions::transport_sockets::tls::v3::SubjectAltNameMatcher;
using envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
using envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
using istio::networking::v1alpha3::ClientTLSSettings;
using istio::networking::v1alpha3::ConnectionPoolSettings;
using istio::networking::v1alpha3::LoadBalancerSettings;
using istio::networking::v1alpha3::TrafficPolicy;

using HttpSettings = ConnectionPoolSettings::HTTPSettings;

constexpr char kHttpOptions[] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

const ConnectionPoolSettings& PoolOf(const Policy& policy) {
  return policy.connection_pool == nullptr ? ConnectionPoolSettings::default_instance()
                                           : *policy.connection_pool;
}

// ---- Balancing.

// Istio deprecated some places where a setting may stand; people's files still use them.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
uint64_t MinimumRingSize(const LoadBalancerSettings::ConsistentHashLB& hash) {
  return hash.has_ring_hash() ? hash.ring_hash().minimum_ring_size() : hash.minimum_ring_size();
}

absl::Duration WarmupOf(const LoadBalancerSettings& settings) {
  return DurationOr(
      settings.has_warmup() ? settings.warmup().duration() : settings.warmup_duration_secs(),
      absl::ZeroDuration());
}
#pragma clang diagnostic pop

void SetConsistentHash(const LoadBalancerSettings::ConsistentHashLB& hash, Cluster& cluster) {
  if (hash.has_maglev()) {
    cluster.set_lb_policy(Cluster::MAGLEV);
    if (hash.maglev().table_size() > 0) {
      cluster.mutable_maglev_lb_config()->mutable_table_size()->set_value(
          hash.maglev().table_size());
    }
    return;
  }
  cluster.set_lb_policy(Cluster::RING_HASH);
  if (uint64_t size = MinimumRingSize(hash); size > 0) {
    cluster.mutable_ring_hash_lb_config()->mutable_minimum_ring_size()->set_value(size);
  }
}

void SetSimple(LoadBalancerSettings::SimpleLB simple, Cluster& cluster) {
  switch (simple) {
    case LoadBalancerSettings::RANDOM:
      cluster.set_lb_policy(Cluster::RANDOM);
      break;
    case LoadBalancerSettings::ROUND_ROBIN:
      cluster.set_lb_policy(Cluster::ROUND_ROBIN);
      break;
    case LoadBalancerSettings::PASSTHROUGH:
      cluster.set_lb_policy(Cluster::CLUSTER_PROVIDED);
      break;
    default:
      break;
  }
}

// The two policies that know a slow start.
void SetWarmup(const LoadBalancerSettings& settings, Cluster& cluster) {
  const absl::Duration window = WarmupOf(settings);
  if (window <= absl::ZeroDuration()) return;
  Cluster::SlowStartConfig* slow = nullptr;
  if (cluster.lb_policy() == Cluster::ROUND_ROBIN) {
    slow = cluster.mutable_round_robin_lb_config()->mutable_slow_start_config();
  } else if (cluster.lb_policy() == Cluster::LEAST_REQUEST) {
    slow = cluster.mutable_least_request_lb_config()->mutable_slow_start_config();
  } else {
    return;
  }
  SetDuration(window, slow->mutable_slow_start_window());
  if (settings.warmup().has_aggression()) {
    slow->mutable_aggression()->set_default_value(settings.warmup().aggression());
  }
  if (settings.warmup().has_minimum_percent()) {
    slow->mutable_min_weight_percent()->set_value(settings.warmup().minimum_percent());
  }
}

void SetLoadBalancer(const Policy& policy, Cluster& cluster) {
  cluster.set_lb_policy(Cluster::LEAST_REQUEST);
  if (policy.load_balancer == nullptr) return;
  const LoadBalancerSettings& settings = *policy.load_balancer;
  if (settings.has_consistent_hash()) {
    SetConsistentHash(settings.consistent_hash(), cluster);
  } else {
    SetSimple(settings.simple(), cluster);
  }
  SetWarmup(settings, cluster);
  if (!settings.locality_lb_setting().distribute().empty()) {
    cluster.mutable_common_lb_config()->mutable_locality_weighted_lb_config();
  }
}

// ---- Connection pools.

// Where nothing is stated there is no limit, as in Istio; Envoy's own default would be 1024.
void SetCircuitBreakers(const Policy& policy, Cluster& cluster) {
  const ConnectionPoolSettings& pool = PoolOf(policy);
  auto stated = [](int32_t limit) {
    return limit > 0 ? static_cast<uint32_t>(limit) : std::numeric_limits<uint32_t>::max();
  };
  auto* thresholds = cluster.mutable_circuit_breakers()->add_thresholds();
  thresholds->mutable_max_connections()->set_value(stated(pool.tcp().max_connections()));
  thresholds->mutable_max_pending_requests()->set_value(
      stated(pool.http().http1_max_pending_requests()));
  thresholds->mutable_max_requests()->set_value(stated(pool.http().http2_max_requests()));
  thresholds->mutable_max_retries()->set_value(stated(pool.http().max_retries()));
  if (policy.retry_budget == nullptr) return;
  auto* budget = thresholds->mutable_retry_budget();
  if (policy.retry_budget->has_percent()) {
    budget->mutable_budget_percent()->set_value(policy.retry_budget->percent());
  }
  if (policy.retry_budget->min_retry_concurrency() > 0) {
    budget->mutable_min_retry_concurrency()->set_value(
        policy.retry_budget->min_retry_concurrency());
  }
}

void SetHttp2(const HttpSettings& from, Http2ProtocolOptions& to) {
  if (from.max_concurrent_streams() > 0) {
    to.mutable_max_concurrent_streams()->set_value(from.max_concurrent_streams());
  }
  if (!from.has_http2_keep_alive()) return;
  SetDuration(DurationOr(from.http2_keep_alive().timeout(), absl::Seconds(10)),
              to.mutable_connection_keepalive()->mutable_timeout());
  absl::Duration interval = DurationOr(from.http2_keep_alive().interval(), absl::ZeroDuration());
  if (interval > absl::ZeroDuration()) {
    SetDuration(interval, to.mutable_connection_keepalive()->mutable_interval());
  }
}

// False if only what holds anyway was stated.
bool SetCommonHttp(const HttpSettings& from, HttpProtocolOptions& to) {
  auto& common = *to.mutable_common_http_protocol_options();
  if (from.max_requests_per_connection() > 0) {
    common.mutable_max_requests_per_connection()->set_value(from.max_requests_per_connection());
  }
  absl::Duration idle = DurationOr(from.idle_timeout(), absl::InfiniteDuration());
  if (idle != absl::InfiniteDuration()) SetDuration(idle, common.mutable_idle_timeout());
  const bool stated = common.ByteSizeLong() > 0;
  if (!stated) to.clear_common_http_protocol_options();
  return stated;
}

void SetHttpOptions(const Policy& policy, Protocol protocol, Cluster& cluster) {
  if (!IsHttp(protocol)) return;
  const HttpSettings& http = PoolOf(policy).http();
  HttpProtocolOptions options;
  bool stated = SetCommonHttp(http, options);
  if (http.use_client_protocol()) {
    auto& both = *options.mutable_use_downstream_protocol_config();
    both.mutable_http_protocol_options();
    SetHttp2(http, *both.mutable_http2_protocol_options());
    stated = true;
  } else if (SpeaksHttp2(policy, protocol)) {
    SetHttp2(http, *options.mutable_explicit_http_config()->mutable_http2_protocol_options());
    stated = true;
  } else {
    options.mutable_explicit_http_config()->mutable_http_protocol_options();
  }
  if (!stated) return;
  (*cluster.mutable_typed_extension_protocol_options())[kHttpOptions] = PackAny(options);
}

void SetKeepalive(const ConnectionPoolSettings::TCPSettings::TcpKeepalive& from, Cluster& cluster) {
  auto* to = cluster.mutable_upstream_connection_options()->mutable_tcp_keepalive();
  auto seconds = [](absl::string_view text) {
    return static_cast<uint32_t>(absl::ToInt64Seconds(DurationOr(text, absl::ZeroDuration())));
  };
  if (from.probes() > 0) to->mutable_keepalive_probes()->set_value(from.probes());
  if (uint32_t time = seconds(from.time())) to->mutable_keepalive_time()->set_value(time);
  if (uint32_t every = seconds(from.interval())) {
    to->mutable_keepalive_interval()->set_value(every);
  }
}

// ---- Outliers.

// A number of failures in a row, and whether to act upon it; Cluster's pairs of fields for each.
template <typename Number, typename Enforce>
void SetFailures(uint32_t failures, Number* number, Enforce* enforce) {
  if (failures > 0) number->set_value(failures);
  enforce->set_value(failures > 0 ? 100 : 0);
}

void SetOutlierDetection(const Policy& policy, Cluster& cluster) {
  if (policy.outlier_detection == nullptr) return;
  const auto& from = *policy.outlier_detection;
  auto* to = cluster.mutable_outlier_detection();
  to->mutable_enforcing_success_rate()->set_value(0);  // never asked for by Istio's fields
  if (from.has_consecutive_5xx_errors()) {
    SetFailures(from.consecutive_5xx_errors(), to->mutable_consecutive_5xx(),
                to->mutable_enforcing_consecutive_5xx());
  }
  if (from.has_consecutive_gateway_errors()) {
    SetFailures(from.consecutive_gateway_errors(), to->mutable_consecutive_gateway_failure(),
                to->mutable_enforcing_consecutive_gateway_failure());
  }
  if (from.split_external_local_origin_errors()) {
    to->set_split_external_local_origin_errors(true);
    if (from.has_consecutive_local_origin_failures()) {
      SetFailures(from.consecutive_local_origin_failures(),
                  to->mutable_consecutive_local_origin_failure(),
                  to->mutable_enforcing_consecutive_local_origin_failure());
    }
  }
  if (!from.interval().empty()) {
    SetDuration(DurationOr(from.interval(), absl::Seconds(10)), to->mutable_interval());
  }
  if (!from.base_ejection_time().empty()) {
    const absl::Duration base = DurationOr(from.base_ejection_time(), absl::Seconds(30));
    SetDuration(base, to->mutable_base_ejection_time());
    // It cannot be above the most, which Envoy has at 300 s.
    if (base > absl::Seconds(300)) SetDuration(base, to->mutable_max_ejection_time());
  }
  if (from.max_ejection_percent() > 0) {
    to->mutable_max_ejection_percent()->set_value(from.max_ejection_percent());
  }
  cluster.mutable_common_lb_config()->mutable_healthy_panic_threshold()->set_value(
      from.min_health_percent());
}

// ---- TLS.

bool IsWildcard(const Service& service) { return service.host.starts_with('*'); }

template <typename Names>
void SetServerNames(const Names& names, CertificateValidationContext& to) {
  for (const std::string& name : names) {
    auto* san = to.add_match_typed_subject_alt_names();
    san->set_san_type(name.find("://") == std::string::npos ? SubjectAltNameMatcher::DNS
                                                            : SubjectAltNameMatcher::URI);
    san->mutable_matcher()->set_exact(name);
  }
}

void SetSds(const std::string& name, SdsSecretConfig& to) {
  to.set_name(name);
  *to.mutable_sds_config() = AdsSource();
}

// Where the roots come from; what is returned is for what else is to be verified.
CertificateValidationContext& SetRoots(const ClientTLSSettings& from,
                                       const RouterCredentials* credentials,
                                       UpstreamTlsContext& tls) {
  auto& common = *tls.mutable_common_tls_context();
  if (credentials != nullptr) {
    auto& combined = *common.mutable_combined_validation_context();
    SetSds(credentials->roots, *combined.mutable_validation_context_sds_secret_config());
    return *combined.mutable_default_validation_context();
  }
  auto& to = *common.mutable_validation_context();
  if (from.ca_certificates().empty() || from.ca_certificates() == "system") {
    to.mutable_system_root_certs();
  } else {
    to.mutable_trusted_ca()->set_filename(from.ca_certificates());
  }
  return to;
}

void SetValidation(const ClientTLSSettings& from, const Service& service,
                   const RouterCredentials* credentials, UpstreamTlsContext& tls) {
  if (from.insecure_skip_verify()) return;
  CertificateValidationContext& to = SetRoots(from, credentials, tls);
  if (!from.ca_crl().empty()) to.mutable_crl()->set_filename(from.ca_crl());
  if (!from.subject_alt_names().empty()) {
    SetServerNames(from.subject_alt_names(), to);
  } else if (service.entry.has_value() && !service.entry->subject_alt_names.empty()) {
    SetServerNames(service.entry->subject_alt_names, to);
  } else if (tls.sni().empty()) {
    auto* san = to.add_match_typed_subject_alt_names();
    san->set_san_type(SubjectAltNameMatcher::DNS);
    san->mutable_matcher()->set_suffix(service.host.substr(1));
  } else {
    // Whoever has any certificate of these roots would do otherwise.
    tls.set_auto_sni_san_validation(true);
  }
}

}  // namespace

bool IsPassthrough(const Policy& policy) {
  return policy.load_balancer != nullptr && policy.load_balancer->has_simple() &&
         policy.load_balancer->simple() == LoadBalancerSettings::PASSTHROUGH;
}

bool SpeaksHttp2(const Policy& policy, Protocol protocol) {
  if (!IsHttp(protocol)) return false;
  const HttpSettings& http = PoolOf(policy).http();
  if (http.use_client_protocol()) return false;
  return IsHttp2(protocol) || http.h2_upgrade_policy() == HttpSettings::UPGRADE;
}

void ApplyPolicy(const Policy& policy, Protocol protocol, Cluster& cluster) {
  const ConnectionPoolSettings& pool = PoolOf(policy);
  SetLoadBalancer(policy, cluster);
  SetDuration(DurationOr(pool.tcp().connect_timeout(), kConnectTimeout),
              cluster.mutable_connect_timeout());
  SetCircuitBreakers(policy, cluster);
  SetHttpOptions(policy, protocol, cluster);
  if (pool.tcp().has_tcp_keepalive()) SetKeepalive(pool.tcp().tcp_keepalive(), cluster);
  SetOutlierDetection(policy, cluster);
}

TransportSocket OwnTls(const Policy& policy, const Service& service, bool http2,
                       const RouterCredentials* credentials) {
  const ClientTLSSettings& settings = *policy.tls;
  UpstreamTlsContext tls;
  tls.set_sni(settings.sni());
  // A wildcard is no server's name.
  if (settings.sni().empty() && !IsWildcard(service)) tls.set_sni(service.host);
  if (settings.mode() == ClientTLSSettings::MUTUAL && credentials != nullptr) {
    SetSds(credentials->certificates.front(),
           *tls.mutable_common_tls_context()->add_tls_certificate_sds_secret_configs());
  } else if (settings.mode() == ClientTLSSettings::MUTUAL) {
    auto* certificate = tls.mutable_common_tls_context()->add_tls_certificates();
    certificate->mutable_certificate_chain()->set_filename(settings.client_certificate());
    certificate->mutable_private_key()->set_filename(settings.private_key());
  }
  // What an ordinary server goes by to tell HTTP/2 from HTTP/1.
  if (http2) tls.mutable_common_tls_context()->add_alpn_protocols("h2");
  SetValidation(settings, service, credentials, tls);
  return UpstreamTls(tls);
}

TransportSocket Proxied(const Policy& policy, TransportSocket socket) {
  if (policy.proxy_protocol == nullptr) return socket;
  ProxyProtocolUpstreamTransport proxied;
  proxied.mutable_config()->set_version(policy.proxy_protocol->version() ==
                                                TrafficPolicy::ProxyProtocol::V2
                                            ? ProxyProtocolConfig::V2
                                            : ProxyProtocolConfig::V1);
  *proxied.mutable_transport_socket() = std::move(socket);
  TransportSocket outer;
  outer.set_name("envoy.transport_sockets.upstream_proxy_protocol");
  *outer.mutable_typed_config() = PackAny(proxied);
  return outer;
}

}  // namespace weft
