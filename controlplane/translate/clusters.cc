#include "controlplane/translate/clusters.h"

#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/http_protocol_options.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/endpoints.h"
#include "controlplane/translate/inbound_targets.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/sidecar_scope.h"

namespace weft {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::extensions::transport_sockets::tls::v3::SubjectAltNameMatcher;
using envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
using istio::networking::v1alpha3::ClientTLSSettings;
using istio::networking::v1alpha3::ConnectionPoolSettings;
using istio::networking::v1alpha3::LoadBalancerSettings;
using istio::networking::v1alpha3::Subset;

constexpr absl::Duration kConnectTimeout = absl::Seconds(2);
constexpr absl::Duration kDnsRefreshRate = absl::Minutes(1);  // where answers have no TTL; Istio's
// Connections that a sidecar itself makes to its own pod come from here, and so are not captured.
constexpr char kInboundSource[] = "127.0.0.6";
constexpr char kHttpOptions[] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

bool IsPassthrough(const Policy& policy) {
  return policy.load_balancer != nullptr && policy.load_balancer->has_simple() &&
         policy.load_balancer->simple() == LoadBalancerSettings::PASSTHROUGH;
}

// Istio deprecated one of the places where it may stand; people's files still use it.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
uint64_t MinimumRingSize(const LoadBalancerSettings::ConsistentHashLB& hash) {
  return hash.has_ring_hash() ? hash.ring_hash().minimum_ring_size() : hash.minimum_ring_size();
}
#pragma clang diagnostic pop

void SetLoadBalancer(const Policy& policy, Cluster& cluster) {
  cluster.set_lb_policy(Cluster::LEAST_REQUEST);
  if (policy.load_balancer == nullptr) return;
  const LoadBalancerSettings& settings = *policy.load_balancer;
  if (settings.has_consistent_hash()) {
    const auto& hash = settings.consistent_hash();
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
    return;
  }
  switch (settings.simple()) {
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

// Where nothing is stated there is no limit, as in Istio; Envoy's own default would be 1024.
void SetCircuitBreakers(const ConnectionPoolSettings& pool, Cluster& cluster) {
  auto stated = [](int32_t limit) {
    return limit > 0 ? static_cast<uint32_t>(limit) : std::numeric_limits<uint32_t>::max();
  };
  auto* thresholds = cluster.mutable_circuit_breakers()->add_thresholds();
  thresholds->mutable_max_connections()->set_value(stated(pool.tcp().max_connections()));
  thresholds->mutable_max_pending_requests()->set_value(
      stated(pool.http().http1_max_pending_requests()));
  thresholds->mutable_max_requests()->set_value(stated(pool.http().http2_max_requests()));
  thresholds->mutable_max_retries()->set_value(stated(pool.http().max_retries()));
}

void SetHttpOptions(const ConnectionPoolSettings& pool, Protocol protocol, Cluster& cluster) {
  envoy::extensions::upstreams::http::v3::HttpProtocolOptions options;
  bool stated = false;
  if (pool.http().max_requests_per_connection() > 0) {
    options.mutable_common_http_protocol_options()
        ->mutable_max_requests_per_connection()
        ->set_value(pool.http().max_requests_per_connection());
    stated = true;
  }
  absl::Duration idle = DurationOr(pool.http().idle_timeout(), absl::InfiniteDuration());
  if (idle != absl::InfiniteDuration()) {
    SetDuration(idle, options.mutable_common_http_protocol_options()->mutable_idle_timeout());
    stated = true;
  }
  if (!stated || !IsHttp(protocol)) return;
  options.mutable_explicit_http_config()->mutable_http_protocol_options();
  (*cluster.mutable_typed_extension_protocol_options())[kHttpOptions] = PackAny(options);
}

void SetConnectionPool(const Policy& policy, Protocol protocol, Cluster& cluster) {
  static const ConnectionPoolSettings kUnstated;
  const ConnectionPoolSettings& pool =
      policy.connection_pool == nullptr ? kUnstated : *policy.connection_pool;
  SetDuration(DurationOr(pool.tcp().connect_timeout(), kConnectTimeout),
              cluster.mutable_connect_timeout());
  SetCircuitBreakers(pool, cluster);
  SetHttpOptions(pool, protocol, cluster);
  if (pool.tcp().has_tcp_keepalive()) {
    const auto& from = pool.tcp().tcp_keepalive();
    auto* to = cluster.mutable_upstream_connection_options()->mutable_tcp_keepalive();
    if (from.probes() > 0) to->mutable_keepalive_probes()->set_value(from.probes());
    auto seconds = [](absl::string_view text) {
      return static_cast<uint32_t>(absl::ToInt64Seconds(DurationOr(text, absl::ZeroDuration())));
    };
    if (uint32_t time = seconds(from.time())) to->mutable_keepalive_time()->set_value(time);
    if (uint32_t every = seconds(from.interval())) {
      to->mutable_keepalive_interval()->set_value(every);
    }
  }
}

void SetOutlierDetection(const Policy& policy, Cluster& cluster) {
  if (policy.outlier_detection == nullptr) return;
  const auto& from = *policy.outlier_detection;
  auto* to = cluster.mutable_outlier_detection();
  to->mutable_enforcing_success_rate()->set_value(0);  // never asked for by Istio's fields
  if (from.has_consecutive_5xx_errors()) {
    to->mutable_consecutive_5xx()->set_value(from.consecutive_5xx_errors());
    to->mutable_enforcing_consecutive_5xx()->set_value(from.consecutive_5xx_errors() > 0 ? 100 : 0);
  }
  if (from.has_consecutive_gateway_errors()) {
    uint32_t errors = from.consecutive_gateway_errors();
    to->mutable_consecutive_gateway_failure()->set_value(errors);
    to->mutable_enforcing_consecutive_gateway_failure()->set_value(errors > 0 ? 100 : 0);
  }
  if (from.split_external_local_origin_errors()) {
    to->set_split_external_local_origin_errors(true);
    if (from.has_consecutive_local_origin_failures()) {
      uint32_t failures = from.consecutive_local_origin_failures();
      to->mutable_consecutive_local_origin_failure()->set_value(failures);
      to->mutable_enforcing_consecutive_local_origin_failure()->set_value(failures > 0 ? 100 : 0);
    }
  }
  if (!from.interval().empty()) {
    SetDuration(DurationOr(from.interval(), absl::Seconds(10)), to->mutable_interval());
  }
  if (!from.base_ejection_time().empty()) {
    SetDuration(DurationOr(from.base_ejection_time(), absl::Seconds(30)),
                to->mutable_base_ejection_time());
  }
  if (from.max_ejection_percent() > 0) {
    to->mutable_max_ejection_percent()->set_value(from.max_ejection_percent());
  }
  cluster.mutable_common_lb_config()->mutable_healthy_panic_threshold()->set_value(
      from.min_health_percent());
}

// The identities that answer for the service. All of it, whatever the subset: pods that come and go
// then change assignments and not clusters.
std::set<std::string> IdentitiesOf(const TranslationIndex& index, const Service& service) {
  std::set<std::string> identities;
  for (const Endpoint& endpoint : index.EndpointsOf(service)) {
    if (!endpoint.mtls) continue;
    identities.insert(absl::StrCat("spiffe://", endpoint.trust_domain, "/ns/", endpoint.namespace_,
                                   "/sa/", endpoint.service_account));
  }
  if (service.entry.has_value()) {
    const auto& stated = service.entry->subject_alt_names;
    identities.insert(stated.begin(), stated.end());
  }
  return identities;
}

// Whom the certificate must name: the rule says, else the ServiceEntry.
std::vector<std::string> NamesFor(const ClientTLSSettings& settings, const Service& service) {
  if (!settings.subject_alt_names().empty() || !service.entry.has_value()) {
    return {settings.subject_alt_names().begin(), settings.subject_alt_names().end()};
  }
  return service.entry->subject_alt_names;
}

envoy::config::core::v3::TransportSocket OwnTls(const ClientTLSSettings& settings,
                                                const Service& service) {
  UpstreamTlsContext tls;
  tls.set_sni(settings.sni());
  auto& common = *tls.mutable_common_tls_context();
  if (settings.mode() == ClientTLSSettings::MUTUAL) {
    auto* certificate = common.add_tls_certificates();
    certificate->mutable_certificate_chain()->set_filename(settings.client_certificate());
    certificate->mutable_private_key()->set_filename(settings.private_key());
  }
  if (!settings.insecure_skip_verify()) {
    auto* validation = common.mutable_validation_context();
    if (settings.ca_certificates().empty()) {
      validation->mutable_system_root_certs();
    } else {
      validation->mutable_trusted_ca()->set_filename(settings.ca_certificates());
    }
    for (const std::string& name : NamesFor(settings, service)) {
      auto* san = validation->add_match_typed_subject_alt_names();
      san->set_san_type(name.find("://") == std::string::npos ? SubjectAltNameMatcher::DNS
                                                              : SubjectAltNameMatcher::URI);
      san->mutable_matcher()->set_exact(name);
    }
  }
  return UpstreamTls(tls);
}

void SetTransport(const TranslationIndex& index, const OutboundCluster& from, Cluster& cluster) {
  switch (from.tls()) {
    case ClientTls::kDisabled:
      return;
    case ClientTls::kOwn:
      *cluster.mutable_transport_socket() = OwnTls(*from.policy.tls, *from.service);
      return;
    case ClientTls::kMesh:
      break;
  }
  auto* mesh = cluster.add_transport_socket_matches();
  mesh->set_name("tlsMode-istio");
  (*mesh->mutable_match()->mutable_fields())["tlsMode"].set_string_value("istio");
  *mesh->mutable_transport_socket() =
      MeshUpstreamTls(OutboundServerName(from.port->port, from.subset ? from.subset->name() : "",
                                         from.service->host),
                      IdentitiesOf(index, *from.service));
  auto* plain = cluster.add_transport_socket_matches();
  plain->set_name("tlsMode-disabled");
  plain->mutable_match();
  *plain->mutable_transport_socket() = RawBuffer();
}

bool IsResolvedByName(const OutboundCluster& from) {
  if (!from.service->entry.has_value() || IsPassthrough(from.policy)) return false;
  const Resolution resolution = from.service->entry->resolution;
  return resolution == Resolution::kDns || resolution == Resolution::kDnsRoundRobin;
}

// A LOGICAL_DNS cluster takes exactly one name.
void SetNames(const TranslationIndex& index, const Locality& client, const OutboundCluster& from,
              Cluster& cluster) {
  auto& assignment = *cluster.mutable_load_assignment();
  assignment = AssignmentFor(index, client, from);
  int names = 0;
  for (const auto& locality : assignment.endpoints()) names += locality.lb_endpoints_size();
  const bool one = from.service->entry->resolution == Resolution::kDnsRoundRobin && names == 1;
  cluster.set_type(one ? Cluster::LOGICAL_DNS : Cluster::STRICT_DNS);
  cluster.set_dns_lookup_family(Cluster::V4_ONLY);
  cluster.set_respect_dns_ttl(true);
  SetDuration(kDnsRefreshRate, cluster.mutable_dns_refresh_rate());
}

Cluster OutboundClusterOf(const TranslationIndex& index, const Locality& client,
                          const OutboundCluster& from) {
  Cluster cluster;
  cluster.set_name(from.name);
  SetLoadBalancer(from.policy, cluster);
  if (from.has_endpoints()) {
    cluster.set_type(Cluster::EDS);
    cluster.mutable_eds_cluster_config()->set_service_name(from.name);
    *cluster.mutable_eds_cluster_config()->mutable_eds_config() = AdsSource();
  } else if (IsResolvedByName(from)) {
    SetNames(index, client, from, cluster);
  } else {
    cluster.set_type(Cluster::ORIGINAL_DST);
    cluster.set_lb_policy(Cluster::CLUSTER_PROVIDED);
  }
  SetConnectionPool(from.policy, from.port->protocol, cluster);
  SetOutlierDetection(from.policy, cluster);
  SetTransport(index, from, cluster);
  return cluster;
}

Cluster OriginalDestination(absl::string_view name) {
  Cluster cluster;
  cluster.set_name(std::string(name));
  cluster.set_type(Cluster::ORIGINAL_DST);
  cluster.set_lb_policy(Cluster::CLUSTER_PROVIDED);
  SetDuration(kConnectTimeout, cluster.mutable_connect_timeout());
  SetCircuitBreakers(ConnectionPoolSettings(), cluster);
  return cluster;
}

void SetInboundSource(Cluster& cluster) {
  auto* source = cluster.mutable_upstream_bind_config()->mutable_source_address();
  source->set_address(kInboundSource);
  source->set_port_value(0);
}

Cluster InboundCluster(uint16_t port, const InboundTarget& target) {
  Cluster cluster;
  cluster.set_name(InboundClusterName(port));
  cluster.set_type(Cluster::STATIC);
  Policy policy;
  policy.connection_pool = target.pool;
  SetConnectionPool(policy, target.protocol, cluster);
  SetInboundSource(cluster);
  auto* assignment = cluster.mutable_load_assignment();
  assignment->set_cluster_name(cluster.name());
  auto* locality = assignment->add_endpoints();
  locality->mutable_load_balancing_weight()->set_value(1);
  auto* endpoint = locality->add_lb_endpoints();
  endpoint->mutable_load_balancing_weight()->set_value(1);
  *endpoint->mutable_endpoint()->mutable_address() = AddressOf(target.address, target.port);
  return cluster;
}

}  // namespace

bool OutboundCluster::has_endpoints() const {
  if (IsPassthrough(policy)) return false;
  return !service->entry.has_value() || service->entry->resolution == Resolution::kEndpoints;
}

ClientTls OutboundCluster::tls() const {
  const bool external = service->entry.has_value() && service->entry->external;
  return external && policy.tls == nullptr ? ClientTls::kDisabled : ClientTlsOf(policy);
}

std::vector<OutboundCluster> ListOutboundClusters(const VisibleServices& services,
                                                  const AppliedRules& rules) {
  std::vector<OutboundCluster> list;
  for (const auto& [host, service] : services.reachable()) {
    const AppliedRule& rule = rules.at(service);
    std::vector<const Subset*> subsets = rule.Subsets();
    subsets.insert(subsets.begin(), nullptr);  // the service as a whole
    for (const ServicePort& port : service->ports) {
      if (port.protocol == Protocol::kUdp) continue;
      for (const Subset* subset : subsets) {
        list.push_back({OutboundClusterName(port.port, subset ? subset->name() : "", host), service,
                        &port, subset, rule.For(port.port, subset)});
      }
    }
  }
  return list;
}

EncodedResources OutboundClusters(const TranslationIndex& index, const Locality& client,
                                  const std::vector<OutboundCluster>& list) {
  EncodedResources clusters;
  for (const OutboundCluster& from : list) {
    clusters.emplace(from.name, EncodeResource(OutboundClusterOf(index, client, from)));
  }
  clusters.emplace(kPassthroughCluster, EncodeResource(OriginalDestination(kPassthroughCluster)));
  Cluster black_hole;
  black_hole.set_name(kBlackHoleCluster);
  black_hole.set_type(Cluster::STATIC);
  SetDuration(kConnectTimeout, black_hole.mutable_connect_timeout());
  clusters.emplace(kBlackHoleCluster, EncodeResource(black_hole));
  return clusters;
}

EncodedResources InboundClusters(const TranslationIndex& index, const ProxyView& view) {
  EncodedResources clusters;
  for (const auto& [port, target] : InboundTargetsOf(index, view)) {
    Cluster cluster = InboundCluster(port, target);
    clusters.emplace(cluster.name(), EncodeResource(cluster));
  }
  Cluster passthrough = OriginalDestination(kInboundPassthroughCluster);
  SetInboundSource(passthrough);
  clusters.emplace(kInboundPassthroughCluster, EncodeResource(passthrough));
  return clusters;
}

}  // namespace weft
