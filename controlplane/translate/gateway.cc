#include "controlplane/translate/gateway.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/endpoint.pb.h"
#include "api/envoy/sni_cluster.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/translate/destination_rule.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/gateway_tunnels.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/reach.h"
#include "controlplane/translate/secrets.h"

namespace weft {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using istio::networking::v1alpha3::Subset;

constexpr uint16_t kGatewayPort = 15443;
constexpr absl::Duration kConnectTimeout = absl::Seconds(2);

std::string PeerApiName(const ClusterIdentity& self) {
  return absl::StrCat("peer.", self.cluster, ".weft");
}

// TLS goes on, as it is, to the cluster that is named as its SNI is.
FilterChain PassthroughChain(absl::string_view name) {
  FilterChain chain;
  chain.set_name(std::string(name));
  chain.mutable_filter_chain_match()->set_transport_protocol("tls");
  auto* by_server_name = chain.add_filters();
  by_server_name->set_name("envoy.filters.network.sni_cluster");
  *by_server_name->mutable_typed_config() =
      PackAny(envoy::extensions::filters::network::sni_cluster::v3::SniCluster());
  *chain.add_filters() = TcpProxyFilter(kBlackHoleCluster, kBlackHoleCluster);
  return chain;
}

// Services take mesh TLS only: any other would pass a permissive sidecar and reach the application,
// without a certificate and from outside of the cluster.
Listener GatewayListener(const ClusterIdentity& self, const OutboundScope& scope) {
  Listener listener;
  listener.set_name(absl::StrCat("0.0.0.0_", kGatewayPort));
  ListenAt(WildcardsOf(scope.families), kGatewayPort, listener);
  *listener.add_listener_filters() = TlsInspectorFilter();
  FilterChain services = PassthroughChain("services");
  for (absl::string_view protocol : kMeshProtocols) {
    services.mutable_filter_chain_match()->add_application_protocols(std::string(protocol));
  }
  *listener.add_filter_chains() = services;
  if (!scope.cluster.empty()) return listener;  // no control plane is behind it
  FilterChain peer_api = PassthroughChain("peer-api");
  peer_api.mutable_filter_chain_match()->add_server_names(PeerApiName(self));
  *listener.add_filter_chains() = peer_api;
  return listener;
}

Cluster NewCluster(const std::string& name, Cluster::DiscoveryType type) {
  Cluster cluster;
  cluster.set_name(name);
  cluster.set_type(type);
  cluster.set_lb_policy(Cluster::LEAST_REQUEST);
  SetDuration(kConnectTimeout, cluster.mutable_connect_timeout());
  return cluster;
}

Cluster EdsCluster(const std::string& name) {
  Cluster cluster = NewCluster(name, Cluster::EDS);
  cluster.mutable_eds_cluster_config()->set_service_name(name);
  *cluster.mutable_eds_cluster_config()->mutable_eds_config() = AdsSource();
  return cluster;
}

void AddEndpoint(const std::string& address, uint16_t port, uint32_t weight,
                 envoy::config::endpoint::v3::LocalityLbEndpoints& group) {
  auto* endpoint = group.add_lb_endpoints();
  *endpoint->mutable_endpoint()->mutable_address() = SocketAddressOf(address, port);
  endpoint->mutable_load_balancing_weight()->set_value(weight);
  auto* sum = group.mutable_load_balancing_weight();
  sum->set_value(sum->value() + weight);
}

// Pods of the gateway's cluster only: what comes from a peer never goes on to another. And only
// those with a sidecar, as the bytes are mesh TLS.
ClusterLoadAssignment LocalAssignment(const TranslationIndex& index, const OutboundScope& scope,
                                      const std::string& name, const Service& service,
                                      uint16_t port, const Subset* subset) {
  ClusterLoadAssignment assignment;
  assignment.set_cluster_name(name);
  const std::string& cluster = scope.cluster.empty() ? index.own().cluster : scope.cluster;
  const IpFamilies families = scope.families;
  std::vector<const Endpoint*> endpoints;
  for (const Endpoint& endpoint : index.EndpointsOf(service)) {
    if (endpoint.remote() || !endpoint.ready || !endpoint.mtls) continue;
    if (endpoint.cluster != cluster) continue;
    if (endpoint.target_ports.count(port) == 0) continue;
    if (AddressFor(families, endpoint.address, endpoint.other_address).empty()) continue;
    if (subset != nullptr && !Selects(subset->labels(), endpoint.labels)) continue;
    endpoints.push_back(&endpoint);
  }
  std::sort(endpoints.begin(), endpoints.end(),
            [](const Endpoint* a, const Endpoint* b) { return a->address < b->address; });
  if (endpoints.empty()) return assignment;
  auto* group = assignment.add_endpoints();
  group->mutable_locality();
  for (const Endpoint* endpoint : endpoints) {
    AddEndpoint(AddressFor(families, endpoint->address, endpoint->other_address),
                endpoint->target_ports.at(port), std::max<uint32_t>(endpoint->weight, 1), *group);
  }
  return assignment;
}

// Of a remote cluster only what it exports is known, so that all services may be there.
bool IsExported(const OutboundScope& scope, const Service& service) {
  if (scope.cluster.empty()) return service.exported && service.local;
  return !service.entry.has_value() && !service.cluster_set && !IsClusterLocal(service);
}

void AddExported(const TranslationIndex& index, const OutboundScope& scope, const Service& service,
                 Resources& resources) {
  if (!IsExported(scope, service)) return;
  std::map<std::string, const Subset*> subsets = AllSubsets(index, service);
  subsets[""] = nullptr;  // the service as a whole
  for (const ServicePort& port : service.ports) {
    if (port.protocol == Protocol::kUdp) continue;
    for (const auto& [subset_name, subset] : subsets) {
      std::string name = OutboundServerName(port.port, subset_name, service.host);
      resources.clusters.emplace(name, EncodeResource(EdsCluster(name)));
      resources.endpoints.emplace(
          name, EncodeResource(LocalAssignment(index, scope, name, service, port.port, subset)));
    }
  }
}

// Lets peers' control planes through to ours.
void AddPeerApi(const ClusterIdentity& self, Resources& resources) {
  if (self.peer_api.address.empty()) return;
  Cluster cluster = NewCluster(PeerApiName(self), Cluster::STATIC);
  cluster.mutable_load_assignment()->set_cluster_name(cluster.name());
  AddEndpoint(self.peer_api.address, self.peer_api.port, 1,
              *cluster.mutable_load_assignment()->add_endpoints());
  resources.clusters.emplace(cluster.name(), EncodeResource(cluster));
}

}  // namespace

OutboundScope GatewayScopeOf(const TranslationIndex& index, const ProxyView& view) {
  OutboundScope scope;
  scope.families = view.families();
  if (view.cluster != index.own().cluster) scope.cluster = view.cluster;
  // What leads a remote cluster's gateway to other clusters, nobody tells it.
  scope.tunnels = view.tunnels && scope.cluster.empty();
  return scope;
}

Resources GatewayServiceResources(const TranslationIndex& index, const OutboundScope& scope,
                                  const Service& service) {
  Resources resources;
  AddExported(index, scope, service, resources);
  return resources;
}

Resources GatewayResources(const TranslationIndex& index, const OutboundScope& scope) {
  Resources resources;
  for (const auto& [host, service] : index.world().services) {
    AddExported(index, scope, *service, resources);
  }
  if (scope.cluster.empty()) AddPeerApi(*index.world().self, resources);
  resources.clusters.emplace(kBlackHoleCluster,
                             EncodeResource(NewCluster(kBlackHoleCluster, Cluster::STATIC)));
  Listener listener = GatewayListener(*index.world().self, scope);
  resources.listeners.emplace(listener.name(), EncodeResource(listener));
  if (!scope.tunnels) return resources;
  for (const auto& [host, service] : index.world().services) {
    for (const auto& [name, bytes] : ReverseClusters(index, scope, *service)) {
      resources.clusters.emplace(name, bytes);
    }
  }
  for (const auto& [name, bytes] : TunnelListeners(index, scope)) {
    resources.listeners.emplace(name, bytes);
  }
  resources.secrets = TrustSecrets(index.world());
  return resources;
}

}  // namespace weft
