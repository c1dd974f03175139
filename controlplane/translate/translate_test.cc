#include "controlplane/translate/translate.h"

#include <set>
#include <string>

#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/tcp_proxy.pb.h"
#include "api/envoy/tls.pb.h"
#include "api/istio/nds.pb.h"
#include "controlplane/translate/check.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
using envoy::extensions::transport_sockets::tls::v3::Secret;
using envoy::extensions::transport_sockets::tls::v3::SPIFFECertValidatorConfig;
using envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;

constexpr char kHost[] = "helloworld.default.svc.cluster.local";

// helloworld with an HTTP port and a TCP port, a pod here (10.244.0.2) and one in west.
WorldBuilder Helloworld() {
  WorldBuilder builder;
  builder.Service("default", "helloworld",
                  {{"http", 5000, Protocol::kHttp}, {"tcp", 9000, Protocol::kTcp}});
  builder.Pod("default", "helloworld", "v1").Remote("default", "helloworld", "v2", 1);
  return builder;
}

// The sidecar of that pod.
ProxyView PodView() {
  ProxyView view = SidecarIn("default");
  view.address = "10.244.0.2";
  view.labels = {{"app", "helloworld"}, {"version", "v1"}};
  return view;
}

ProxyView GatewayView() {
  ProxyView view;
  view.role = ProxyRole::kGateway;
  return view;
}

template <typename Message>
Message FirstFilter(const FilterChain& chain) {
  Message message;
  EXPECT_TRUE(chain.filters(0).typed_config().UnpackTo(&message));
  return message;
}

std::string NoComplaints(const Resources& resources) {
  std::string all;
  for (const std::string& complaint : CheckResources(resources)) all += complaint + "\n";
  return all;
}

TEST(Clusters, MeshTlsNamesTheServiceAndItsIdentities) {
  Resources resources = Translate(Helloworld().world(), SidecarIn("default"));
  Cluster cluster = ClusterIn(resources, "outbound|5000||helloworld.default.svc.cluster.local");
  EXPECT_EQ(cluster.type(), Cluster::EDS);
  EXPECT_EQ(cluster.lb_policy(), Cluster::LEAST_REQUEST);
  EXPECT_EQ(cluster.connect_timeout().seconds(), 2);
  ASSERT_EQ(cluster.transport_socket_matches_size(), 2);
  const auto& mesh = cluster.transport_socket_matches(0);
  EXPECT_EQ(mesh.match().fields().at("tlsMode").string_value(), "istio");
  UpstreamTlsContext tls;
  ASSERT_TRUE(mesh.transport_socket().typed_config().UnpackTo(&tls));
  EXPECT_EQ(tls.sni(), "outbound_.5000_._.helloworld.default.svc.cluster.local");
  const auto& common = tls.common_tls_context();
  EXPECT_EQ(common.alpn_protocols(0), "istio");
  EXPECT_EQ(common.tls_certificate_sds_secret_configs(0).name(), "default");
  EXPECT_EQ(common.combined_validation_context().validation_context_sds_secret_config().name(),
            "ROOTCA");
  std::set<std::string> identities;
  for (const auto& san : common.combined_validation_context()
                             .default_validation_context()
                             .match_typed_subject_alt_names()) {
    identities.insert(san.matcher().exact());
  }
  EXPECT_EQ(identities, (std::set<std::string>{"spiffe://east.local/ns/default/sa/helloworld",
                                               "spiffe://west.local/ns/default/sa/helloworld"}));
}

TEST(Clusters, FollowTheDestinationRule) {
  WorldBuilder builder = Helloworld();
  ASSERT_TRUE(builder
                  .Apply(R"(
kind: DestinationRule
metadata: {name: hello}
spec:
  host: helloworld
  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    connectionPool: {tcp: {maxConnections: 7, connectTimeout: 300ms},
                     http: {http1MaxPendingRequests: 8, http2MaxRequests: 9, maxRetries: 3}}
    outlierDetection: {consecutive5xxErrors: 4, interval: 5s, maxEjectionPercent: 50}
    portLevelSettings: [{port: {number: 9000}, loadBalancer: {simple: ROUND_ROBIN}}]
  subsets:
  - {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: LEAST_CONN}}}
)")
                  .ok());
  Resources resources = Translate(builder.world(), SidecarIn("default"));
  Cluster cluster = ClusterIn(resources, "outbound|5000||helloworld.default.svc.cluster.local");
  EXPECT_EQ(cluster.lb_policy(), Cluster::RANDOM);
  EXPECT_EQ(cluster.connect_timeout().nanos(), 300'000'000);
  const auto& limits = cluster.circuit_breakers().thresholds(0);
  EXPECT_EQ(limits.max_connections().value(), 7u);
  EXPECT_EQ(limits.max_pending_requests().value(), 8u);
  EXPECT_EQ(limits.max_requests().value(), 9u);
  EXPECT_EQ(limits.max_retries().value(), 3u);
  EXPECT_EQ(cluster.outlier_detection().consecutive_5xx().value(), 4u);
  EXPECT_EQ(cluster.outlier_detection().interval().seconds(), 5);
  EXPECT_EQ(cluster.outlier_detection().max_ejection_percent().value(), 50u);

  // A port's settings replace all of the service's.
  Cluster other_port = ClusterIn(resources, "outbound|9000||helloworld.default.svc.cluster.local");
  EXPECT_EQ(other_port.lb_policy(), Cluster::ROUND_ROBIN);
  EXPECT_FALSE(other_port.has_outlier_detection());

  // A subset's are merged over them.
  Cluster subset = ClusterIn(resources, "outbound|5000|v2|helloworld.default.svc.cluster.local");
  EXPECT_EQ(subset.lb_policy(), Cluster::LEAST_REQUEST);
  EXPECT_EQ(subset.circuit_breakers().thresholds(0).max_connections().value(), 7u);
  UpstreamTlsContext tls;
  ASSERT_TRUE(subset.transport_socket_matches(0).transport_socket().typed_config().UnpackTo(&tls));
  EXPECT_EQ(tls.sni(), "outbound_.5000_.v2_.helloworld.default.svc.cluster.local");
}

TEST(Clusters, RuleOfTheClientsNamespaceComesFirst) {
  WorldBuilder builder = Helloworld();
  ASSERT_TRUE(builder
                  .Apply(R"(
kind: DestinationRule
metadata: {name: server}
spec: {host: helloworld, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
---
kind: DestinationRule
metadata: {name: client, namespace: web}
spec:
  host: helloworld.default.svc.cluster.local
  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
---
kind: DestinationRule
metadata: {name: own, namespace: shop}
spec: {host: helloworld.default.svc.cluster.local, exportTo: [web]}
---
kind: DestinationRule
metadata: {name: mesh, namespace: istio-system}
spec: {host: '*.local', trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}
)")
                  .ok());
  builder.Service("shop", "cart", {{"http", 80, Protocol::kHttp}});
  auto policy = [&](const char* name_space, const char* cluster) {
    return ClusterIn(Translate(builder.world(), SidecarIn(name_space)), cluster).lb_policy();
  };
  const char* hello = "outbound|5000||helloworld.default.svc.cluster.local";
  EXPECT_EQ(policy("default", hello), Cluster::RANDOM);
  EXPECT_EQ(policy("web", hello), Cluster::ROUND_ROBIN);
  EXPECT_EQ(policy("shop", hello), Cluster::RANDOM);  // its own is for web only
  EXPECT_EQ(policy("web", "outbound|80||cart.shop.svc.cluster.local"), Cluster::CLUSTER_PROVIDED);
}

TEST(Clusters, TlsModes) {
  WorldBuilder builder = Helloworld();
  ASSERT_TRUE(builder
                  .Apply(R"(
kind: DestinationRule
metadata: {name: hello}
spec:
  host: helloworld
  trafficPolicy: {tls: {mode: DISABLE}}
  subsets:
  - name: own
    trafficPolicy:
      tls: {mode: MUTUAL, sni: x.example, caCertificates: /ca.pem, clientCertificate: /c.pem,
            privateKey: /k.pem, subjectAltNames: [x.example]}
  - {name: mesh, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
)")
                  .ok());
  Resources resources = Translate(builder.world(), SidecarIn("default"));
  Cluster plain = ClusterIn(resources, "outbound|5000||helloworld.default.svc.cluster.local");
  EXPECT_EQ(plain.transport_socket_matches_size(), 0);
  EXPECT_FALSE(plain.has_transport_socket());
  Cluster own = ClusterIn(resources, "outbound|5000|own|helloworld.default.svc.cluster.local");
  UpstreamTlsContext tls;
  ASSERT_TRUE(own.transport_socket().typed_config().UnpackTo(&tls));
  EXPECT_EQ(tls.sni(), "x.example");
  EXPECT_EQ(tls.common_tls_context().tls_certificates(0).private_key().filename(), "/k.pem");
  EXPECT_EQ(tls.common_tls_context().validation_context().trusted_ca().filename(), "/ca.pem");
  Cluster mesh = ClusterIn(resources, "outbound|5000|mesh|helloworld.default.svc.cluster.local");
  // Asked for, it is not left to the endpoint.
  EXPECT_EQ(mesh.transport_socket_matches_size(), 0);
  ASSERT_TRUE(mesh.transport_socket().typed_config().UnpackTo(&tls));
  EXPECT_EQ(tls.sni(), "outbound_.5000_.mesh_.helloworld.default.svc.cluster.local");
}

TEST(OutboundListeners, OnePerHttpPortAndPerTcpAddress) {
  Resources resources = Translate(Helloworld().world(), SidecarIn("default"));
  Listener entry = ListenerIn(resources, "virtualOutbound");
  EXPECT_EQ(entry.address().socket_address().port_value(), 15001u);
  EXPECT_TRUE(entry.use_original_dst().value());
  EXPECT_EQ(FirstFilter<TcpProxy>(entry.default_filter_chain()).cluster(), "PassthroughCluster");

  Listener http = ListenerIn(resources, "0.0.0.0_5000");
  EXPECT_FALSE(http.bind_to_port().value());
  EXPECT_TRUE(http.has_bind_to_port());
  auto manager = FirstFilter<HttpConnectionManager>(http.filter_chains(0));
  EXPECT_EQ(manager.rds().route_config_name(), "5000");
  EXPECT_EQ(manager.stat_prefix(), "outbound_0.0.0.0_5000");

  Listener tcp = ListenerIn(resources, "10.96.0.1_9000");
  EXPECT_EQ(FirstFilter<TcpProxy>(tcp.filter_chains(0)).cluster(),
            "outbound|9000||helloworld.default.svc.cluster.local");
  EXPECT_EQ(resources.listeners.size(), 4u);  // and virtualInbound
}

TEST(OutboundListeners, TcpRoutesShareConnections) {
  WorldBuilder builder = Helloworld();
  ASSERT_TRUE(builder
                  .Apply(R"(
kind: DestinationRule
metadata: {name: hello}
spec: {host: helloworld, subsets: [{name: v2, labels: {version: v2}}]}
---
kind: VirtualService
metadata: {name: hello}
spec:
  hosts: [helloworld]
  tcp:
  - match: [{port: 1}]
    route: [{destination: {host: nowhere}}]
  - match: [{port: 9000}]
    route:
    - {destination: {host: helloworld, subset: v2}, weight: 25}
    - {destination: {host: nowhere}, weight: 75}
)")
                  .ok());
  Resources resources = Translate(builder.world(), SidecarIn("default"));
  EXPECT_EQ(NoComplaints(resources), "");
  auto shares = FirstFilter<TcpProxy>(ListenerIn(resources, "10.96.0.1_9000").filter_chains(0))
                    .weighted_clusters()
                    .clusters();
  ASSERT_EQ(shares.size(), 2);
  EXPECT_EQ(shares[0].name(), "outbound|9000|v2|helloworld.default.svc.cluster.local");
  EXPECT_EQ(shares[0].weight(), 25u);
  EXPECT_EQ(shares[1].name(), "BlackHoleCluster");
  // Its TCP routes say nothing of HTTP.
  EXPECT_EQ(HostIn(resources, "5000", "helloworld").routes(0).route().cluster(),
            "outbound|5000||helloworld.default.svc.cluster.local");
}

// What a chain is for: "mtls", "plain", "tls" (the application's own), "refused".
std::string KindOf(const FilterChain& chain) {
  if (chain.has_transport_socket()) {
    EXPECT_EQ(chain.filter_chain_match().transport_protocol(), "tls");
    EXPECT_EQ(chain.filter_chain_match().application_protocols(0), "istio");
    return "mtls";
  }
  EXPECT_EQ(chain.filter_chain_match().application_protocols_size(), 0);
  TcpProxy tcp;
  if (chain.filters(0).typed_config().UnpackTo(&tcp) && tcp.cluster() == "BlackHoleCluster") {
    return "refused";
  }
  return chain.filter_chain_match().transport_protocol() == "raw_buffer" ? "plain" : "tls";
}

std::set<std::string> KindsOn(const Listener& listener, uint32_t port) {
  std::set<std::string> kinds;
  for (const FilterChain& chain : listener.filter_chains()) {
    if (chain.filter_chain_match().destination_port().value() == port) kinds.insert(KindOf(chain));
  }
  return kinds;
}

TEST(InboundListeners, ChainsFollowPeerAuthentication) {
  const std::set<std::string> permissive = {"mtls", "plain", "tls"}, strict = {"mtls"},
                              disabled = {"plain", "tls"}, strict_alone = {"mtls", "refused"};
  struct Case {
    const char* name;
    const char* yaml;
    std::set<std::string> http_port, tcp_port;
    bool others_in_plain;
  } cases[] = {
      {"default", "", permissive, permissive, true},
      {"mesh",
       "kind: PeerAuthentication\nmetadata: {name: a, namespace: istio-system}\n"
       "spec: {mtls: {mode: STRICT}}",
       strict, strict, false},
      {"namespace over mesh",
       "kind: PeerAuthentication\nmetadata: {name: a, namespace: weft-system}\n"
       "spec: {mtls: {mode: STRICT}}\n---\n"
       "kind: PeerAuthentication\nmetadata: {name: b}\nspec: {mtls: {mode: DISABLE}}",
       disabled, disabled, true},
      {"another namespace",
       "kind: PeerAuthentication\nmetadata: {name: a, namespace: web}\n"
       "spec: {mtls: {mode: STRICT}}",
       permissive, permissive, true},
      {"workload and port",
       "kind: PeerAuthentication\nmetadata: {name: a}\n"
       "spec: {selector: {matchLabels: {app: helloworld}}, mtls: {mode: STRICT}, "
       "portLevelMtls: {9000: {mode: DISABLE}}}",
       strict, disabled, false},
      {"a port stricter than the rest",
       "kind: PeerAuthentication\nmetadata: {name: a}\n"
       "spec: {selector: {matchLabels: {app: helloworld}}, "
       "portLevelMtls: {5000: {mode: STRICT}}}",
       strict_alone, permissive, true},
      {"another workload",
       "kind: PeerAuthentication\nmetadata: {name: a}\n"
       "spec: {selector: {matchLabels: {app: other}}, mtls: {mode: STRICT}}",
       permissive, permissive, true},
      {"UNSET inherits, from mesh to port",
       "kind: PeerAuthentication\nmetadata: {name: a, namespace: istio-system}\n"
       "spec: {mtls: {mode: STRICT}}\n---\n"
       "kind: PeerAuthentication\nmetadata: {name: b}\nspec: {mtls: {mode: UNSET}}\n---\n"
       "kind: PeerAuthentication\nmetadata: {name: c}\n"
       "spec: {selector: {matchLabels: {app: helloworld}}, portLevelMtls: {5000: {mode: UNSET}}}",
       strict, strict, false},
      {"workload over namespace",
       "kind: PeerAuthentication\nmetadata: {name: a}\nspec: {mtls: {mode: STRICT}}\n---\n"
       "kind: PeerAuthentication\nmetadata: {name: b}\n"
       "spec: {selector: {matchLabels: {app: helloworld}}, mtls: {mode: PERMISSIVE}}",
       permissive, permissive, true},
      {"the older of two (files: by name)",
       "kind: PeerAuthentication\nmetadata: {name: b}\n"
       "spec: {selector: {matchLabels: {app: helloworld}}, mtls: {mode: DISABLE}}\n---\n"
       "kind: PeerAuthentication\nmetadata: {name: a}\n"
       "spec: {selector: {matchLabels: {version: v1}}, mtls: {mode: STRICT}}",
       strict, strict, false},
      {"a selector in the root namespace is for workloads there",
       "kind: PeerAuthentication\nmetadata: {name: a, namespace: istio-system}\n"
       "spec: {selector: {matchLabels: {app: helloworld}}, mtls: {mode: STRICT}}",
       permissive, permissive, true},
      {"weft-system before istio-system",
       "kind: PeerAuthentication\nmetadata: {name: a, namespace: istio-system}\n"
       "spec: {mtls: {mode: STRICT}}\n---\n"
       "kind: PeerAuthentication\nmetadata: {name: b, namespace: weft-system}\n"
       "spec: {mtls: {mode: DISABLE}}",
       disabled, disabled, true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    WorldBuilder builder = Helloworld();
    absl::Status status = builder.Apply(c.yaml);
    ASSERT_TRUE(status.ok()) << status;
    Resources resources = Translate(builder.world(), PodView());
    EXPECT_EQ(NoComplaints(resources), "");
    Listener listener = ListenerIn(resources, "virtualInbound");
    EXPECT_EQ(KindsOn(listener, 5000), c.http_port);
    EXPECT_EQ(KindsOn(listener, 9000), c.tcp_port);
    EXPECT_EQ(listener.has_default_filter_chain(), c.others_in_plain);
  }
}

TEST(InboundListeners, IdentityIsShownOnlyWhereItWasVerified) {
  Resources resources = Translate(Helloworld().world(), PodView());
  Listener listener = ListenerIn(resources, "virtualInbound");
  int seen = 0;
  for (const FilterChain& chain : listener.filter_chains()) {
    if (chain.filter_chain_match().destination_port().value() != 5000) continue;
    if (KindOf(chain) == "tls") continue;
    auto http = FirstFilter<HttpConnectionManager>(chain);
    EXPECT_EQ(http.route_config().virtual_hosts(0).routes(0).route().cluster(), "inbound|5000||");
    EXPECT_EQ(http.forward_client_cert_details(), KindOf(chain) == "mtls"
                                                      ? HttpConnectionManager::SANITIZE_SET
                                                      : HttpConnectionManager::SANITIZE);
    ++seen;
  }
  EXPECT_EQ(seen, 2);
  Cluster cluster = ClusterIn(resources, "inbound|5000||");
  EXPECT_EQ(cluster.upstream_bind_config().source_address().address(), "127.0.0.6");
  const auto& endpoint = cluster.load_assignment().endpoints(0).lb_endpoints(0).endpoint();
  EXPECT_EQ(endpoint.address().socket_address().address(), "10.244.0.2");
}

TEST(Gateway, KnowsOnlyExportedServicesAndPodsOfItsOwn) {
  WorldBuilder builder = Helloworld();
  ASSERT_TRUE(builder
                  .Apply(R"(
kind: DestinationRule
metadata: {name: hello}
spec: {host: helloworld, subsets: [{name: v2, labels: {version: v2}}]}
)")
                  .ok());
  builder.Service("default", "hidden", {{"http", 80, Protocol::kHttp}})
      .Pod("default", "hidden", "1");
  builder.LastService().exported = false;
  Resources resources = Translate(builder.world(), GatewayView());
  EXPECT_EQ(NoComplaints(resources), "");
  std::set<std::string> names;
  for (const auto& [name, bytes] : resources.clusters) names.insert(name);
  EXPECT_EQ(names,
            (std::set<std::string>{"BlackHoleCluster", "peer.east.weft",
                                   "outbound_.5000_._.helloworld.default.svc.cluster.local",
                                   "outbound_.5000_.v2_.helloworld.default.svc.cluster.local",
                                   "outbound_.9000_._.helloworld.default.svc.cluster.local",
                                   "outbound_.9000_.v2_.helloworld.default.svc.cluster.local"}));
  auto all = AssignmentIn(resources, "outbound_.5000_._.helloworld.default.svc.cluster.local");
  ASSERT_EQ(all.endpoints_size(), 1);
  ASSERT_EQ(all.endpoints(0).lb_endpoints_size(), 1);  // west's go another way
  const auto& endpoint = all.endpoints(0).lb_endpoints(0);
  EXPECT_EQ(endpoint.endpoint().address().socket_address().address(), "10.244.0.2");
  EXPECT_FALSE(endpoint.has_metadata());
  EXPECT_EQ(AssignmentIn(resources, "outbound_.5000_.v2_.helloworld.default.svc.cluster.local")
                .endpoints_size(),
            0);
  Listener listener = ListenerIn(resources, "0.0.0.0_15443");
  ASSERT_EQ(listener.filter_chains(0).filters_size(), 2);
  EXPECT_EQ(listener.filter_chains(0).filters(0).name(), "envoy.filters.network.sni_cluster");
}

// TLS of anyone else would pass a permissive sidecar to its application.
TEST(Gateway, ServicesTakeMeshTlsOnly) {
  Listener listener = ListenerIn(Translate(Helloworld().world(), GatewayView()), "0.0.0.0_15443");
  for (const auto& chain : listener.filter_chains()) {
    const auto& match = chain.filter_chain_match();
    EXPECT_EQ(match.transport_protocol(), "tls");
    if (match.server_names_size() > 0) continue;  // a name of weftd's own
    EXPECT_EQ(match.application_protocols_size(), 5);
  }
  EXPECT_FALSE(listener.has_default_filter_chain());
}

TEST(Names, ShortOnesOnlyInTheirNamespace) {
  for (bool own : {true, false}) {
    Resources resources = Translate(Helloworld().world(), SidecarIn(own ? "default" : "web"));
    google::protobuf::Any any;
    istio::networking::nds::v1::NameTable table;
    ASSERT_TRUE(any.ParseFromString(*resources.name_table.at("")));
    ASSERT_TRUE(any.UnpackTo(&table));
    const auto& info = table.table().at(kHost);
    EXPECT_EQ(info.ips(0), "10.96.0.1");
    EXPECT_EQ(info.alt_hosts_size(), own ? 3 : 2);
    EXPECT_EQ(info.alt_hosts(0), "helloworld.default");
  }
}

// Trust domain → roots, as ROOTCA has them.
std::map<std::string, std::string> TrustIn(const Resources& resources) {
  google::protobuf::Any any;
  Secret secret;
  SPIFFECertValidatorConfig spiffe;
  EXPECT_TRUE(any.ParseFromString(*resources.secrets.at("ROOTCA")));
  EXPECT_TRUE(any.UnpackTo(&secret));
  EXPECT_TRUE(
      secret.validation_context().custom_validator_config().typed_config().UnpackTo(&spiffe));
  std::map<std::string, std::string> roots;
  for (const auto& domain : spiffe.trust_domains()) {
    EXPECT_TRUE(roots.emplace(domain.name(), domain.trust_bundle().inline_string()).second);
  }
  return roots;
}

TEST(Secrets, APeerVouchesForItsOwnTrustDomainOnly) {
  using Trust = std::map<std::string, std::string>;
  WorldBuilder builder = Helloworld();
  EXPECT_EQ(TrustIn(Translate(builder.world(), PodView())),
            (Trust{{"east.local", "EAST ROOT"}, {"west.local", "WEST ROOT"}}));
  World world = builder.world();
  world.peers["evil"] = std::make_shared<Peer>(Peer{"evil", "net", "east.local", "EVIL ROOT", {}});
  EXPECT_EQ(TrustIn(Translate(world, PodView())).at("east.local"), "EAST ROOT");
}

TEST(Translate, EqualInputsGiveEqualBytes) {
  auto make = [] {
    WorldBuilder builder = Helloworld();
    EXPECT_TRUE(builder
                    .Apply(R"(
kind: VirtualService
metadata: {name: hello}
spec:
  hosts: [helloworld]
  http:
  - match: [{headers: {a: {exact: x}, b: {exact: x}, c: {exact: x}, d: {exact: x}}}]
    headers: {request: {set: {e: x, f: x, g: x, h: x}}}
    route: [{destination: {host: helloworld}}]
)")
                    .ok());
    return Translate(builder.world(), PodView());
  };
  // A hash map's order differs from one instance to the next; thirty of them would show it.
  const Resources first = make();
  for (int i = 0; i < 30; ++i) {
    const Resources again = make();
    for (auto type : {&Resources::clusters, &Resources::endpoints, &Resources::listeners,
                      &Resources::routes, &Resources::secrets, &Resources::name_table}) {
      ASSERT_EQ((first.*type).size(), (again.*type).size());
      for (const auto& [name, bytes] : first.*type) {
        ASSERT_EQ(*bytes, *(again.*type).at(name)) << name;
      }
    }
  }
}

TEST(Translate, SidecarsAlikeHaveOneScope) {
  WorldBuilder builder = Helloworld();
  ASSERT_TRUE(builder
                  .Apply(R"(
kind: VirtualService
metadata: {name: hello}
spec:
  hosts: [helloworld]
  http: [{match: [{sourceLabels: {app: web}}], redirect: {uri: /}}]
)")
                  .ok());
  TranslationIndex index(builder.world());
  ProxyView a = SidecarIn("default"), b = SidecarIn("default"), c = SidecarIn("default");
  a.labels = {{"app", "x"}, {"pod-template-hash", "1"}};
  b.labels = {{"app", "x"}, {"pod-template-hash", "2"}};
  b.address = "10.244.0.201";
  c.labels = {{"app", "web"}};
  EXPECT_EQ(index.ScopeOf(a), index.ScopeOf(b));
  EXPECT_NE(index.ScopeOf(a), index.ScopeOf(c));
}

TEST(Translate, EmptyWorldFitsTogether) {
  WorldBuilder builder;
  EXPECT_EQ(NoComplaints(Translate(builder.world(), PodView())), "");
  EXPECT_EQ(NoComplaints(Translate(builder.world(), GatewayView())), "");
}

TEST(CheckResources, NamesWhatIsMissing) {
  const Resources whole = Translate(Helloworld().world(), PodView());
  struct Case {
    EncodedResources Resources::* type;
    const char* removed;
    const char* complaint;
  } cases[] = {
      {&Resources::clusters, "outbound|9000||helloworld.default.svc.cluster.local",
       "listener '10.96.0.1_9000': no cluster"},
      {&Resources::clusters, "inbound|5000||", "no cluster 'inbound|5000||'"},
      {&Resources::endpoints, "outbound|5000||helloworld.default.svc.cluster.local",
       "no assignment"},
      {&Resources::routes, "5000", "listener '0.0.0.0_5000': no routes '5000'"},
      {&Resources::secrets, "ROOTCA", "no secret 'ROOTCA'"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.removed);
    Resources broken = whole;
    ASSERT_EQ((broken.*c.type).erase(c.removed), 1u);
    EXPECT_NE(NoComplaints(broken).find(c.complaint), std::string::npos) << NoComplaints(broken);
  }
}

}  // namespace
}  // namespace weft
