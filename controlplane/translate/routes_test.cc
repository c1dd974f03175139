#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controlplane/translate/check.h"
#include "controlplane/translate/translate.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using envoy::config::route::v3::RedirectAction;
using envoy::config::route::v3::Route;

constexpr char kReviews[] = "reviews.default.svc.cluster.local";

WorldBuilder Reviews() {
  WorldBuilder builder;
  builder.Service("default", "reviews", {{"http", 9080, Protocol::kHttp}});
  builder.Service("default", "ratings", {{"http", 9080, Protocol::kHttp}});
  builder.Service("prod", "other",
                  {{"http", 80, Protocol::kHttp}, {"http-b", 8080, Protocol::kHttp}});
  builder.Pod("default", "reviews", "v1").Pod("default", "reviews", "v2");
  EXPECT_TRUE(builder
                  .Apply(R"(
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
)")
                  .ok());
  return builder;
}

// The routes of reviews:9080 with this under `http:`, one list item.
std::vector<Route> RoutesWith(const std::string& http, ProxyView view = SidecarIn("default")) {
  WorldBuilder builder = Reviews();
  absl::Status status = builder.Apply(absl::StrCat(
      "kind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [reviews]\n  http: ", http));
  EXPECT_TRUE(status.ok()) << status;
  Resources resources = Translate(builder.world(), view);
  EXPECT_EQ(CheckResources(resources), std::vector<std::string>());
  auto host = HostIn(resources, "9080", kReviews);
  return {host.routes().begin(), host.routes().end()};
}

Route OnlyRouteWith(const std::string& http) {
  std::vector<Route> routes = RoutesWith(http);
  EXPECT_EQ(routes.size(), 1u);
  return routes.empty() ? Route() : routes.front();
}

TEST(Routes, WithoutAVirtualServiceGoToTheService) {
  Resources resources = Translate(Reviews().world(), SidecarIn("default"));
  auto host = HostIn(resources, "9080", "reviews:9080");
  EXPECT_EQ(host.name(), "reviews.default.svc.cluster.local:9080");
  ASSERT_EQ(host.routes_size(), 1);
  const Route& route = host.routes(0);
  EXPECT_EQ(route.name(), "default");
  EXPECT_EQ(route.route().cluster(), "outbound|9080||reviews.default.svc.cluster.local");
  EXPECT_TRUE(route.route().has_timeout());
  EXPECT_EQ(route.route().timeout().seconds(), 0);
  const auto& retry = route.route().retry_policy();
  EXPECT_EQ(retry.num_retries().value(), 2u);
  EXPECT_EQ(retry.retry_on(),
            "connect-failure,refused-stream,unavailable,cancelled,reset-before-request,"
            "retriable-status-codes");
  EXPECT_EQ(retry.retriable_status_codes(0), 503u);
}

TEST(Routes, ServicesAreKnownByTheNamesOfTheClientsNamespace) {
  const std::vector<std::string> everywhere = {kReviews,
                                               "reviews.default.svc.cluster.local:9080",
                                               "reviews.default",
                                               "10.96.0.1",
                                               "reviews.default:9080",
                                               "reviews.default.svc",
                                               "10.96.0.1:9080"};
  for (std::string name_space : {"default", "prod"}) {
    SCOPED_TRACE(name_space);
    Resources resources = Translate(Reviews().world(), SidecarIn(name_space));
    for (const std::string& name : everywhere) {
      EXPECT_EQ(HostIn(resources, "9080", name).name(), absl::StrCat(kReviews, ":9080"));
    }
    bool short_name = false;
    const auto routes = RoutesIn(resources, "9080");
    for (const auto& host : routes.virtual_hosts()) {
      for (const auto& domain : host.domains()) short_name |= domain == "reviews";
    }
    EXPECT_EQ(short_name, name_space == "default");
    EXPECT_EQ(routes.virtual_hosts().rbegin()->name(), "allow_any");
  }
}

TEST(Routes, WeightsAreShares) {
  Route route = OnlyRouteWith(R"([{route: [
    {destination: {host: reviews, subset: v1}, weight: 80},
    {destination: {host: reviews, subset: v2}, weight: 20},
    {destination: {host: ratings}, weight: 0}]}])");
  const auto& shares = route.route().weighted_clusters().clusters();
  ASSERT_EQ(shares.size(), 2);
  EXPECT_EQ(shares[0].name(), absl::StrCat("outbound|9080|v1|", kReviews));
  EXPECT_EQ(shares[0].weight().value(), 80u);
  EXPECT_EQ(shares[1].weight().value(), 20u);
}

TEST(Routes, SharesAreEqualWithoutWeights) {
  Route route = OnlyRouteWith(
      "[{route: [{destination: {host: reviews, subset: v1}}, {destination: {host: ratings}}]}]");
  const auto& shares = route.route().weighted_clusters().clusters();
  ASSERT_EQ(shares.size(), 2);
  EXPECT_EQ(shares[0].weight().value(), shares[1].weight().value());
}

TEST(Routes, RewriteAndHeaders) {
  Route route = OnlyRouteWith(R"([{
    name: all,
    match: [{name: api, uri: {prefix: /api}}],
    rewrite: {uri: /, authority: new.example},
    headers: {request: {set: {x-b: b, x-a: a}, remove: [x-c]}, response: {add: {x-d: d}}},
    route: [{destination: {host: ratings}, headers: {request: {add: {x-e: e}}}}]}])");
  EXPECT_EQ(route.name(), "all.api");
  EXPECT_EQ(route.match().prefix(), "/api");
  EXPECT_EQ(route.route().prefix_rewrite(), "/");
  EXPECT_EQ(route.route().host_rewrite_literal(), "new.example");
  ASSERT_EQ(route.request_headers_to_add_size(), 3);
  EXPECT_EQ(route.request_headers_to_add(0).header().key(), "x-a");
  EXPECT_EQ(route.request_headers_to_add(0).append_action(),
            envoy::config::core::v3::HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD);
  EXPECT_EQ(route.request_headers_to_add(2).header().key(), "x-e");
  EXPECT_EQ(route.request_headers_to_add(2).append_action(),
            envoy::config::core::v3::HeaderValueOption::APPEND_IF_EXISTS_OR_ADD);
  EXPECT_EQ(route.request_headers_to_remove(0), "x-c");
  EXPECT_EQ(route.response_headers_to_add(0).header().key(), "x-d");
}

TEST(Routes, RegexRewrite) {
  Route route = OnlyRouteWith(
      R"y([{rewrite: {uriRegexRewrite: {match: "/a/(.*)", rewrite: "/b/\\1"}},
            route: [{destination: {host: ratings}}]}])y");
  EXPECT_EQ(route.route().regex_rewrite().pattern().regex(), "/a/(.*)");
  EXPECT_EQ(route.route().regex_rewrite().substitution(), "/b/\\1");
}

TEST(Routes, Redirect) {
  Route route =
      OnlyRouteWith("[{redirect: {uri: /x, authority: new.example, port: 8443, scheme: https}}]");
  EXPECT_EQ(route.redirect().path_redirect(), "/x");
  EXPECT_EQ(route.redirect().host_redirect(), "new.example");
  EXPECT_EQ(route.redirect().port_redirect(), 8443u);
  EXPECT_EQ(route.redirect().scheme_redirect(), "https");
  EXPECT_EQ(route.redirect().response_code(), RedirectAction::MOVED_PERMANENTLY);
  EXPECT_EQ(OnlyRouteWith("[{redirect: {uri: /x, redirectCode: 307}}]").redirect().response_code(),
            RedirectAction::TEMPORARY_REDIRECT);
}

TEST(Routes, DirectResponse) {
  Route route = OnlyRouteWith("[{directResponse: {status: 418, body: {string: tea}}}]");
  EXPECT_EQ(route.direct_response().status(), 418u);
  EXPECT_EQ(route.direct_response().body().inline_string(), "tea");
}

TEST(Routes, TimeoutAndRetries) {
  Route route = OnlyRouteWith(R"([{timeout: 1.5s,
    retries: {attempts: 4, perTryTimeout: 250ms, retryOn: "5xx,429", backoff: 10ms},
    route: [{destination: {host: ratings}}]}])");
  EXPECT_EQ(route.route().timeout().seconds(), 1);
  EXPECT_EQ(route.route().timeout().nanos(), 500'000'000);
  const auto& retry = route.route().retry_policy();
  EXPECT_EQ(retry.num_retries().value(), 4u);
  EXPECT_EQ(retry.per_try_timeout().nanos(), 250'000'000);
  EXPECT_EQ(retry.retry_on(), "5xx,retriable-status-codes");
  EXPECT_EQ(retry.retriable_status_codes(0), 429u);
  EXPECT_EQ(retry.retry_back_off().base_interval().nanos(), 10'000'000);
  EXPECT_FALSE(OnlyRouteWith("[{retries: {attempts: 0}, route: [{destination: {host: ratings}}]}]")
                   .route()
                   .has_retry_policy());
}

TEST(Routes, MatchesOnTheRequest) {
  std::vector<Route> routes = RoutesWith(R"([
    {match: [{uri: {exact: /Login}, ignoreUriCase: true, method: {exact: POST},
              headers: {cookie: {regex: "a.*"}, x-there: {}},
              withoutHeaders: {x-not: {exact: b}}, queryParams: {q: {prefix: c}}},
             {uri: {regex: "/v[0-9]+"}}],
     route: [{destination: {host: ratings}}]},
    {route: [{destination: {host: reviews}}]},
    {match: [{uri: {exact: /never}}], route: [{destination: {host: ratings}}]}])");
  ASSERT_EQ(routes.size(), 3u);  // two alternatives and the one for all; nothing behind that
  const auto& match = routes[0].match();
  EXPECT_EQ(match.path(), "/Login");
  EXPECT_FALSE(match.case_sensitive().value());
  ASSERT_EQ(match.headers_size(), 4);
  EXPECT_EQ(match.headers(0).name(), ":method");
  EXPECT_EQ(match.headers(0).string_match().exact(), "POST");
  EXPECT_EQ(match.headers(1).string_match().safe_regex().regex(), "a.*");
  EXPECT_TRUE(match.headers(2).present_match());
  EXPECT_TRUE(match.headers(3).invert_match());
  EXPECT_TRUE(match.headers(3).treat_missing_header_as_empty());
  EXPECT_EQ(match.query_parameters(0).string_match().prefix(), "c");
  EXPECT_EQ(routes[1].match().safe_regex().regex(), "/v[0-9]+");
  EXPECT_EQ(routes[2].match().prefix(), "/");
}

TEST(Routes, MatchesOnTheClientAreDecidedHere) {
  ProxyView labelled = SidecarIn("default");
  labelled.labels = {{"app", "web"}, {"version", "v1"}};
  struct Case {
    const char* match;
    ProxyView view;
    bool holds;
  } cases[] = {
      {"{port: 9080}", SidecarIn("default"), true},
      {"{port: 80}", SidecarIn("default"), false},
      {"{sourceNamespace: default}", SidecarIn("default"), true},
      {"{sourceNamespace: default}", SidecarIn("prod"), false},
      {"{sourceLabels: {app: web}}", labelled, true},
      {"{sourceLabels: {app: web}}", SidecarIn("default"), false},
      {"{gateways: [mesh]}", SidecarIn("default"), true},
      {"{gateways: [ingress]}", SidecarIn("default"), false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.match);
    std::vector<Route> routes = RoutesWith(
        absl::StrCat("[{match: [", c.match, "], route: [{destination: {host: ratings}}]},",
                     "{name: rest, route: [{destination: {host: reviews}}]}]"),
        c.view);
    ASSERT_EQ(routes.size(), 1u);
    EXPECT_EQ(routes.front().name(), c.holds ? "default" : "rest");
  }
}

TEST(Routes, DanglingDestinationAnswers503AndNamesWhatIsMissing) {
  struct Case {
    const char* destination;
    const char* missing;
  } cases[] = {
      {"{host: reviews, subset: v9}", "subset 'v9'"},
      {"{host: nowhere}", "host 'nowhere'"},
      {"{host: reviews, port: {number: 81}}", "no port 81"},
      {"{host: other.prod.svc.cluster.local}", "state destination.port"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.destination);
    Route route = OnlyRouteWith(absl::StrCat("[{route: [{destination: ", c.destination, "}]}]"));
    EXPECT_EQ(route.direct_response().status(), 503u);
    EXPECT_NE(route.direct_response().body().inline_string().find(c.missing), std::string::npos)
        << route.direct_response().body().inline_string();
  }
}

TEST(Routes, DanglingShareLeavesTheOthersAsTheyAre) {
  Route route = OnlyRouteWith(R"([{route: [
    {destination: {host: reviews, subset: v1}, weight: 70},
    {destination: {host: reviews, subset: v9}, weight: 30}]}])");
  const auto& shares = route.route().weighted_clusters().clusters();
  ASSERT_EQ(shares.size(), 2);
  EXPECT_EQ(shares[0].weight().value(), 70u);
  EXPECT_EQ(shares[1].name(), "BlackHoleCluster");
}

TEST(Routes, OneVirtualServicePerHostTheFirstThatTheClientSees) {
  struct Case {
    const char* name;
    const char* yaml;
    const char* route;  // its name; "default" is the service's own
  } cases[] = {
      {"by name",
       "{name: b}|{hosts: [reviews], http: [{name: b, redirect: {uri: /}}]}|"
       "{name: a}|{hosts: [reviews], http: [{name: a, redirect: {uri: /}}]}",
       "a"},
      {"exact before wildcard",
       "{name: a}|{hosts: ['*'], http: [{name: a, redirect: {uri: /}}]}|"
       "{name: b}|{hosts: [reviews.default.svc.cluster.local], "
       "http: [{name: b, redirect: {uri: /}}]}",
       "b"},
      {"wildcard",
       "{name: a}|{hosts: ['*.default.svc.cluster.local'], "
       "http: [{name: a, redirect: {uri: /}}]}",
       "a"},
      {"hidden",
       "{name: a, namespace: prod}|{hosts: [reviews.default.svc.cluster.local], "
       "exportTo: ['.'], http: [{name: a, redirect: {uri: /}}]}",
       "default"},
      {"exported",
       "{name: a, namespace: prod}|{hosts: [reviews.default.svc.cluster.local], "
       "exportTo: [default], http: [{name: a, redirect: {uri: /}}]}",
       "a"},
      {"for a gateway",
       "{name: a}|{hosts: [reviews], gateways: [ingress], "
       "http: [{name: a, redirect: {uri: /}}]}",
       "default"},
      {"another namespace's short name",
       "{name: a, namespace: prod}|{hosts: [reviews], http: [{name: a, redirect: {uri: /}}]}",
       "default"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    WorldBuilder builder = Reviews();
    std::vector<std::string> parts(1);
    for (char ch : std::string(c.yaml)) {
      if (ch == '|') {
        parts.emplace_back();
      } else {
        parts.back() += ch;
      }
    }
    for (size_t i = 0; i + 1 < parts.size(); i += 2) {
      absl::Status status = builder.Apply(
          absl::StrCat("kind: VirtualService\nmetadata: ", parts[i], "\nspec: ", parts[i + 1]));
      ASSERT_TRUE(status.ok()) << status;
    }
    Resources resources = Translate(builder.world(), SidecarIn("default"));
    EXPECT_EQ(HostIn(resources, "9080", "reviews").routes(0).name(), c.route);
  }
}

TEST(Routes, ConsistentHashIsPartOfTheRoute) {
  WorldBuilder builder = Reviews();
  ASSERT_TRUE(builder
                  .Apply(R"(
kind: DestinationRule
metadata: {name: ratings}
spec:
  host: ratings
  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}
)")
                  .ok());
  Resources resources = Translate(builder.world(), SidecarIn("default"));
  EXPECT_EQ(
      HostIn(resources, "9080", "ratings").routes(0).route().hash_policy(0).header().header_name(),
      "x-user");
  EXPECT_EQ(ClusterIn(resources, "outbound|9080||ratings.default.svc.cluster.local").lb_policy(),
            envoy::config::cluster::v3::Cluster::RING_HASH);
}

}  // namespace
}  // namespace weft
