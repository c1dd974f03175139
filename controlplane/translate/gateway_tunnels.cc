#include "controlplane/translate/gateway_tunnels.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/envoy/access_log.pb.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/file_access_log.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/http_rbac.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/istio/networking.pb.h"
#include "api/weft/tunnel.pb.h"
#include "controlplane/model/east_west_gateway.h"
#include "controlplane/model/kubernetes.h"
#include "controlplane/translate/destination_rule.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/reach.h"
#include "controlplane/translate/tunnels.h"

namespace weft {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::listener::v3::Filter;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::extensions::access_loggers::file::v3::FileAccessLog;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;

constexpr char kReverseProtocol[] = "weft-reverse";
// To each gateway that is dialed, the most that a proxy takes: each worker of that gateway needs one
// to open streams, and how many it has, one a core, is not known here.
constexpr uint32_t kDialedConnections = 16;
// Streams of one client's connection; a sidecar opens another one beyond.
constexpr uint32_t kMostStreams = 1000;
// A client that is gone without a word would hold connections with pods for ever.
constexpr absl::Duration kPingInterval = absl::Seconds(10);
constexpr absl::Duration kPingTimeout = absl::Seconds(5);
constexpr absl::Duration kConnectTimeout = absl::Seconds(2);
// The address of a reverse cluster's endpoint is not used; this one is of a block that nobody has
// (RFC 5737).
constexpr char kNoAddress[] = "192.0.2.1";

// What each line of the gateway's log tells of a tunnel.
constexpr std::pair<const char*, const char*> kLogFields[] = {
    {"authority", "%REQ(:AUTHORITY)%"},
    {"bytes_received", "%BYTES_RECEIVED%"},
    {"bytes_sent", "%BYTES_SENT%"},
    {"downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"},
    {"duration", "%DURATION%"},
    {"pod", "%RESP(X-WEFT-POD)%"},
    {"response_code", "%RESPONSE_CODE%"},
    {"response_code_details", "%RESPONSE_CODE_DETAILS%"},
    {"response_flags", "%RESPONSE_FLAGS%"},
    {"source", "%REQ(X-WEFT-SOURCE)%"},
    {"start_time", "%START_TIME%"},
    {"traceparent", "%REQ(TRACEPARENT)%"},
};

void AddLog(HttpConnectionManager& http) {
  FileAccessLog file;
  file.set_path("/dev/stdout");
  auto& fields = *file.mutable_log_format()->mutable_json_format()->mutable_fields();
  for (const auto& [name, format] : kLogFields) fields[name].set_string_value(format);
  auto* log = http.add_access_log();
  log->set_name("envoy.access_loggers.file");
  *log->mutable_typed_config() = PackAny(file);
}

HttpFilter TunnelFilter(const World& world) {
  proxy::v1::TunnelTermination termination;
  for (const auto& [trust_domain, identity] : LinkedGateways(world)) {
    (*termination.mutable_gateways())[trust_domain] = identity;
  }
  termination.set_pod_name_key(world.self->pod_name_key);
  HttpFilter filter;
  filter.set_name("weft.filters.http.tunnel");
  *filter.mutable_typed_config() = PackAny(termination);
  return filter;
}

// Who may go where. What a linked gateway says of its source is no identity here.
HttpFilter AccessFilter(const World& world) {
  envoy::extensions::filters::http::rbac::v3::RBAC access;
  auto& policies = *access.mutable_rules()->mutable_policies();
  auto& services = policies["exported-services"];
  auto* name = services.add_permissions()->mutable_header();
  name->set_name(":authority");
  name->mutable_string_match()->set_prefix("outbound_.");
  services.add_principals()->set_any(true);
  auto& others = policies["other-clusters"];
  name = others.add_permissions()->mutable_header();
  name->set_name(":authority");
  name->mutable_string_match()->set_contains(".outbound_.");
  others.add_principals()->mutable_authenticated()->mutable_principal_name()->set_prefix(
      absl::StrCat("spiffe://", world.self->trust_domain, "/"));
  HttpFilter filter;
  filter.set_name("envoy.filters.http.rbac");
  *filter.mutable_typed_config() = PackAny(access);
  return filter;
}

void SetRoutes(HttpConnectionManager& http) {
  auto& routes = *http.mutable_route_config();
  routes.set_name("tunnels");
  auto* host = routes.add_virtual_hosts();
  host->set_name("tunnels");
  host->add_domains("*");
  auto* route = host->add_routes();
  route->mutable_match()->mutable_connect_matcher();
  auto& action = *route->mutable_route();
  action.set_cluster_header(":authority");
  action.set_cluster_not_found_response_code(envoy::config::route::v3::RouteAction::NOT_FOUND);
  action.mutable_timeout();  // 0: as long as both sides want
  auto* upgrade = action.add_upgrade_configs();
  upgrade->set_upgrade_type("CONNECT");
  upgrade->mutable_connect_config();
}

Filter TunnelManager(const World& world) {
  HttpConnectionManager http = NewHttpConnectionManager("tunnels");
  http.set_codec_type(HttpConnectionManager::HTTP2);
  http.set_strip_any_host_port(true);  // which CONNECT must have
  auto& http2 = *http.mutable_http2_protocol_options();
  http2.set_allow_connect(true);
  http2.mutable_max_concurrent_streams()->set_value(kMostStreams);
  SetDuration(kPingInterval, http2.mutable_connection_keepalive()->mutable_interval());
  SetDuration(kPingTimeout, http2.mutable_connection_keepalive()->mutable_timeout());
  http.clear_upgrade_configs();
  http.add_upgrade_configs()->set_upgrade_type("CONNECT");
  const HttpFilter router = http.http_filters(0);
  http.clear_http_filters();
  *http.add_http_filters() = TunnelFilter(world);
  *http.add_http_filters() = AccessFilter(world);
  *http.add_http_filters() = router;
  AddLog(http);
  SetRoutes(http);
  return HttpFilterOf(http);
}

FilterChain ChainFor(const std::string& protocol, const std::set<std::string>& identities,
                     Filter filter) {
  FilterChain chain;
  chain.set_name(protocol);
  chain.mutable_filter_chain_match()->set_transport_protocol("tls");
  chain.mutable_filter_chain_match()->add_application_protocols(protocol);
  *chain.add_filters() = std::move(filter);
  *chain.mutable_transport_socket() = MeshDownstreamTls({protocol}, identities);
  return chain;
}

// Gateways that dial us so that we may reach their clusters.
std::set<std::string> DialingGateways(const World& world) {
  std::set<std::string> identities;
  for (const auto& [cluster, peer] : world.peers) {
    if (peer->outbound_only) identities.insert(GatewayIdentity(peer->trust_domain));
  }
  return identities;
}

Filter ReverseFilter() {
  Filter filter;
  filter.set_name("weft.filters.network.reverse_tunnel");
  *filter.mutable_typed_config() = PackAny(proxy::v1::ReverseTunnel());
  return filter;
}

Listener TunnelListener(const World& world, IpFamilies families) {
  Listener listener;
  listener.set_name(absl::StrCat("0.0.0.0_", kTunnelPort));
  ListenAt(WildcardsOf(families), kTunnelPort, listener);
  *listener.add_listener_filters() = TlsInspectorFilter();
  *listener.add_filter_chains() = ChainFor("h2", {}, TunnelManager(world));
  const std::set<std::string> dialing = DialingGateways(world);
  if (!dialing.empty()) {
    *listener.add_filter_chains() = ChainFor(kReverseProtocol, dialing, ReverseFilter());
  }
  return listener;
}

// Empty of gateways if the peer has none that such a proxy can dial.
proxy::v1::Dial DialOf(const Peer& peer, IpFamilies families) {
  proxy::v1::Dial dial;
  for (const GatewayAddress& gateway : peer.gateways) {
    const bool reachable = IsIpv6(gateway.address) ? families.v6 : families.v4;
    if (gateway.tunnel_port == 0 || !reachable) continue;
    *dial.add_gateways() = SocketAddressOf(gateway.address, gateway.tunnel_port);
  }
  dial.set_connections(kDialedConnections);
  envoy::type::matcher::v3::StringMatcher identity;
  identity.set_exact(GatewayIdentity(peer.trust_domain));
  *dial.mutable_tls() = GatewayUpstreamTls(identity, kReverseProtocol);
  return dial;
}

// Serves what it dialed as if it had been accepted.
Listener DialListener(const World& world, const std::string& cluster, const proxy::v1::Dial& dial) {
  Listener listener;
  listener.set_name(absl::StrCat("dial_", cluster));
  auto* filter = listener.add_listener_filters();
  filter->set_name("weft.filters.listener.dial");
  *filter->mutable_typed_config() = PackAny(dial);
  *listener.add_filter_chains()->add_filters() = TunnelManager(world);
  return listener;
}

Cluster ReverseCluster(const std::string& name, const std::string& authority,
                       const std::string& trust_domain) {
  Cluster cluster;
  cluster.set_name(name);
  cluster.set_type(Cluster::STATIC);
  SetDuration(kConnectTimeout, cluster.mutable_connect_timeout());
  cluster.mutable_load_assignment()->set_cluster_name(name);
  auto* group = cluster.mutable_load_assignment()->add_endpoints();
  group->mutable_load_balancing_weight()->set_value(1);
  auto* endpoint = group->add_lb_endpoints();
  endpoint->mutable_load_balancing_weight()->set_value(1);
  *endpoint->mutable_endpoint()->mutable_address() = SocketAddressOf(kNoAddress, kTunnelPort);
  *cluster.mutable_transport_socket() = ReverseSocket(authority, trust_domain);
  return cluster;
}

// Calls `visit` with the server name of each of the service's ports and subsets.
template <typename Visit>
void VisitServerNames(const TranslationIndex& index, const Service& service, Visit visit) {
  auto subsets = AllSubsets(index, service);
  subsets[""] = nullptr;  // the service as a whole
  for (const ServicePort& port : service.ports) {
    if (port.protocol == Protocol::kUdp) continue;
    for (const auto& [subset, spec] : subsets) {
      visit(OutboundServerName(port.port, subset, HostAtHome(service)));
    }
  }
}

// The service and, where its local name and that in the cluster set are two services here, the
// other one: in other clusters both have the same server names.
std::vector<const Service*> SameAtHome(const TranslationIndex& index, const Service& service) {
  std::vector<const Service*> services = {&service};
  if (service.entry.has_value()) return services;
  const Service* other =
      index.FindService(service.cluster_set ? HostAtHome(service)
                                            : ClusterSetHostOf(service.name, service.namespace_));
  if (other != nullptr) services.push_back(other);
  return services;
}

std::set<const Peer*> ReversePeersOf(const TranslationIndex& index, const OutboundScope& scope,
                                     const Service& service) {
  std::set<const Peer*> peers;
  for (const Endpoint& endpoint : index.EndpointsOf(service)) {
    const Peer* peer = PeerBefore(index, scope, endpoint);
    if (peer != nullptr && peer->outbound_only) peers.insert(peer);
  }
  return peers;
}

}  // namespace

EncodedResources TunnelListeners(const TranslationIndex& index, const OutboundScope& scope) {
  const IpFamilies families = scope.families;
  const World& world = index.world();
  EncodedResources listeners;
  const Listener listener = TunnelListener(world, families);
  listeners.emplace(listener.name(), EncodeResource(listener));
  if (!world.self->outbound_only) return listeners;
  for (const auto& [cluster, peer] : world.peers) {
    const proxy::v1::Dial dial = DialOf(*peer, families);
    if (peer->outbound_only || dial.gateways().empty()) continue;
    const Listener dialing = DialListener(world, cluster, dial);
    listeners.emplace(dialing.name(), EncodeResource(dialing));
  }
  return listeners;
}

EncodedResources ReverseClusters(const TranslationIndex& index, const OutboundScope& scope,
                                 const Service& service) {
  EncodedResources clusters;
  if (index.world().self->outbound_only) return clusters;
  for (const Service* one : SameAtHome(index, service)) {
    const std::set<const Peer*> peers = ReversePeersOf(index, scope, *one);
    if (peers.empty()) continue;
    VisitServerNames(index, *one, [&](const std::string& authority) {
      for (const Peer* peer : peers) {
        const std::string name = ReverseName(peer->cluster, authority);
        clusters.emplace(name, EncodeResource(ReverseCluster(name, authority, peer->trust_domain)));
      }
    });
  }
  return clusters;
}

std::vector<std::string> ReverseNames(const TranslationIndex& index, const Service& service) {
  std::vector<std::string> names;
  for (const auto& [cluster, peer] : index.world().peers) {
    if (!peer->outbound_only) continue;
    for (const Service* one : SameAtHome(index, service)) {
      VisitServerNames(index, *one, [&, &from = cluster](const std::string& authority) {
        names.push_back(ReverseName(from, authority));
      });
    }
  }
  return names;
}

}  // namespace weft
