#include "controlplane/translate/clusters.h"

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "api/envoy/cluster.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/kubernetes.h"
#include "controlplane/translate/cluster_policy.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/endpoints.h"
#include "controlplane/translate/inbound_targets.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/reach.h"
#include "controlplane/translate/sidecar_scope.h"
#include "controlplane/translate/tunnels.h"

namespace weft {
namespace {

using envoy::config::cluster::v3::Cluster;
using istio::networking::v1alpha3::Subset;

constexpr absl::Duration kDnsRefreshRate = absl::Minutes(1);  // where answers have no TTL; Istio's
// Connections that a sidecar itself makes to its own pod come from here, and so are not captured.
constexpr char kInboundSource[] = "127.0.0.6";
constexpr char kIpv6InboundSource[] = "::6";

// The identities that answer for the service; in one peer, unless it is null. All of it, whatever
// the subset: pods that come and go then change assignments and not clusters.
std::set<std::string> IdentitiesOf(const TranslationIndex& index, const OutboundScope& scope,
                                   const Service& service, const Peer* peer) {
  std::set<std::string> identities;
  for (const Endpoint& endpoint : index.EndpointsOf(service)) {
    if (!endpoint.mtls) continue;
    if (peer != nullptr && PeerBefore(index, scope, endpoint) != peer) continue;
    identities.insert(absl::StrCat("spiffe://", endpoint.trust_domain, "/ns/", endpoint.namespace_,
                                   "/sa/", endpoint.service_account));
  }
  if (service.entry.has_value()) {
    const auto& stated = service.entry->subject_alt_names;
    identities.insert(stated.begin(), stated.end());
  }
  return identities;
}

// Whether mesh TLS is understood wherever the client may go by an address it chose.
bool AllTakeMeshTls(const TranslationIndex& index, const OutboundScope& scope,
                    const OutboundCluster& from) {
  bool any = false;
  for (const Endpoint& endpoint : index.EndpointsOf(*from.service)) {
    auto target = endpoint.target_ports.find(from.port->port);
    if (target == endpoint.target_ports.end() || !IsDialed(index, scope, *from.service, endpoint))
      continue;
    if (!endpoint.mtls || index.MtlsModeOf(endpoint.namespace_, endpoint.labels, target->second) ==
                              MtlsMode::kDisable) {
      return false;
    }
    any = true;
  }
  return any;
}

// With the service itself, whatever it goes through; with its part in one peer, unless it is null.
envoy::config::core::v3::TransportSocket EndToEndTls(const TranslationIndex& index,
                                                     const OutboundScope& scope,
                                                     const OutboundCluster& from,
                                                     const Peer* peer = nullptr) {
  std::string server_name = OutboundServerName(
      from.port->port, from.subset ? from.subset->name() : "", HostAtHome(*from.service));
  std::set<std::string> identities = IdentitiesOf(index, scope, *from.service, peer);
  if (const auto* stated = from.policy.tls; stated != nullptr) {
    if (!stated->sni().empty()) server_name = stated->sni();
    const auto& names = stated->subject_alt_names();
    if (!names.empty()) identities = {names.begin(), names.end()};
  }
  return MeshUpstreamTls(server_name, identities, SpeaksHttp2(from.policy, from.port->protocol));
}

envoy::config::core::v3::TransportSocket MeshTls(const TranslationIndex& index,
                                                 const OutboundScope& scope,
                                                 const OutboundCluster& from) {
  return Proxied(from.policy, EndToEndTls(index, scope, from));
}

void SetPlain(const Policy& policy, Cluster& cluster) {
  if (policy.proxy_protocol == nullptr) return;  // raw bytes are what a cluster has by itself
  *cluster.mutable_transport_socket() = Proxied(policy, RawBuffer());
}

// For endpoints that say so in their metadata.
void AddTransport(const std::string& tls_mode, envoy::config::core::v3::TransportSocket socket,
                  Cluster& cluster) {
  auto* match = cluster.add_transport_socket_matches();
  match->set_name(absl::StrCat("tlsMode-", tls_mode));
  (*match->mutable_match()->mutable_fields())["tlsMode"].set_string_value(tls_mode);
  *match->mutable_transport_socket() = std::move(socket);
}

// For clusters with pods in other clusters, whether their gateways take tunnels or not: a gateway
// that comes or goes then changes assignments and not clusters.
void AddTunnels(const TranslationIndex& index, const OutboundScope& scope,
                const OutboundCluster& from, Cluster& cluster) {
  if (!scope.tunnels) return;
  bool direct = false;
  std::map<std::string, const Peer*> reverse;  // through our own gateways
  for (const Endpoint& endpoint : index.EndpointsOf(*from.service)) {
    const Peer* peer = PeerBefore(index, scope, endpoint);
    if (peer == nullptr || !endpoint.mtls) continue;
    if (peer->outbound_only) {
      reverse.emplace(peer->cluster, peer);
    } else {
      direct = true;
    }
  }
  if (!direct && reverse.empty()) return;
  const std::string name = OutboundServerName(
      from.port->port, from.subset ? from.subset->name() : "", HostAtHome(*from.service));
  // A PROXY header would stand within the tunnel, where a sidecar expects TLS.
  if (direct) {
    AddTransport(kTunnelMode, TunnelSocket(name, EndToEndTls(index, scope, from)), cluster);
  }
  for (const auto& [peer_name, peer] : reverse) {
    AddTransport(ReverseMode(peer_name),
                 TunnelSocket(ReverseName(peer_name, name), EndToEndTls(index, scope, from, peer)),
                 cluster);
  }
}

// An endpoint says by its metadata whether it takes mesh TLS.
void SetMeshTransport(const TranslationIndex& index, const OutboundScope& scope,
                      const OutboundCluster& from, Cluster& cluster) {
  AddTransport("istio", MeshTls(index, scope, from), cluster);
  AddTunnels(index, scope, from, cluster);
  auto* plain = cluster.add_transport_socket_matches();
  plain->set_name("tlsMode-disabled");
  plain->mutable_match();
  *plain->mutable_transport_socket() = Proxied(from.policy, RawBuffer());
}

// Where the Secret that a rule names is not to be had, no connection succeeds: there is no such
// identity.
envoy::config::core::v3::TransportSocket NoTls() {
  return MeshUpstreamTls("", {"spiffe://invalid/no-credential"}, /*http2=*/false);
}

void SetOwnTls(const TranslationIndex& index, const OutboundScope& scope,
               const OutboundCluster& from, Cluster& cluster) {
  const bool http2 = SpeaksHttp2(from.policy, from.port->protocol);
  const auto& settings = *from.policy.tls;
  const bool mutual = settings.mode() == istio::networking::v1alpha3::ClientTLSSettings::MUTUAL;
  // A sidecar whose rule does not select it makes do with files and the system's roots.
  const bool by_file = !scope.router && !from.policy.for_this_workload && !mutual;
  if (!from.names_credentials() || by_file) {
    *cluster.mutable_transport_socket() =
        Proxied(from.policy, OwnTls(from.policy, *from.service, http2, nullptr));
    return;
  }
  absl::StatusOr<RouterCredentials> credentials = absl::NotFoundError("not for this client");
  if (from.takes_credentials(scope)) {
    credentials = CredentialsOf(index.world(), settings, scope.namespace_);
  }
  *cluster.mutable_transport_socket() = Proxied(
      from.policy,
      credentials.ok() ? OwnTls(from.policy, *from.service, http2, &*credentials) : NoTls());
}

void SetTransport(const TranslationIndex& index, const OutboundScope& scope,
                  const OutboundCluster& from, Cluster& cluster) {
  switch (from.tls()) {
    case ClientTls::kDisabled:
      return SetPlain(from.policy, cluster);
    case ClientTls::kOwn:
      return SetOwnTls(index, scope, from, cluster);
    case ClientTls::kMeshOnly:
      *cluster.mutable_transport_socket() = MeshTls(index, scope, from);
      if (from.has_endpoints()) AddTunnels(index, scope, from, cluster);
      return;
    case ClientTls::kMesh:
      break;
  }
  if (from.has_endpoints()) return SetMeshTransport(index, scope, from, cluster);
  // Where clients go by addresses of their own choice, nothing is known of the one they chose.
  if (!AllTakeMeshTls(index, scope, from)) return SetPlain(from.policy, cluster);
  *cluster.mutable_transport_socket() = MeshTls(index, scope, from);
}

bool IsResolvedByName(const OutboundCluster& from) {
  if (!from.service->entry.has_value() || IsPassthrough(from.policy)) return false;
  const Resolution resolution = from.service->entry->resolution;
  return resolution == Resolution::kDns || resolution == Resolution::kDnsRoundRobin;
}

// A LOGICAL_DNS cluster takes exactly one name.
void SetNames(const TranslationIndex& index, const OutboundScope& scope,
              const OutboundCluster& from, Cluster& cluster) {
  auto& assignment = *cluster.mutable_load_assignment();
  assignment = AssignmentFor(index, scope, from);
  int names = 0;
  for (const auto& locality : assignment.endpoints()) names += locality.lb_endpoints_size();
  const bool one = from.service->entry->resolution == Resolution::kDnsRoundRobin && names == 1;
  cluster.set_type(one ? Cluster::LOGICAL_DNS : Cluster::STRICT_DNS);
  cluster.set_dns_lookup_family(Cluster::V4_ONLY);
  cluster.set_respect_dns_ttl(true);
  SetDuration(kDnsRefreshRate, cluster.mutable_dns_refresh_rate());
}

Cluster OutboundClusterOf(const TranslationIndex& index, const OutboundScope& scope,
                          const OutboundCluster& from) {
  Cluster cluster;
  cluster.set_name(from.name);
  ApplyPolicy(from.policy, from.port->protocol, cluster);
  if (from.has_endpoints()) {
    cluster.set_type(Cluster::EDS);
    cluster.mutable_eds_cluster_config()->set_service_name(from.name);
    *cluster.mutable_eds_cluster_config()->mutable_eds_config() = AdsSource();
  } else if (IsResolvedByName(from)) {
    SetNames(index, scope, from, cluster);
  } else {
    cluster.set_type(Cluster::ORIGINAL_DST);
    cluster.set_lb_policy(Cluster::CLUSTER_PROVIDED);
    cluster.clear_lb_config();
    cluster.clear_common_lb_config();
  }
  SetTransport(index, scope, from, cluster);
  return cluster;
}

Cluster OriginalDestination(absl::string_view name) {
  Cluster cluster;
  cluster.set_name(std::string(name));
  cluster.set_type(Cluster::ORIGINAL_DST);
  ApplyPolicy(Policy(), Protocol::kTcp, cluster);
  cluster.set_lb_policy(Cluster::CLUSTER_PROVIDED);
  return cluster;
}

void SetInboundSource(IpFamilies families, Cluster& cluster) {
  auto* bind = cluster.mutable_upstream_bind_config();
  bind->mutable_source_address()->set_address(kInboundSource);
  bind->mutable_source_address()->set_port_value(0);
  if (!families.v6) return;
  auto* v6 = bind->add_extra_source_addresses()->mutable_address();
  v6->set_address(kIpv6InboundSource);
  v6->set_port_value(0);
}

Cluster InboundCluster(IpFamilies families, uint16_t port, const InboundTarget& target) {
  Cluster cluster;
  cluster.set_name(InboundClusterName(port));
  Policy policy;
  policy.connection_pool = target.pool;
  ApplyPolicy(policy, target.protocol, cluster);
  SetInboundSource(families, cluster);
  if (target.address.empty()) {
    cluster.set_type(Cluster::ORIGINAL_DST);
    cluster.set_lb_policy(Cluster::CLUSTER_PROVIDED);
    if (target.port != port) {
      cluster.mutable_original_dst_lb_config()->mutable_upstream_port_override()->set_value(
          target.port);
    }
    return cluster;
  }
  cluster.set_type(Cluster::STATIC);
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
  if (own_choice || IsPassthrough(policy)) return false;
  return !service->entry.has_value() || service->entry->resolution == Resolution::kEndpoints;
}

std::vector<OutboundCluster> ListOutboundClusters(const Service& service, const AppliedRule& rule) {
  std::vector<OutboundCluster> list;
  std::vector<const Subset*> subsets = rule.Subsets();
  subsets.insert(subsets.begin(), nullptr);  // the service as a whole
  for (const ServicePort& port : service.ports) {
    if (port.protocol == Protocol::kUdp) continue;
    for (const Subset* subset : subsets) {
      list.push_back({OutboundClusterName(port.port, subset ? subset->name() : "", service.host),
                      &service, &port, subset, rule.For(port.port, subset)});
    }
    if (!IsHeadless(service)) continue;
    list.push_back({OutboundPodsClusterName(port.port, service.host), &service, &port, nullptr,
                    rule.For(port.port, nullptr), /*own_choice=*/true});
  }
  return list;
}

ClientTls OutboundCluster::tls() const {
  const bool external = service->entry.has_value() && service->entry->external;
  return external && policy.tls == nullptr ? ClientTls::kDisabled : ClientTlsOf(policy);
}

bool OutboundCluster::names_credentials() const {
  return policy.tls != nullptr && !policy.tls->credential_name().empty() &&
         tls() == ClientTls::kOwn;
}

bool OutboundCluster::takes_credentials(const OutboundScope& scope) const {
  return scope.credentials && (scope.router || policy.for_this_workload) && names_credentials();
}

void AddCredentials(const TranslationIndex& index, const OutboundScope& scope,
                    const std::vector<OutboundCluster>& list, EncodedResources& to) {
  for (const OutboundCluster& cluster : list) {
    if (!cluster.takes_credentials(scope)) continue;
    const auto found = CredentialsOf(index.world(), *cluster.policy.tls, scope.namespace_);
    if (found.ok()) AddSecrets(index.world(), *found, to);
  }
}

std::vector<OutboundCluster> ListOutboundClusters(const VisibleServices& services,
                                                  const AppliedRules& rules) {
  std::vector<OutboundCluster> list;
  for (const auto& [host, service] : services.reachable()) {
    for (OutboundCluster& cluster : ListOutboundClusters(*service, rules.at(service))) {
      list.push_back(std::move(cluster));
    }
  }
  return list;
}

EncodedResources OutboundClusters(const TranslationIndex& index, const OutboundScope& scope,
                                  const std::vector<OutboundCluster>& list) {
  EncodedResources clusters;
  for (const OutboundCluster& from : list) {
    clusters.emplace(from.name, EncodeResource(OutboundClusterOf(index, scope, from)));
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
    Cluster cluster = InboundCluster(view.families(), port, target);
    clusters.emplace(cluster.name(), EncodeResource(cluster));
  }
  Cluster passthrough = OriginalDestination(kInboundPassthroughCluster);
  SetInboundSource(view.families(), passthrough);
  clusters.emplace(kInboundPassthroughCluster, EncodeResource(passthrough));
  return clusters;
}

}  // namespace weft
