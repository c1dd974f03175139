// Tunnels between clusters, on either side: how clients reach other clusters, what a gateway takes,
// and what it refuses.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/http_rbac.pb.h"
#include "api/envoy/tls.pb.h"
#include "api/weft/tunnel.pb.h"
#include "controlplane/translate/check.h"
#include "controlplane/translate/translate.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::transport_sockets::tls::v3::CommonTlsContext;
using envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
using envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
using proxy::v1::TunnelTransport;

constexpr char kHello[] = "outbound|5000||helloworld.default.svc.cluster.local";
constexpr char kName[] = "outbound_.5000_._.helloworld.default.svc.cluster.local";
constexpr char kOfMars[] = "mars.outbound_.5000_._.helloworld.default.svc.cluster.local";

// A peer that nobody can dial.
Peer Mars() {
  Peer mars{"mars", "net-mars", "mars.local", "MARS ROOT", {}};
  mars.outbound_only = true;
  return mars;
}

// helloworld here, and in west behind a gateway that takes tunnels.
WorldBuilder Helloworld() {
  WorldBuilder builder;
  builder.PeerGateways({{"172.16.0.2", 15443, 15008}});
  builder.Service("default", "helloworld", {{"http", 5000, Protocol::kHttp}});
  builder.Pod("default", "helloworld", "v1").Remote("default", "helloworld", "v1", 3);
  return builder;
}

// And in mars, with two gateways of our own.
WorldBuilder WithMars() {
  WorldBuilder builder = Helloworld();
  builder.Linked(Mars()).GatewayPod("10.244.0.4").GatewayPod("10.244.0.5");
  Endpoint& group = builder.Remote("default", "helloworld", "v1", 4).LastEndpoint();
  group.cluster = "mars";
  group.network = "net-mars";
  group.trust_domain = "mars.local";
  return builder;
}

ClusterIdentity OutboundOnlyEast() {
  ClusterIdentity self{"east",       "net-east",  "mesh",
                       "east.local", "EAST ROOT", {"10.244.9.9", 15013}};
  self.outbound_only = true;
  return self;
}

ProxyView Client(bool tunnels) {
  ProxyView view = SidecarIn("default");
  view.tunnels = tunnels;
  return view;
}

ProxyView Gateway() {
  ProxyView view;
  view.role = ProxyRole::kGateway;
  view.tunnels = true;
  return view;
}

// "172.16.0.2:15008 tunnel x3" for each place: its address, tlsMode and fanout, in order.
std::vector<std::string> PlacesOf(const Resources& resources) {
  std::vector<std::string> places;
  const auto assignment = AssignmentIn(resources, kHello);
  for (const auto& group : assignment.endpoints()) {
    for (const auto& endpoint : group.lb_endpoints()) {
      const auto& address = endpoint.endpoint().address().socket_address();
      const auto& metadata = endpoint.metadata().filter_metadata();
      std::string place = absl::StrCat(
          address.address(), ":", address.port_value(), " ",
          metadata.at("envoy.transport_socket_match").fields().at("tlsMode").string_value());
      if (const auto weft = metadata.find("weft"); weft != metadata.end()) {
        absl::StrAppend(&place, " x", weft->second.fields().at("fanout").number_value());
      }
      places.push_back(std::move(place));
    }
  }
  std::sort(places.begin(), places.end());
  return places;
}

std::set<std::string> IdentitiesIn(const CommonTlsContext& tls) {
  std::set<std::string> identities;
  for (const auto& san : tls.combined_validation_context()
                             .default_validation_context()
                             .match_typed_subject_alt_names()) {
    identities.insert(san.matcher().exact());
  }
  return identities;
}

TunnelTransport TunnelIn(const envoy::config::core::v3::TransportSocket& socket) {
  TunnelTransport tunnel;
  EXPECT_EQ(socket.name(), "weft.transport_sockets.tunnel");
  EXPECT_TRUE(socket.typed_config().UnpackTo(&tunnel));
  return tunnel;
}

// The tunnels of a cluster's transport sockets, by tlsMode.
std::map<std::string, TunnelTransport> TunnelsIn(const Cluster& cluster) {
  std::map<std::string, TunnelTransport> tunnels;
  for (const auto& match : cluster.transport_socket_matches()) {
    if (match.transport_socket().name() != "weft.transport_sockets.tunnel") continue;
    tunnels[match.match().fields().at("tlsMode").string_value()] =
        TunnelIn(match.transport_socket());
  }
  return tunnels;
}

std::string Complaints(const Resources& resources) {
  std::string all;
  for (const std::string& complaint : CheckResources(resources)) all += complaint + "\n";
  return all;
}

HttpConnectionManager ManagerIn(const envoy::config::listener::v3::FilterChain& chain) {
  HttpConnectionManager http;
  EXPECT_TRUE(chain.filters(0).typed_config().UnpackTo(&http));
  return http;
}

TEST(TunnelClients, DialWhatTheyKnowAndTheGatewayTakes) {
  struct Row {
    const char* name;
    bool tunnels;
    std::vector<GatewayAddress> gateways;
    std::vector<std::string> places;  // beside our own pod
  } rows[] = {
      {"a gateway with a tunnel port",
       true,
       {{"172.16.0.2", 15443, 15008}},
       {"172.16.0.2:15008 tunnel x3"}},
      {"one without", true, {{"172.16.0.2", 15443}}, {"172.16.0.2:15443 istio x3"}},
      {"one of each",
       true,
       {{"172.16.0.2", 15443, 15008}, {"172.16.0.3", 15443}},
       {"172.16.0.2:15008 tunnel x1", "172.16.0.3:15443 istio x1"}},
      {"a client that is no weft-proxy",
       false,
       {{"172.16.0.2", 15443, 15008}},
       {"172.16.0.2:15443 istio x3"}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    WorldBuilder builder = Helloworld();
    builder.PeerGateways(row.gateways);
    const Resources resources = Translate(builder.world(), Client(row.tunnels));
    EXPECT_EQ(Complaints(resources), "");
    std::vector<std::string> expected = row.places;
    expected.insert(expected.begin(), "10.244.0.2:5000 istio");
    EXPECT_EQ(PlacesOf(resources), expected);
    EXPECT_EQ(TunnelsIn(ClusterIn(resources, kHello)).size(), row.tunnels ? 1u : 0u);
  }
}

TEST(TunnelClients, TheOuterConnectionIsWithAGatewayAndTheInnerOneWithTheService) {
  const auto tunnels = TunnelsIn(ClusterIn(Translate(WithMars().world(), Client(true)), kHello));
  const TunnelTransport& tunnel = tunnels.at("tunnel");
  EXPECT_EQ(tunnel.authority(), kName);
  EXPECT_EQ(tunnel.reverse_of(), "");
  const CommonTlsContext& outer = tunnel.gateway().common_tls_context();
  ASSERT_EQ(outer.alpn_protocols_size(), 1);
  EXPECT_EQ(outer.alpn_protocols(0), "h2");
  EXPECT_EQ(outer.tls_certificate_sds_secret_configs(0).name(), "default");
  const auto& names = outer.combined_validation_context()
                          .default_validation_context()
                          .match_typed_subject_alt_names();
  ASSERT_EQ(names.size(), 1);
  EXPECT_EQ(names[0].matcher().suffix(), "/ns/weft-system/sa/weft-gateway");
  EXPECT_EQ(outer.combined_validation_context().validation_context_sds_secret_config().name(),
            "ROOTCA");
  UpstreamTlsContext inner;
  ASSERT_TRUE(tunnel.inner().typed_config().UnpackTo(&inner));
  EXPECT_EQ(inner.sni(), kName);
  EXPECT_EQ(IdentitiesIn(inner.common_tls_context())
                .count("spiffe://west.local/ns/default/sa/helloworld"),
            1u);
}

// The endpoint's key in the proxy has the socket's name in it, so that two peers behind the same
// gateway of ours are two places.
TEST(TunnelClients, ReachAnOutboundOnlyPeerThroughTheirOwnGateways) {
  const Resources resources = Translate(WithMars().world(), Client(true));
  EXPECT_EQ(Complaints(resources), "");
  EXPECT_EQ(
      PlacesOf(resources),
      (std::vector<std::string>{"10.244.0.2:5000 istio", "10.244.0.4:15008 reverse-mars x2",
                                "10.244.0.5:15008 reverse-mars x2", "172.16.0.2:15008 tunnel x3"}));
  const auto tunnels = TunnelsIn(ClusterIn(resources, kHello));
  EXPECT_EQ(tunnels.at("reverse-mars").authority(), kOfMars);
  // All tunnels to a gateway of ours, and to others, are in one connection with it.
  EXPECT_EQ(tunnels.at("reverse-mars").gateway().SerializeAsString(),
            tunnels.at("tunnel").gateway().SerializeAsString());
  UpstreamTlsContext inner;
  ASSERT_TRUE(tunnels.at("reverse-mars").inner().typed_config().UnpackTo(&inner));
  EXPECT_EQ(IdentitiesIn(inner.common_tls_context()),
            (std::set<std::string>{"spiffe://mars.local/ns/default/sa/helloworld"}));
}

// Beside our own pod, of which the gateway without tunnels takes its share.
TEST(TunnelClients, OnAnotherNetworkReachAnOutboundOnlyPeerThroughOurGatewaysFromOutside) {
  WorldBuilder builder = WithMars();
  ClusterIdentity self = *builder.world().self;
  self.gateways = {{"172.16.0.1", 15443, 15008}, {"172.16.0.9", 15443}};
  builder.Self(self);
  ProxyView client = Client(true);
  client.cluster = "north";
  client.network = "net-north";
  EXPECT_EQ(
      PlacesOf(Translate(builder.world(), client)),
      (std::vector<std::string>{"172.16.0.1:15008 reverse-mars x4", "172.16.0.1:15008 tunnel x1",
                                "172.16.0.2:15008 tunnel x3", "172.16.0.9:15443 istio x1"}));
}

TEST(TunnelClients, AnOutboundOnlyPeerIsNoPlaceWithoutAWay) {
  struct Row {
    const char* name;
    bool tunnels;
    bool outbound_only;  // we are, too
  } rows[] = {{"a client that is no weft-proxy", false, false}, {"neither can dial", true, true}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    WorldBuilder builder = WithMars();
    if (row.outbound_only) builder.Self(OutboundOnlyEast());
    for (const std::string& place : PlacesOf(Translate(builder.world(), Client(row.tunnels)))) {
      EXPECT_EQ(place.find("mars"), std::string::npos) << place;
      EXPECT_EQ(place.find("10.244.0.4"), std::string::npos) << place;
    }
  }
}

TEST(TunnelClients, ARuleThatWantsMeshTlsOnlyHasTunnelsToo) {
  WorldBuilder builder = Helloworld();
  ASSERT_TRUE(builder
                  .Apply("kind: DestinationRule\nmetadata: {name: a}\n"
                         "spec: {host: helloworld, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}")
                  .ok());
  const Cluster cluster = ClusterIn(Translate(builder.world(), Client(true)), kHello);
  EXPECT_EQ(cluster.transport_socket().name(), "envoy.transport_sockets.tls");
  EXPECT_EQ(TunnelsIn(cluster).count("tunnel"), 1u);
}

TEST(TunnelGateway, TakesTunnelsOfOwnAndLinkedClusters) {
  const Resources resources = Translate(Helloworld().world(), Gateway());
  EXPECT_EQ(Complaints(resources), "");
  EXPECT_EQ(resources.secrets.count("ROOTCA"), 1u);
  const Listener listener = ListenerIn(resources, "0.0.0.0_15008");
  ASSERT_EQ(listener.filter_chains_size(), 1);
  const auto& chain = listener.filter_chains(0);
  EXPECT_EQ(chain.filter_chain_match().transport_protocol(), "tls");
  EXPECT_EQ(chain.filter_chain_match().application_protocols(0), "h2");
  DownstreamTlsContext tls;
  ASSERT_TRUE(chain.transport_socket().typed_config().UnpackTo(&tls));
  EXPECT_TRUE(tls.require_client_certificate().value());
  EXPECT_EQ(tls.common_tls_context()
                .combined_validation_context()
                .validation_context_sds_secret_config()
                .name(),
            "ROOTCA");
  const HttpConnectionManager http = ManagerIn(chain);
  EXPECT_EQ(http.codec_type(), HttpConnectionManager::HTTP2);
  EXPECT_TRUE(http.http2_protocol_options().allow_connect());
  ASSERT_EQ(http.http_filters_size(), 3);
  EXPECT_EQ(http.http_filters(0).name(), "weft.filters.http.tunnel");
  EXPECT_EQ(http.http_filters(1).name(), "envoy.filters.http.rbac");
  EXPECT_EQ(http.http_filters(2).name(), "envoy.filters.http.router");
  proxy::v1::TunnelTermination termination;
  ASSERT_TRUE(http.http_filters(0).typed_config().UnpackTo(&termination));
  EXPECT_EQ(termination.gateways_size(), 1);
  EXPECT_EQ(termination.gateways().at("west.local"),
            "spiffe://west.local/ns/weft-system/sa/weft-gateway");
  EXPECT_EQ(http.access_log_size(), 1);
}

TEST(TunnelGateway, KnowsWhatNamesOfPodsAreMadeWith) {
  WorldBuilder builder = WithMars();
  ClusterIdentity self = *builder.world().self;
  self.pod_name_key = "a secret of all gateways";
  builder.Self(self);
  const Resources resources = Translate(builder.world(), Gateway());
  const HttpConnectionManager http =
      ManagerIn(ListenerIn(resources, "0.0.0.0_15008").filter_chains(0));
  proxy::v1::TunnelTermination termination;
  ASSERT_TRUE(http.http_filters(0).typed_config().UnpackTo(&termination));
  EXPECT_EQ(termination.pod_name_key(), self.pod_name_key);
}

TEST(TunnelGateway, LeavesOthersProxiesAlone) {
  ProxyView envoy = Gateway();
  envoy.tunnels = false;
  const Resources resources = Translate(WithMars().world(), envoy);
  EXPECT_FALSE(resources.listeners.contains("0.0.0.0_15008"));
  EXPECT_FALSE(resources.clusters.contains(kOfMars));
}

// A tunnel leads to the cluster of its name. What is not exported has none, and nothing else is
// reached by a name: not weftd's port, not the clusters that are there for other reasons.
TEST(TunnelGateway, Row67_RefusesWhatIsNotExported) {
  WorldBuilder builder = WithMars();
  builder.Service("default", "hidden", {{"http", 80, Protocol::kHttp}})
      .Pod("default", "hidden", "v1");
  builder.LastService().exported = false;
  const Resources resources = Translate(builder.world(), Gateway());
  for (const auto& [name, bytes] : resources.clusters) {
    EXPECT_EQ(name.find("hidden"), std::string::npos) << name;
  }
  const HttpConnectionManager http =
      ManagerIn(ListenerIn(resources, "0.0.0.0_15008").filter_chains(0));
  ASSERT_EQ(http.route_config().virtual_hosts_size(), 1);
  const auto& route = http.route_config().virtual_hosts(0).routes(0);
  EXPECT_TRUE(route.match().has_connect_matcher());
  EXPECT_EQ(route.route().cluster_header(), ":authority");
  EXPECT_EQ(route.route().cluster_not_found_response_code(),
            envoy::config::route::v3::RouteAction::NOT_FOUND);
  envoy::extensions::filters::http::rbac::v3::RBAC access;
  ASSERT_TRUE(http.http_filters(1).typed_config().UnpackTo(&access));
  EXPECT_EQ(access.rules().action(), envoy::config::rbac::v3::RBAC::ALLOW);
  ASSERT_EQ(access.rules().policies_size(), 2);
  const auto& services = access.rules().policies().at("exported-services");
  EXPECT_EQ(services.permissions(0).header().string_match().prefix(), "outbound_.");
  const auto& others = access.rules().policies().at("other-clusters");
  EXPECT_EQ(others.permissions(0).header().string_match().contains(), ".outbound_.");
  EXPECT_EQ(others.principals(0).authenticated().principal_name().prefix(), "spiffe://east.local/");
}

TEST(TunnelGateway, LeadsItsOwnClientsToClustersThatDialedIt) {
  const Resources resources = Translate(WithMars().world(), Gateway());
  EXPECT_EQ(Complaints(resources), "");
  const Cluster cluster = ClusterIn(resources, kOfMars);
  const TunnelTransport tunnel = TunnelIn(cluster.transport_socket());
  EXPECT_EQ(tunnel.authority(), kName);
  EXPECT_EQ(tunnel.reverse_of(), "mars.local");
  EXPECT_FALSE(tunnel.has_gateway());
  EXPECT_EQ(cluster.load_assignment().endpoints(0).lb_endpoints_size(), 1);
  EXPECT_FALSE(resources.clusters.contains(absl::StrCat("west.", kName)));

  const Listener listener = ListenerIn(resources, "0.0.0.0_15008");
  ASSERT_EQ(listener.filter_chains_size(), 2);
  const auto& chain = listener.filter_chains(1);
  EXPECT_EQ(chain.filter_chain_match().application_protocols(0), "weft-reverse");
  EXPECT_EQ(chain.filters(0).name(), "weft.filters.network.reverse_tunnel");
  DownstreamTlsContext tls;
  ASSERT_TRUE(chain.transport_socket().typed_config().UnpackTo(&tls));
  EXPECT_EQ(tls.common_tls_context().alpn_protocols(0), "weft-reverse");
  EXPECT_EQ(IdentitiesIn(tls.common_tls_context()),
            (std::set<std::string>{"spiffe://mars.local/ns/weft-system/sa/weft-gateway"}));
}

TEST(TunnelGateway, OfAnOutboundOnlyClusterDialsThoseOfItsPeers) {
  WorldBuilder builder = WithMars();
  builder.Self(OutboundOnlyEast());
  builder.PeerGateways({{"172.16.0.2", 15443, 15008}, {"172.16.0.3", 15443}});
  const Resources resources = Translate(builder.world(), Gateway());
  EXPECT_EQ(Complaints(resources), "");
  EXPECT_FALSE(resources.listeners.contains("dial_mars"));  // nor can it be dialed
  EXPECT_FALSE(resources.clusters.contains(kOfMars));
  const Listener listener = ListenerIn(resources, "dial_west");
  EXPECT_FALSE(listener.has_address());
  proxy::v1::Dial dial;
  ASSERT_EQ(listener.listener_filters(0).name(), "weft.filters.listener.dial");
  ASSERT_TRUE(listener.listener_filters(0).typed_config().UnpackTo(&dial));
  ASSERT_EQ(dial.gateways_size(), 1);
  EXPECT_EQ(dial.gateways(0).socket_address().address(), "172.16.0.2");
  EXPECT_EQ(dial.gateways(0).socket_address().port_value(), 15008u);
  EXPECT_EQ(dial.connections(), 16u) << "one for each worker of that gateway";
  EXPECT_EQ(dial.tls().common_tls_context().alpn_protocols(0), "weft-reverse");
  EXPECT_EQ(IdentitiesIn(dial.tls().common_tls_context()),
            (std::set<std::string>{"spiffe://west.local/ns/weft-system/sa/weft-gateway"}));
  // What comes that way is served as what is accepted.
  EXPECT_EQ(listener.filter_chains(0).filters(0).SerializeAsString(),
            ListenerIn(resources, "0.0.0.0_15008").filter_chains(0).filters(0).SerializeAsString());
}

}  // namespace
}  // namespace weft
