#include "proxy/config/config_state.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "api/envoy/bootstrap.pb.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/endpoint.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/route.pb.h"
#include "api/envoy/tls.pb.h"
#include "api/istio/nds.pb.h"
#include "certs/issuer.h"
#include "certs/jwks.h"
#include "certs/test_jwt.h"

// The types that text format resolves inside an Any.
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/jwt_authn.pb.h"
#include "api/envoy/raw_buffer.pb.h"
#include "api/envoy/router.pb.h"
#include "api/envoy/tcp_proxy.pb.h"

namespace weft {
namespace {

template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

template <typename Message>
EncodedResource Encode(const std::string& text) {
  return {"", FromText<Message>(text).SerializeAsString()};
}

EncodedResource Eds(const std::string& name, const std::string& more = "") {
  return Encode<envoy::config::cluster::v3::Cluster>(
      absl::StrCat("name: '", name, "' type: EDS ", more));
}
EncodedResource Static(const std::string& name) {
  return Encode<envoy::config::cluster::v3::Cluster>(absl::StrCat("name: '", name, "'"));
}
EncodedResource Endpoints(const std::string& name, const std::string& ip) {
  return Encode<envoy::config::endpoint::v3::ClusterLoadAssignment>(
      absl::StrCat("cluster_name: '", name,
                   "' endpoints { lb_endpoints { endpoint { address { "
                   "socket_address { address: '",
                   ip, "' port_value: 80 } } } } }"));
}
EncodedResource Routes(const std::string& name, const std::string& cluster) {
  return Encode<envoy::config::route::v3::RouteConfiguration>(
      absl::StrCat("name: '", name,
                   "' virtual_hosts { name: 'v' domains: '*' routes { match { "
                   "prefix: '/' } route { cluster: '",
                   cluster, "' } } }"));
}
EncodedResource HttpListener(const std::string& name, const std::string& routes, int port = 80) {
  return Encode<envoy::config::listener::v3::Listener>(
      absl::StrCat("name: '", name,
                   "' bind_to_port { value: false } address { socket_address { address: "
                   "'0.0.0.0' port_value: ",
                   port, R"( } } filter_chains { filters { name: 'hcm' typed_config {
      [type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager] {
        rds { route_config_name: ')",
                   routes, R"(' config_source { ads {} } }
        http_filters { name: 'router' typed_config {
          [type.googleapis.com/envoy.extensions.filters.http.router.v3.Router] {} } }
      } } } })"));
}
EncodedResource TcpListener(const std::string& name, const std::string& cluster) {
  return Encode<envoy::config::listener::v3::Listener>(
      absl::StrCat("name: '", name,
                   "' address { socket_address { address: '0.0.0.0' port_value: 81 } } "
                   R"(filter_chains { filters { name: 'tcp' typed_config {
      [type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy] {
        cluster: ')",
                   cluster, "' } } } }"));
}

using Names = std::vector<std::string>;

TEST(ConfigState, AClusterTakesEffectWithItsFirstEndpoints) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Eds("a"), Static("s")}).ok());
  EXPECT_EQ(state.EndpointNames(), Names{"a"});
  EXPECT_EQ(state.snapshot()->FindCluster("a"), nullptr);
  EXPECT_NE(state.snapshot()->FindCluster("s"), nullptr);
  EXPECT_EQ(state.Waiting(), Names{"cluster 'a' waits for the endpoints of 'a'"});
  ASSERT_TRUE(state.Apply(kEndpointType, {Endpoints("a", "10.0.0.1")}).ok());
  ASSERT_NE(state.snapshot()->FindCluster("a"), nullptr);
  EXPECT_EQ(state.snapshot()->FindCluster("a")->endpoints->endpoints[0].key, "10.0.0.1:80");
  EXPECT_EQ(state.Waiting(), Names{});
}

EncodedResource NamedCluster(const std::string& name, const std::string& host,
                             const std::string& more = "") {
  return Encode<envoy::config::cluster::v3::Cluster>(
      absl::StrCat("name: '", name, "' type: STRICT_DNS ", more,
                   " load_assignment { endpoints { lb_endpoints { endpoint { address { "
                   "socket_address { address: '",
                   host, "' port_value: 80 } } } } } }"));
}

constexpr char kTcpCheck[] =
    "health_checks { timeout { seconds: 1 } interval { seconds: 1 } unhealthy_threshold { value: 1 "
    "} healthy_threshold { value: 1 } tcp_health_check {} }";

TEST(ConfigState, ACheckedClusterWaitsForTheFirstRoundOnly) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Eds("a", kTcpCheck)}).ok());
  ASSERT_TRUE(state.Apply(kEndpointType, {Endpoints("a", "10.0.0.1")}).ok());
  EXPECT_EQ(state.snapshot()->FindCluster("a"), nullptr);
  EXPECT_EQ(state.Waiting(),
            Names{"cluster 'a' waits for the first health checks of its endpoints"});
  ASSERT_EQ(state.Checks().size(), 1u) << "checked while it waits";

  state.SetHealth("a", "10.0.0.1:80", CheckedHealth::kFailing);
  ASSERT_NE(state.snapshot()->FindCluster("a"), nullptr) << "a failure is a result, too";
  EXPECT_TRUE(IsUnhealthy(state.snapshot()->FindCluster("a")->endpoints->endpoints[0]));
  state.SetHealth("a", "10.0.0.1:80", CheckedHealth::kPassing);
  EXPECT_FALSE(IsUnhealthy(state.snapshot()->FindCluster("a")->endpoints->endpoints[0]));

  const auto before = state.snapshot();
  state.SetHealth("a", "10.0.0.1:80", CheckedHealth::kPassing);
  EXPECT_EQ(state.snapshot(), before) << "nothing new";

  ASSERT_TRUE(state.Apply(kEndpointType, {Endpoints("a", "10.0.0.2")}).ok());
  ASSERT_NE(state.snapshot()->FindCluster("a"), nullptr);
  EXPECT_TRUE(IsUnhealthy(state.snapshot()->FindCluster("a")->endpoints->endpoints[0]))
      << "new: not picked before it has passed";
  ASSERT_TRUE(state.Apply(kEndpointType, {Endpoints("a", "10.0.0.1")}).ok());
  EXPECT_TRUE(IsUnhealthy(state.snapshot()->FindCluster("a")->endpoints->endpoints[0]))
      << "one that comes back is checked again";
}

std::string KeysOf(const ConfigState& state, const std::string& cluster) {
  const ClusterConfig* found = state.snapshot()->FindCluster(cluster);
  if (found == nullptr) return "no cluster";
  return absl::StrJoin(found->endpoints->endpoints, ",",
                       [](std::string* out, const EndpointConfig& one) { out->append(one.key); });
}

std::vector<Address> Ips(const std::vector<std::string>& texts) {
  std::vector<Address> addresses;
  for (const std::string& text : texts) addresses.push_back(*Address::Ip(text, 0));
  return addresses;
}

TEST(ConfigState, ADnsClusterTakesEffectWithTheFirstAttemptToResolveIt) {
  ConfigState state;
  ASSERT_TRUE(
      state.Apply(kClusterType, {NamedCluster("a", "a.test"), NamedCluster("ip", "10.9.9.9")})
          .ok());
  EXPECT_EQ(KeysOf(state, "a"), "no cluster");
  EXPECT_EQ(KeysOf(state, "ip"), "10.9.9.9:80");
  EXPECT_EQ(state.Waiting(), Names{"cluster 'a' waits for the addresses of 'a.test'"});
  ASSERT_EQ(state.Lookups().size(), 1u);
  const dns::Lookup lookup = state.Lookups().begin()->first;
  EXPECT_EQ(lookup.name, "a.test");

  state.SetAddresses(lookup, {});
  EXPECT_EQ(KeysOf(state, "a"), "") << "it failed: in force without endpoints";
  EXPECT_EQ(state.Waiting(), Names{});
  state.SetAddresses(lookup, Ips({"10.0.0.2", "10.0.0.1"}));
  EXPECT_EQ(KeysOf(state, "a"), "10.0.0.1:80,10.0.0.2:80");
}

TEST(ConfigState, TheSameAddressesAreNoNewSnapshot) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {NamedCluster("a", "a.test")}).ok());
  state.SetAddresses({"a.test"}, Ips({"10.0.0.2", "10.0.0.1"}));
  const auto before = state.snapshot();
  state.SetAddresses({"a.test"}, Ips({"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(state.snapshot(), before);
  state.SetAddresses({"a.test"}, Ips({"10.0.0.1"}));
  EXPECT_NE(state.snapshot(), before);
}

TEST(ConfigState, AChangedDnsClusterKeepsTheAddressesOfItsName) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {NamedCluster("a", "a.test")}).ok());
  state.SetAddresses({"a.test"}, Ips({"10.0.0.1"}));
  ASSERT_TRUE(state.Apply(kClusterType, {NamedCluster("a", "a.test", "lb_policy: RANDOM")}).ok());
  EXPECT_EQ(state.snapshot()->FindCluster("a")->balancing, LoadBalancing::kRandom);
  EXPECT_EQ(KeysOf(state, "a"), "10.0.0.1:80");
  // Another name: the old form serves until that one has been asked for.
  ASSERT_TRUE(state.Apply(kClusterType, {NamedCluster("a", "b.test")}).ok());
  EXPECT_EQ(KeysOf(state, "a"), "10.0.0.1:80");
  EXPECT_EQ(state.Lookups().begin()->first.name, "b.test");
  state.SetAddresses({"b.test"}, Ips({"10.0.0.2"}));
  EXPECT_EQ(KeysOf(state, "a"), "10.0.0.2:80");
}

TEST(ConfigState, AddressesThatNoClusterNeedsAreForgotten) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {NamedCluster("a", "a.test")}).ok());
  state.SetAddresses({"a.test"}, Ips({"10.0.0.1"}));
  state.SetAddresses({"stranger.test"}, Ips({"10.0.0.1"}));
  ASSERT_TRUE(state.Apply(kClusterType, {}).ok());
  EXPECT_TRUE(state.Lookups().empty());
  ASSERT_TRUE(state.Apply(kClusterType, {NamedCluster("a", "a.test")}).ok());
  EXPECT_EQ(KeysOf(state, "a"), "no cluster") << "what may be old is resolved anew";
}

TEST(ConfigState, OnlyWhatChangedIsAnotherObject) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Static("a"), Static("b")}).ok());
  auto before = state.snapshot();
  auto changed = Encode<envoy::config::cluster::v3::Cluster>("name: 'b' lb_policy: RANDOM");
  ASSERT_TRUE(state.Apply(kClusterType, {Static("a"), changed}).ok());
  EXPECT_EQ(state.snapshot()->FindCluster("a"), before->FindCluster("a"));
  EXPECT_NE(state.snapshot()->FindCluster("b"), before->FindCluster("b"));
}

TEST(ConfigState, Row69AnInvalidResourceKeepsItsLastGoodVersionAndHoldsUpNoOther) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Static("a"), Static("b")}).ok());
  auto bad = Encode<envoy::config::cluster::v3::Cluster>("name: 'a' connect_timeout {}");
  absl::Status status = state.Apply(kClusterType, {bad, Static("b"), Static("c")});
  EXPECT_EQ(status.message(), "cluster 'a': connect_timeout: must be above 0");
  EXPECT_EQ(state.snapshot()->FindCluster("a")->connect_timeout, absl::Seconds(5));
  EXPECT_NE(state.snapshot()->FindCluster("c"), nullptr);
  EXPECT_FALSE(state.Apply(kClusterType, {bad}).ok()) << "refused again, not forgotten";
  EXPECT_NE(state.snapshot()->FindCluster("a"), nullptr);
}

TEST(ConfigState, Row69BytesThatAreNoMessageTakeNothingAway) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Static("a")}).ok());
  EXPECT_FALSE(state.Apply(kClusterType, {{"x", "\xff\xff\xff"}}).ok());
  EXPECT_NE(state.snapshot()->FindCluster("a"), nullptr);
  EXPECT_FALSE(state.Apply("type.googleapis.com/unknown", {}).ok());
}

TEST(ConfigState, BadEndpointsKeepTheLastGoodOnes) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Eds("a")}).ok());
  ASSERT_TRUE(state.Apply(kEndpointType, {Endpoints("a", "10.0.0.1")}).ok());
  absl::Status status = state.Apply(kEndpointType, {Endpoints("a", "host.name")});
  EXPECT_TRUE(absl::StrContains(
      status.message(),
      "endpoints of 'a': endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: "))
      << status;
  EXPECT_EQ(state.snapshot()->FindCluster("a")->endpoints->endpoints[0].key, "10.0.0.1:80");
}

TEST(ConfigState, Row77AListenerWaitsForItsRoutesAndTheyForTheirClusters) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Eds("a")}).ok());
  ASSERT_TRUE(state.Apply(kListenerType, {HttpListener("l", "80")}).ok());
  EXPECT_EQ(state.RouteNames(), Names{"80"});
  ASSERT_TRUE(state.Apply(kRouteType, {Routes("80", "a")}).ok());
  EXPECT_TRUE(state.snapshot()->listeners.empty());
  EXPECT_EQ(state.Waiting().size(), 3u);
  ASSERT_TRUE(state.Apply(kEndpointType, {Endpoints("a", "10.0.0.1")}).ok());
  EXPECT_EQ(state.snapshot()->listeners.count("l"), 1u);
  EXPECT_EQ(state.snapshot()->listeners_by_address.size(), 1u);
  EXPECT_EQ(state.snapshot()->routes.count("80"), 1u);
}

TEST(ConfigState, Row77TheOldVersionServesWhileTheNewOneWaits) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Static("old"), Eds("new")}).ok());
  ASSERT_TRUE(state.Apply(kListenerType, {HttpListener("l", "80")}).ok());
  ASSERT_TRUE(state.Apply(kRouteType, {Routes("80", "old")}).ok());
  ASSERT_TRUE(state.Apply(kRouteType, {Routes("80", "new")}).ok());
  EXPECT_EQ(state.snapshot()->routes.at("80")->clusters, Names{"old"});
  ASSERT_TRUE(state.Apply(kListenerType, {HttpListener("l", "90")}).ok());
  EXPECT_EQ(state.snapshot()->listeners.at("l")->route_names, Names{"80"});
  EXPECT_EQ(state.snapshot()->routes.count("80"), 1u) << "the listener in force needs it";
  ASSERT_TRUE(state.Apply(kRouteType, {Routes("90", "old")}).ok());
  EXPECT_EQ(state.snapshot()->listeners.at("l")->route_names, Names{"90"});
  EXPECT_EQ(state.snapshot()->routes.count("80"), 0u);
}

TEST(ConfigState, Row77ARemovedClusterStaysUntilNoRouteNeedsIt) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Static("a"), Static("b")}).ok());
  ASSERT_TRUE(state.Apply(kListenerType, {HttpListener("l", "80")}).ok());
  ASSERT_TRUE(state.Apply(kRouteType, {Routes("80", "a")}).ok());
  ASSERT_TRUE(state.Apply(kClusterType, {Static("b")}).ok());
  EXPECT_NE(state.snapshot()->FindCluster("a"), nullptr);
  ASSERT_TRUE(state.Apply(kRouteType, {Routes("80", "b")}).ok());
  EXPECT_EQ(state.snapshot()->FindCluster("a"), nullptr);
}

TEST(ConfigState, ARouteThatStaysDanglingDoesNotKeepARemovedClusterForEver) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Static("a")}).ok());
  ASSERT_TRUE(state.Apply(kListenerType, {TcpListener("l", "a")}).ok());
  ASSERT_TRUE(state.Apply(kClusterType, {Static("b")}).ok());
  EXPECT_NE(state.snapshot()->FindCluster("a"), nullptr);
  ASSERT_TRUE(state.Apply(kClusterType, {Static("b")}).ok());
  EXPECT_EQ(state.snapshot()->FindCluster("a"), nullptr);
  EXPECT_EQ(state.snapshot()->listeners.count("l"), 1u);
}

TEST(ConfigState, ARouteToAClusterThatIsNotKnownHoldsUpNoOther) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kListenerType, {HttpListener("l", "80")}).ok());
  ASSERT_TRUE(state.Apply(kRouteType, {Routes("80", "nobody")}).ok());
  EXPECT_EQ(state.snapshot()->listeners.count("l"), 1u);
}

// A listener whose JWT filter wants the keys of `host`.
EncodedResource JwtListener(const std::string& host, const std::string& more = "") {
  return Encode<envoy::config::listener::v3::Listener>(absl::StrCat(
      R"(name: 'l' address { socket_address { address: '0.0.0.0' port_value: 80 } }
      filter_chains { filters { name: 'hcm' typed_config {
      [type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager] {
        route_config { name: 'r' }
        http_filters { name: 'jwt' typed_config {
          [type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication] {
            providers { key: 'a' value { remote_jwks { http_uri { uri: 'https://)",
      host, "/' cluster: 'keys' timeout { seconds: 1 } } ", more, R"( } } } } } }
        http_filters { name: 'router' typed_config {
          [type.googleapis.com/envoy.extensions.filters.http.router.v3.Router] {} } }
      } } } })"));
}

TEST(ConfigState, Row64AListenerWaitsForTheFirstAttemptToFetchItsKeys) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Static("keys")}).ok());
  ASSERT_TRUE(state.Apply(kListenerType, {JwtListener("a")}).ok());
  EXPECT_EQ(state.Waiting(), Names{"listener 'l' waits for the keys of 'a'"});
  ASSERT_EQ(state.JwksSources().size(), 1u);
  const JwksSource a = state.JwksSources()[0];
  const auto keys = *certs::Jwks::Parse(certs::TestJwtKey("EdDSA").KeySet());
  state.SetJwks(a, keys);
  EXPECT_EQ(state.snapshot()->listeners.count("l"), 1u);
  EXPECT_EQ(state.snapshot()->keys.at(a), keys);

  // Another issuer: the old version serves, with its keys, until it has been asked.
  ASSERT_TRUE(state.Apply(kListenerType, {JwtListener("b")}).ok());
  EXPECT_EQ(state.Waiting(), Names{"listener 'l' waits for the keys of 'b'"});
  EXPECT_EQ(state.snapshot()->listeners.at("l")->jwks_sources[0]->authority, "a");
  EXPECT_EQ(state.snapshot()->keys.count(a), 1u);
  JwksSource b = a;
  b.authority = "b";
  state.SetJwks(b, nullptr);
  EXPECT_EQ(state.snapshot()->listeners.at("l")->jwks_sources[0]->authority, "b");
  EXPECT_TRUE(state.snapshot()->keys.empty());

  // What an attempt gave later stays when a further one fails.
  state.SetJwks(b, keys);
  state.SetJwks(b, nullptr);
  EXPECT_EQ(state.snapshot()->keys.at(b), keys);
}

TEST(ConfigState, AFastListenerDoesNotWaitForKeys) {
  ConfigState state;
  ASSERT_TRUE(
      state.Apply(kListenerType, {JwtListener("a", "async_fetch { fast_listener: true }")}).ok());
  EXPECT_EQ(state.Waiting(), Names{});
  EXPECT_EQ(state.snapshot()->listeners.count("l"), 1u);
}

TEST(ConfigState, TheClusterOfKeysStaysWhileTheyAreFetched) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Static("keys")}).ok());
  ASSERT_TRUE(state.Apply(kListenerType, {JwtListener("a")}).ok());
  state.SetJwks(state.JwksSources()[0], nullptr);
  ASSERT_TRUE(state.Apply(kClusterType, {}).ok());
  EXPECT_NE(state.snapshot()->FindCluster("keys"), nullptr);
  ASSERT_TRUE(state.Apply(kListenerType, {}).ok());
  EXPECT_EQ(state.snapshot()->FindCluster("keys"), nullptr);
}

TEST(ConfigState, ListenersAreAllThereAre) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kListenerType, {TcpListener("l", "a"), TcpListener("m", "a")}).ok());
  ASSERT_TRUE(state.Apply(kListenerType, {TcpListener("m", "a")}).ok());
  EXPECT_EQ(state.snapshot()->listeners.size(), 1u);
}

absl::Status ApplyDelta(ConfigState& state, absl::string_view type,
                        std::vector<EncodedResource> resources, Names removed = {}) {
  ConfigUpdate update;
  update.type_url = type;
  update.resources = resources;
  update.removed = std::move(removed);
  return state.Apply(update);
}

TEST(ConfigState, ADeltaLeavesWhatItDoesNotMention) {
  ConfigState state;
  ASSERT_TRUE(ApplyDelta(state, kClusterType, {Static("a"), Static("b")}).ok());
  ASSERT_TRUE(
      ApplyDelta(state, kListenerType, {TcpListener("l", "a"), TcpListener("m", "b")}).ok());
  ASSERT_TRUE(ApplyDelta(state, kListenerType, {}, {"m", "unknown"}).ok());
  EXPECT_EQ(state.snapshot()->listeners.size(), 1u);
  ASSERT_TRUE(ApplyDelta(state, kClusterType, {Static("c")}, {"a", "b"}).ok());
  EXPECT_NE(state.snapshot()->FindCluster("a"), nullptr);  // still referred to
  EXPECT_EQ(state.snapshot()->FindCluster("b"), nullptr);
  EXPECT_NE(state.snapshot()->FindCluster("c"), nullptr);
  ASSERT_TRUE(ApplyDelta(state, kListenerType, {}, {"l"}).ok());
  EXPECT_EQ(state.snapshot()->FindCluster("a"), nullptr);
  ASSERT_TRUE(ApplyDelta(state, kClusterType, {Static("a")}).ok());
  EXPECT_NE(state.snapshot()->FindCluster("a"), nullptr);
}

TEST(ConfigState, SaysWhatIsNeededOfWhichSource) {
  ConfigState state;
  auto from_file = Encode<envoy::config::cluster::v3::Cluster>(
      "name: 'f' type: EDS eds_cluster_config { eds_config { path_config_source { path: '/e' } } "
      "}");
  ASSERT_TRUE(state.Apply(kClusterType, {Eds("a"), from_file}).ok());
  const auto needed = state.NeededOf(kEndpointType);
  ASSERT_EQ(needed.size(), 2u);
  EXPECT_EQ(needed.begin()->first.kind, ConfigSource::Kind::kAds);
  EXPECT_EQ(needed.begin()->second, std::set<std::string>{"a"});
  EXPECT_EQ(needed.rbegin()->first.path, "/e");
  EXPECT_EQ(needed.rbegin()->second, std::set<std::string>{"f"});
  auto from_nobody = Encode<envoy::config::cluster::v3::Cluster>(
      "name: 'g' type: EDS eds_cluster_config { eds_config { api_config_source { api_type: GRPC "
      "grpc_services { envoy_grpc { cluster_name: 'nobody' } } } } }");
  const absl::Status refused = state.Apply(kClusterType, {from_nobody});
  EXPECT_NE(refused.message().find("names cluster 'nobody'"), std::string::npos)
      << refused.message();
}

TEST(ConfigState, DescribesWhatWasRefused) {
  ConfigState state;
  ConfigUpdate update;
  update.type_url = kClusterType;
  update.version = "7";
  update.full = true;
  EncodedResource bad = Static("s");
  bad.bytes += std::string("\x30\x63", 2);  // lb_policy 99
  bad.name = "s";
  const std::vector<EncodedResource> resources = {bad};
  update.resources = resources;
  ASSERT_FALSE(state.Apply(update).ok());
  const auto described = state.Describe(kClusterType);
  ASSERT_EQ(described.size(), 1u);
  ASSERT_NE(described[0].refused, nullptr);
  EXPECT_EQ(described[0].refused->version, "7");
  EXPECT_NE(described[0].refused->error.find("lb_policy"), std::string::npos);
  EXPECT_EQ(described[0].bytes, nullptr);
}

TEST(ConfigState, StopsWaitingForRoutesWhenTold) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kListenerType, {HttpListener("l", "80")}).ok());
  EXPECT_EQ(state.snapshot()->listeners.count("l"), 0u);
  state.StopWaitingFor(kRouteType, "80");
  EXPECT_EQ(state.snapshot()->listeners.count("l"), 1u);
  EXPECT_EQ(state.Waiting(), Names{});
}

TEST(ConfigState, StopsWaitingForEndpointsWhenTold) {
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Eds("a")}).ok());
  state.StopWaitingFor(kEndpointType, state.EndpointNames()[0]);
  ASSERT_NE(state.snapshot()->FindCluster("a"), nullptr);
  EXPECT_TRUE(state.snapshot()->FindCluster("a")->endpoints->endpoints.empty());
}

TEST(ConfigState, NamesOfTheMesh) {
  ConfigState state;
  auto table = Encode<istio::networking::nds::v1::NameTable>(R"(
      table { key: "A.default.svc.cluster.local" value {
        ips: "240.240.0.1" alt_hosts: "a.default" alt_hosts: "a.default.svc" } })");
  ASSERT_TRUE(state.Apply(kNameTableType, {table}).ok());
  const auto& hosts = state.snapshot()->names->hosts;
  ASSERT_EQ(hosts.count("a.default"), 1u);
  EXPECT_EQ(hosts.at("a.default"), hosts.at("a.default.svc.cluster.local"));
  EXPECT_EQ(hosts.at("a.default")->addresses[0].ip(), "240.240.0.1");
}

// ---- Secrets.

constexpr char kMeshTls[] = R"(
    transport_socket_matches { name: "tlsMode-istio"
      match { fields { key: "tlsMode" value { string_value: "istio" } } }
      transport_socket { name: "tls" typed_config {
        [type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext] {
          sni: "outbound_.80_._.a"
          common_tls_context {
            alpn_protocols: "istio"
            tls_certificate_sds_secret_configs { name: "default" sds_config { ads {} } }
            combined_validation_context {
              default_validation_context { match_typed_subject_alt_names {
                san_type: URI matcher { exact: "spiffe://td/ns/default/sa/a" } } }
              validation_context_sds_secret_config { name: "ROOTCA" sds_config { ads {} } }
            } } } } } }
    transport_socket_matches { name: "tlsMode-disabled" transport_socket { name: "raw" typed_config {
        [type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer] {} } } })";

EncodedResource MixedEndpoints() {
  return Encode<envoy::config::endpoint::v3::ClusterLoadAssignment>(R"(cluster_name: "a" endpoints {
    lb_endpoints { endpoint { address { socket_address { address: "10.0.0.1" port_value: 80 } } }
      metadata {
        filter_metadata { key: "envoy.transport_socket_match" value {
          fields { key: "tlsMode" value { string_value: "istio" } } } }
        filter_metadata { key: "weft" value {
          fields { key: "fanout" value { number_value: 3 } } } } } }
    lb_endpoints { endpoint { address { socket_address { address: "10.0.0.2" port_value: 80 } } } } })");
}

struct Identity {
  std::string roots;
  TlsCertificate certificate;
};

Identity MakeIdentity() {
  certs::Issuer issuer = *certs::Issuer::CreateRoot("td", absl::Now());
  certs::PrivateKey key = certs::PrivateKey::Generate();
  auto chain = *issuer.Issue(key.public_key(), {"td", "default", "a"}, absl::Hours(1), absl::Now());
  return {issuer.root().ToPem(), {absl::StrJoin(chain, ""), key.ToPem()}};
}

EncodedResource RootCa(const std::string& roots) {
  envoy::extensions::transport_sockets::tls::v3::SPIFFECertValidatorConfig spiffe;
  auto* domain = spiffe.add_trust_domains();
  domain->set_name("td");
  domain->mutable_trust_bundle()->set_inline_string(roots);
  envoy::extensions::transport_sockets::tls::v3::Secret secret;
  secret.set_name("ROOTCA");
  auto* validator = secret.mutable_validation_context()->mutable_custom_validator_config();
  validator->set_name("envoy.tls.cert_validator.spiffe");
  validator->mutable_typed_config()->PackFrom(spiffe);
  return {"", secret.SerializeAsString()};
}

TEST(ConfigState, AClusterWaitsForItsSecretsAndFollowsThem) {
  const Identity identity = MakeIdentity();
  ConfigState state;
  ASSERT_TRUE(state.Apply(kClusterType, {Eds("a", kMeshTls), Static("s")}).ok()) << "not a NACK";
  EXPECT_EQ(state.Waiting().size(), 1u);
  EXPECT_TRUE(absl::StrContains(state.Waiting()[0], "secret 'default'")) << state.Waiting()[0];
  state.SetCertificate("default", identity.certificate);
  EXPECT_TRUE(absl::StrContains(state.Waiting()[0], "secret 'ROOTCA'")) << state.Waiting()[0];
  ASSERT_TRUE(state.Apply(kSecretType, {RootCa(identity.roots)}).ok());
  EXPECT_EQ(state.EndpointNames(), Names{"a"});
  ASSERT_TRUE(state.Apply(kEndpointType, {MixedEndpoints()}).ok());
  auto before = state.snapshot();
  const ClusterConfig* cluster = before->FindCluster("a");
  ASSERT_NE(cluster, nullptr);
  const auto& endpoints = cluster->endpoints->endpoints;
  EXPECT_EQ(endpoints[0].key, "10.0.0.1:80/tlsMode-istio");
  ASSERT_NE(endpoints[0].tls, nullptr);
  EXPECT_EQ(endpoints[0].tls->SniFor(""), "outbound_.80_._.a");
  EXPECT_EQ(endpoints[0].fanout, 3u);
  EXPECT_EQ(endpoints[1].key, "10.0.0.2:80/tlsMode-disabled");
  EXPECT_EQ(endpoints[1].tls, nullptr);

  state.SetCertificate("default", MakeIdentity().certificate);
  EXPECT_NE(state.snapshot()->FindCluster("a")->endpoints->endpoints[0].tls, endpoints[0].tls);
  EXPECT_EQ(state.snapshot()->FindCluster("s"), before->FindCluster("s"));
}

TEST(ConfigState, AChangeOfEndpointsKeepsTheTlsContext) {
  const Identity identity = MakeIdentity();
  ConfigState state;
  state.SetCertificate("default", identity.certificate);
  ASSERT_TRUE(state.Apply(kSecretType, {RootCa(identity.roots)}).ok());
  ASSERT_TRUE(state.Apply(kClusterType, {Eds("a", kMeshTls)}).ok());
  ASSERT_TRUE(state.Apply(kEndpointType, {MixedEndpoints()}).ok());
  auto tls = state.snapshot()->FindCluster("a")->transport_sockets[0].tls;
  ASSERT_TRUE(state.Apply(kEndpointType, {Endpoints("a", "10.0.0.9")}).ok());
  EXPECT_EQ(state.snapshot()->FindCluster("a")->transport_sockets[0].tls, tls);
}

TEST(ConfigState, ABadSecretIsRefusedAndTheOldOneServes) {
  const Identity identity = MakeIdentity();
  ConfigState state;
  ASSERT_TRUE(state.Apply(kSecretType, {RootCa(identity.roots)}).ok());
  absl::Status status = state.Apply(kSecretType, {RootCa("garbage")});
  EXPECT_TRUE(absl::StartsWith(status.message(),
                               "secret 'ROOTCA': validation_context.custom_validator_config."
                               "trust_domains[0]"))
      << status;
  state.SetCertificate("default", identity.certificate);
  ASSERT_TRUE(state.Apply(kClusterType, {Eds("a", kMeshTls)}).ok());
  ASSERT_TRUE(state.Apply(kEndpointType, {MixedEndpoints()}).ok());
  EXPECT_NE(state.snapshot()->FindCluster("a"), nullptr);
}

// ---- Static resources.

using envoy::config::bootstrap::v3::Bootstrap;

Bootstrap StaticBootstrap(const std::string& cluster) {
  Bootstrap bootstrap;
  auto* resources = bootstrap.mutable_static_resources();
  resources->add_listeners()->ParseFromString(TcpListener("l", cluster).bytes);
  resources->add_clusters()->ParseFromString(Static("a").bytes);
  return bootstrap;
}

TEST(ConfigState, StaticResourcesTakeEffectAtOnceAndStay) {
  ConfigState state;
  ASSERT_TRUE(state.AddStatic(StaticBootstrap("a")).ok());
  ASSERT_TRUE(state.Apply(kClusterType, {}).ok());
  ASSERT_TRUE(state.Apply(kListenerType, {}).ok());
  EXPECT_EQ(state.snapshot()->listeners.size(), 1u);
  EXPECT_NE(state.snapshot()->FindCluster("a"), nullptr);
}

TEST(ConfigState, AStaticDanglingReferenceIsAnErrorByName) {
  ConfigState state;
  EXPECT_EQ(state.AddStatic(StaticBootstrap("b")).message(),
            "listener 'l' → cluster 'b': not found");
}

}  // namespace
}  // namespace weft
