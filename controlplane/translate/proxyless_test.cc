#include "controlplane/translate/proxyless.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "controlplane/translate/check.h"
#include "controlplane/translate/translate.h"
#include "controlplane/translate/world_builder.h"

namespace weft {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::route::v3::Route;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

constexpr char kTarget[] = "greeter.default.svc.cluster.local:50051";
constexpr char kName[] = "outbound|50051||greeter.default.svc.cluster.local";
constexpr char kV2[] = "outbound|50051|v2|greeter.default.svc.cluster.local";

WorldBuilder Greeter() {
  WorldBuilder builder;
  builder.Service("default", "greeter", {{"grpc", 50051, Protocol::kGrpc}});
  return builder;
}

ProxyView ClientIn(const std::string& name_space, Locality locality = {}) {
  ProxyView view = SidecarIn(name_space, std::move(locality));
  view.role = ProxyRole::kProxyless;
  view.address = "";
  return view;
}

// The routes of the target, with these http routes of a VirtualService.
std::vector<Route> RoutesWith(const std::string& http) {
  WorldBuilder builder = Greeter();
  EXPECT_TRUE(builder
                  .Apply(absl::StrCat(R"(
kind: DestinationRule
metadata: {name: greeter}
spec: {host: greeter, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
kind: VirtualService
metadata: {name: greeter}
spec: {hosts: [greeter], http: [)",
                                      http, "]}\n"))
                  .ok());
  const Resources resources = Translate(builder.world(), ClientIn("default"));
  EXPECT_TRUE(CheckResources(resources).empty());
  const auto host = HostIn(resources, kName, kTarget);
  return {host.routes().begin(), host.routes().end()};
}

TEST(Proxyless, AListenerNamedAsTheTargetLeadsToItsPods) {
  WorldBuilder builder = Greeter();
  builder.Pod("default", "greeter", "v1", {"eu", "eu-1"});
  builder.Pod("default", "greeter", "v2", {"eu", "eu-2"});
  builder.Pod("default", "greeter", "v2", {"eu", "eu-2"});
  builder.Remote("default", "greeter", "v1", 5, {"us", "us-1"});
  const Resources resources = Translate(builder.world(), ClientIn("default", {"eu", "eu-2"}));
  EXPECT_TRUE(CheckResources(resources).empty());

  HttpConnectionManager http;
  ASSERT_TRUE(ListenerIn(resources, kTarget).api_listener().api_listener().UnpackTo(&http));
  EXPECT_EQ(http.rds().route_config_name(), kName);
  EXPECT_TRUE(http.rds().config_source().has_ads());
  ASSERT_EQ(http.http_filters_size(), 1);
  EXPECT_EQ(http.http_filters(0).name(), "envoy.filters.http.router");

  const auto host = HostIn(resources, kName, kTarget);
  ASSERT_EQ(host.routes_size(), 1);
  EXPECT_EQ(host.routes(0).route().cluster(), kName);
  EXPECT_EQ(host.routes(0).route().retry_policy().retry_on(), "unavailable,cancelled");

  const Cluster cluster = ClusterIn(resources, kName);
  EXPECT_EQ(cluster.type(), Cluster::EDS);
  EXPECT_EQ(cluster.lb_policy(), Cluster::ROUND_ROBIN) << "LEAST_REQUEST is refused";
  EXPECT_TRUE(cluster.eds_cluster_config().eds_config().has_ads());
  EXPECT_TRUE(cluster.lrs_server().has_self());
  EXPECT_FALSE(cluster.has_transport_socket()) << "no SDS at these clients";
  EXPECT_EQ(cluster.transport_socket_matches_size(), 0);

  const auto assignment = AssignmentIn(resources, kName);
  ASSERT_EQ(assignment.endpoints_size(), 2) << "pods of this cluster only";
  EXPECT_EQ(assignment.endpoints(0).locality().zone(), "eu-2") << "nearest first";
  EXPECT_EQ(assignment.endpoints(0).load_balancing_weight().value(), 2u);
  EXPECT_EQ(assignment.endpoints(0).priority(), 0u);
  EXPECT_EQ(assignment.endpoints(1).priority(), 1u);
  EXPECT_FALSE(assignment.endpoints(0).lb_endpoints(0).has_metadata());
}

TEST(Proxyless, NoEndpointsIsALocalityWithoutAny) {
  const Resources resources = Translate(Greeter().world(), ClientIn("default"));
  const auto assignment = AssignmentIn(resources, kName);
  ASSERT_EQ(assignment.endpoints_size(), 1);
  EXPECT_EQ(assignment.endpoints(0).lb_endpoints_size(), 0);
  EXPECT_EQ(assignment.endpoints(0).load_balancing_weight().value(), 1u);
}

TEST(Proxyless, FollowsWeightsAndHeaderRoutes) {
  const auto routes = RoutesWith(R"(
    {match: [{headers: {x-version: {exact: two}}}], route: [{destination: {host: greeter, subset: v2}}]},
    {route: [{destination: {host: greeter, subset: v1}, weight: 90},
             {destination: {host: greeter, subset: v2}, weight: 10}], timeout: 3s})");
  ASSERT_EQ(routes.size(), 2u);
  // In a field that gRPC 1.51 knows.
  EXPECT_EQ(routes[0].match().headers(0).ShortDebugString(),
            "name: \"x-version\" exact_match: \"two\"");
  EXPECT_EQ(routes[0].route().cluster(), kV2);
  const auto& shares = routes[1].route().weighted_clusters();
  ASSERT_EQ(shares.clusters_size(), 2);
  EXPECT_EQ(shares.clusters(0).weight().value(), 90u);
  EXPECT_EQ(shares.clusters(1).name(), kV2);
  EXPECT_EQ(routes[1].route().max_stream_duration().max_stream_duration().seconds(), 3);
}

// What gRPC refuses, or would read as something else.
TEST(Proxyless, LeavesOutWhatItsClientsRefuse) {
  const std::string to = "route: [{destination: {host: greeter}}]";
  struct Case {
    std::string http;
    size_t routes;
    bool retries;
  } cases[] = {
      {absl::StrCat("{retries: {attempts: 0}, ", to, "}"), 1, false},
      {absl::StrCat("{retries: {attempts: 3, retryOn: '503,gateway-error'}, ", to, "}"), 1, false},
      {absl::StrCat("{retries: {attempts: 3, retryOn: 'internal,5xx'}, ", to, "}"), 1, true},
      {absl::StrCat("{match: [{method: {exact: POST}}], ", to, "}"), 1, true},
      {absl::StrCat("{match: [{method: {exact: GET}}], ", to, "}"), 1, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.http);
    const auto routes = RoutesWith(c.http);
    ASSERT_EQ(routes.size(), c.routes);
    EXPECT_EQ(routes[0].match().headers_size(), 0);
    EXPECT_EQ(routes[0].route().has_retry_policy(), c.retries);
    if (c.retries) EXPECT_GT(routes[0].route().retry_policy().num_retries().value(), 0u);
    EXPECT_EQ(routes[0].route().retry_policy().retry_host_predicate_size(), 0);
  }
}

TEST(Proxyless, ADirectResponseIsNotForwarded) {
  const auto routes = RoutesWith("{directResponse: {status: 418}}");
  ASSERT_EQ(routes.size(), 1u);
  EXPECT_TRUE(routes[0].has_direct_response());
}

TEST(Proxyless, AShareThatLeadsNowhereHasAClusterWithoutEndpoints) {
  const auto routes = RoutesWith(R"(
    {route: [{destination: {host: greeter, subset: v1}, weight: 50},
             {destination: {host: nobody}, weight: 50}]})");
  ASSERT_EQ(routes.size(), 1u);
  EXPECT_EQ(routes[0].route().weighted_clusters().clusters(1).name(), "BlackHoleCluster");
  EXPECT_EQ(ClusterIn(Translate(Greeter().world(), ClientIn("default")), "BlackHoleCluster").type(),
            Cluster::EDS);
}

TEST(Proxyless, ReadsOfADestinationRuleWhatItsClientsCanDo) {
  WorldBuilder builder = Greeter();
  ASSERT_TRUE(builder
                  .Apply(R"(
kind: DestinationRule
metadata: {name: greeter}
spec:
  host: greeter
  trafficPolicy:
    connectionPool: {http: {http2MaxRequests: 7}}
    loadBalancer: {consistentHash: {httpHeaderName: x-user}}
)")
                  .ok());
  const Resources resources = Translate(builder.world(), ClientIn("default"));
  const Cluster cluster = ClusterIn(resources, kName);
  EXPECT_EQ(cluster.lb_policy(), Cluster::RING_HASH);
  EXPECT_EQ(cluster.circuit_breakers().thresholds(0).max_requests().value(), 7u);
  const auto action = HostIn(resources, kName, kTarget).routes(0).route();
  ASSERT_EQ(action.hash_policy_size(), 1);
  EXPECT_EQ(action.hash_policy(0).header().header_name(), "x-user");
}

}  // namespace
}  // namespace weft
