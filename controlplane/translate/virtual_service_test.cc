// Each field of a VirtualService, from YAML through Translate and the proxy's compiler to what the
// proxy decides.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "controlplane/model/references.h"
#include "controlplane/translate/run_sidecar.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr char kReviews[] = "outbound|9080||reviews.default.svc.cluster.local";
constexpr char kRatings[] = "outbound|9080||ratings.default.svc.cluster.local";
constexpr char kV1[] = "outbound|9080|v1|reviews.default.svc.cluster.local";
constexpr char kV2[] = "outbound|9080|v2|reviews.default.svc.cluster.local";

// reviews (10.96.0.1) with subsets v1 and v2, ratings (10.96.0.2), a database that speaks TLS or
// bytes (10.96.0.3), and gRPC.
WorldBuilder Shop() {
  WorldBuilder builder;
  builder.Service("default", "reviews", {{"http", 9080, Protocol::kHttp}});
  builder.Service("default", "ratings", {{"http", 9080, Protocol::kHttp}});
  builder.Service("default", "db", {{"tls", 443, Protocol::kTls}, {"tcp", 3306, Protocol::kTcp}});
  builder.Service("default", "greeter", {{"grpc", 50051, Protocol::kGrpc}});
  builder.Service("default", "web", {{"http", 80, Protocol::kHttp}});
  builder.Pod("default", "reviews", "v1").Pod("default", "reviews", "v2");
  builder.Pod("default", "ratings", "v1").Pod("default", "db", "v1");
  builder.Pod("default", "greeter", "v1").Pod("default", "web", "v1");
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

// Names that rows use: $v1 and the like for clusters; @ for a route to ratings.
std::string Expanded(const std::string& text) {
  return absl::StrReplaceAll(text, {{"$reviews", kReviews},
                                    {"$ratings", kRatings},
                                    {"$v1", kV1},
                                    {"$v2", kV2},
                                    {"@", "route: [{destination: {host: ratings}}]"}});
}

void ApplyAll(const std::vector<std::string>& objects, WorldBuilder& builder) {
  for (const std::string& object : objects) {
    const absl::Status status = builder.Apply(Expanded(object));
    ASSERT_TRUE(status.ok()) << status << "\n" << object;
  }
}

std::string VirtualServiceOf(const std::string& spec) {
  return absl::StrCat("kind: VirtualService\nmetadata: {name: a}\nspec: ", spec, "\n");
}

// What is said of a request to reviews:9080 where its VirtualService has this under `http:`.
std::string With(const std::string& http, const Request& request,
                 ProxyView view = SidecarIn("default")) {
  WorldBuilder builder = Shop();
  ApplyAll({VirtualServiceOf(absl::StrCat("{hosts: [reviews], http: ", http, "}"))}, builder);
  return RunSidecar(builder.world(), view)->Outcome(9080, request);
}

testing::AssertionResult Says(const std::string& actual, const std::string& expected) {
  const std::string words = absl::StrCat(" ", Expanded(expected), " ");
  if (absl::StrContains(absl::StrCat(" ", actual, " "), words)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "no '" << words << "' in: " << actual;
}

Request To(const std::string& path, std::vector<std::pair<std::string, std::string>> headers = {},
           const std::string& method = "GET") {
  return {"reviews", path, method, std::move(headers)};
}

TEST(VirtualService, MatchesOfARequest) {
  // Each row: a condition for a route to ratings, all else to the service itself.
  struct Row {
    const char* match;
    Request request;
    bool fits;
  } rows[] = {
      {"{uri: {exact: /a}}", To("/a?q=1"), true},
      {"{uri: {exact: /a}}", To("/ab"), false},
      {"{uri: {prefix: /a}}", To("/ab"), true},
      {"{uri: {regex: '/v[0-9]'}}", To("/v1"), true},
      {"{uri: {regex: '/v[0-9]'}}", To("/v1/x"), false},
      {"{uri: {prefix: /A}, ignoreUriCase: true}", To("/ab"), true},
      {"{uri: {prefix: /A}}", To("/ab"), false},
      {"{method: {exact: POST}}", To("/", {}, "POST"), true},
      {"{method: {exact: POST}}", To("/"), false},
      {"{scheme: {exact: http}}", To("/"), true},
      {"{scheme: {exact: https}}", To("/"), false},
      {"{authority: {prefix: rev}}", To("/"), true},
      {"{authority: {exact: other}}", To("/"), false},
      {"{headers: {x-a: {exact: '1'}}}", To("/", {{"x-a", "1"}}), true},
      {"{headers: {x-a: {exact: '1'}}}", To("/", {{"x-a", "2"}}), false},
      {"{headers: {x-a: {prefix: b}}}", To("/", {{"x-a", "bc"}}), true},
      {"{headers: {x-a: {regex: 'b+'}}}", To("/", {{"x-a", "bb"}}), true},
      {"{headers: {x-a: {regex: '*'}}}", To("/", {{"x-a", "z"}}), true},
      {"{headers: {x-a: {}}}", To("/"), false},
      {"{withoutHeaders: {x-a: {}}}", To("/"), true},
      {"{withoutHeaders: {x-a: {exact: '1'}}}", To("/", {{"x-a", "1"}}), false},
      {"{withoutHeaders: {x-a: {exact: '1'}}}", To("/", {{"x-a", "2"}}), true},
      {"{queryParams: {q: {exact: '1'}}}", To("/?q=1"), true},
      {"{queryParams: {q: {exact: '1'}}}", To("/?q=2"), false},
      {"{queryParams: {q: {regex: '[0-9]'}}}", To("/?q=2"), true},
      {"{port: 9080}", To("/"), true},
      {"{port: 80}", To("/"), false},
      {"{gateways: [mesh]}", To("/"), true},
      {"{gateways: [ingress]}", To("/"), false},
      {"{sourceNamespace: default}", To("/"), true},
      {"{sourceNamespace: prod}", To("/"), false},
      {"{sourceLabels: {app: web}}", To("/"), true},
      {"{sourceLabels: {app: other}}", To("/"), false},
  };
  ProxyView view = SidecarIn("default");
  view.labels = {{"app", "web"}};
  for (const Row& row : rows) {
    const std::string http = absl::StrCat("[{match: [", row.match, "], @}, ",
                                          "{route: [{destination: {host: reviews}}]}]");
    EXPECT_TRUE(Says(With(http, row.request, view),
                     absl::StrCat("cluster=", row.fits ? "$ratings" : "$reviews")))
        << row.match;
  }
}

TEST(VirtualService, WhatARouteSays) {
  struct Row {
    const char* route;
    const char* expected;
  } rows[] = {
      {"{name: n, @}", "route=n cluster=$ratings"},
      {"{route: [{destination: {host: reviews, subset: v2}}]}", "cluster=$v2"},
      {"{route: [{destination: {host: ratings, port: {number: 9080}}}]}", "cluster=$ratings"},
      {"{route: [{destination: {host: reviews, subset: v1}, weight: 75}, "
       "{destination: {host: reviews, subset: v2}, weight: 25}]}",
       "clusters=75*$v1,25*$v2"},
      {"{redirect: {uri: /b, authority: c, scheme: https, port: 8443, redirectCode: 308}}",
       "redirect=308 to=https://c:8443/b"},
      {"{redirect: {prefixRewrite: /b}}", "redirect=301 to=://:0/b"},
      {"{redirect: {authority: c, derivePort: FROM_REQUEST_PORT}}", "to=://c:9080"},
      {"{directResponse: {status: 418, body: {string: tea}}}", "direct=418 body=tea"},
      {"{timeout: 5s, @}", "timeout=5s"},
      {"{rewrite: {uri: /b}, @}", "prefix_rewrite=/b"},
      {"{rewrite: {authority: c}, @}", "host=c"},
      {"{rewrite: {uriRegexRewrite: {match: '/a/(.*)', rewrite: '/\\1'}}, @}", "regex_rewrite"},
      {"{retries: {attempts: 4}, @}", "retries=4"},
      {"{retries: {attempts: 0}, @}", "retries=0"},
      {"{retries: {attempts: 1, perTryTimeout: 2s}, @}", "per_try=2s"},
      {"{retries: {attempts: 1, retryOn: '5xx,429'}, @}", "retry_codes=429 retry_5xx"},
      {"{retries: {attempts: 1, backoff: 7ms}, @}", "backoff=7ms"},
      {"{retries: {attempts: 1, retryRemoteLocalities: true}, @}", "retries=1"},
      {"{retries: {attempts: 1, retryIgnorePreviousHosts: false}, @}", "retries=1"},
      {"{mirror: {host: reviews}, @}", "mirror=100%*$reviews"},
      {"{mirror: {host: reviews}, mirrorPercentage: {value: 12.5}, @}", "mirror=12.5%*$reviews"},
      {"{mirror: {host: reviews}, mirrorPercent: 10, @}", "mirror=10%*$reviews"},
      {"{mirrors: [{destination: {host: reviews}, percentage: {value: 5}}, "
       "{destination: {host: reviews, subset: v1}}], @}",
       "mirror=5%*$reviews mirror=100%*$v1"},
      {"{headers: {request: {set: {x-a: b}}}, @}", "request.set.x-a=b"},
      {"{headers: {request: {add: {x-a: b}}}, @}", "request.add.x-a=b"},
      {"{headers: {request: {remove: [x-a]}}, @}", "request.remove=x-a"},
      {"{headers: {request: {set: {Host: c}}}, @}", "host=c"},
      {"{headers: {response: {set: {x-a: b}, remove: [x-c]}}, @}",
       "response.set.x-a=b response.remove=x-c"},
      {"{route: [{destination: {host: reviews, subset: v1}, weight: 50, headers: {request: {set: "
       "{x-a: b}}}}, {destination: {host: ratings}, weight: 50}]}",
       "share.request.set.x-a=b"},
      {"{fault: {delay: {fixedDelay: 5s, percentage: {value: 0.1}}}, @}", "delay=0.1%*5s"},
      {"{fault: {delay: {fixedDelay: 5s, percent: 20}}, @}", "delay=20%*5s"},
      {"{fault: {abort: {httpStatus: 503, percentage: {value: 100}}}, @}", "abort=100%*503"},
      {"{fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 50}}}, @}",
       "abort=50%*grpc 14"},
      {"{corsPolicy: {allowOrigins: [{exact: 'http://a'}, {prefix: 'http://b'}]}, @}",
       "origin=http://a origin=http://b"},
      {"{corsPolicy: {allowOrigin: ['http://a']}, @}", "origin=http://a"},
      {"{corsPolicy: {allowMethods: [GET, PUT], allowHeaders: [x-a], exposeHeaders: [x-b], "
       "maxAge: 24h, allowCredentials: true}, @}",
       "allow_methods=GET,PUT allow_headers=x-a expose_headers=x-b max_age=86400 credentials"},
      {"{corsPolicy: {unmatchedPreflights: IGNORE}, @}", "forward_preflights=no"},
  };
  for (const Row& row : rows) {
    EXPECT_TRUE(Says(With(absl::StrCat("[", row.route, "]"), To("/a/b")), row.expected))
        << row.route;
  }
}

TEST(VirtualService, WithoutAFaultNothingIsInjected) {
  const std::string outcome =
      With("[{fault: {abort: {httpStatus: 503}, delay: {fixedDelay: 1s}}, @}]", To("/"));
  EXPECT_FALSE(absl::StrContains(outcome, "abort")) << outcome;
  EXPECT_FALSE(absl::StrContains(outcome, "delay")) << outcome;
}

TEST(VirtualService, AGrpcDeadlineEndsTheRequestNoLaterThanItsTimeout) {
  struct Row {
    const char* timeout;
    const char* header;
    const char* expected;
  } rows[] = {
      {"0s", "1S", "max_stream=1s"},
      {"5s", "1S", "timeout=5s max_stream=1s"},
      {"5s", "10S", "timeout=5s max_stream=5s"},
  };
  for (const Row& row : rows) {
    WorldBuilder builder = Shop();
    ApplyAll({VirtualServiceOf(absl::StrCat("{hosts: [greeter], http: [{timeout: ", row.timeout,
                                            ", route: [{destination: {host: greeter}}]}]}"))},
             builder);
    const Request request{"greeter:50051",
                          "/hello.Greeter/SayHello",
                          "POST",
                          {{"content-type", "application/grpc"}, {"grpc-timeout", row.header}}};
    EXPECT_TRUE(Says(RunSidecar(builder.world(), SidecarIn("default"))->Outcome(50051, request),
                     row.expected))
        << row.header;
  }
}

TEST(VirtualService, ConnectionsByServerNameAndAddress) {
  constexpr char kDb[] = "outbound|443||db.default.svc.cluster.local";
  constexpr char kReviewsTls[] = "cluster=outbound|9080||reviews.default.svc.cluster.local";
  struct Row {
    const char* spec;  // of a VirtualService for db
    uint16_t port;
    const char* server_name;
    std::string expected;
  } rows[] = {
      {"{hosts: [db], http: [{@}]}", 443, "db", absl::StrCat("cluster=", kDb)},
      {"{hosts: [db], tls: [{match: [{sniHosts: [a.db]}], @}]}", 443, "a.db", "cluster=$ratings"},
      {"{hosts: [db], tls: [{match: [{sniHosts: [a.db]}], @}]}", 443, "b.db",
       absl::StrCat("cluster=", kDb)},
      {"{hosts: [db], tls: [{match: [{sniHosts: ['*.db']}], @}]}", 443, "b.db", "cluster=$ratings"},
      {"{hosts: [db], tls: [{match: [{sniHosts: ['*']}], @}]}", 443, "b", "cluster=$ratings"},
      {"{hosts: [db], tls: [{match: [{sniHosts: [a.db], port: 444}], @}]}", 443, "a.db",
       absl::StrCat("cluster=", kDb)},
      {"{hosts: [db], tls: [{match: [{sniHosts: [a.db], destinationSubnets: [10.96.0.0/24]}], @}]}",
       443, "a.db", "cluster=$ratings"},
      {"{hosts: [db], tls: [{match: [{sniHosts: [a.db], destinationSubnets: [10.97.0.0/16]}], @}]}",
       443, "a.db", absl::StrCat("cluster=", kDb)},
      {"{hosts: [db], tls: [{match: [{sniHosts: [a.db], sourceLabels: {app: x}}], @}]}", 443,
       "a.db", absl::StrCat("cluster=", kDb)},
      {"{hosts: [db], tls: [{match: [{sniHosts: [a.db], gateways: [g]}], @}]}", 443, "a.db",
       absl::StrCat("cluster=", kDb)},
      {"{hosts: [db], tls: [{match: [{sniHosts: [a.db], sourceNamespace: prod}], @}]}", 443, "a.db",
       absl::StrCat("cluster=", kDb)},
      {"{hosts: [db], tls: [{match: [{sniHosts: [a.db]}], route: [{destination: {host: ratings}, "
       "weight: 30}, {destination: {host: reviews}, weight: 70}]}]}",
       443, "a.db", "clusters=30*$ratings,70*$reviews"},
      // TLS routes are for ports that carry TLS.
      {"{hosts: [db], tls: [{match: [{sniHosts: [a.db]}], @}]}", 3306, "a.db",
       "cluster=outbound|3306||db.default.svc.cluster.local"},
      {"{hosts: [db], tcp: [{@}]}", 3306, "", "cluster=$ratings"},
      {"{hosts: [db], tcp: [{match: [{port: 3306}], @}]}", 3306, "", "cluster=$ratings"},
      {"{hosts: [db], tcp: [{match: [{port: 1}], @}, {route: [{destination: {host: reviews}}]}]}",
       3306, "", kReviewsTls},
      {"{hosts: [db], tcp: [{match: [{destinationSubnets: [10.96.0.3]}], @}]}", 3306, "",
       "cluster=$ratings"},
      {"{hosts: [db], tcp: [{match: [{destinationSubnets: [10.96.0.4/32]}], @}]}", 3306, "",
       "cluster=outbound|3306||db.default.svc.cluster.local"},
      {"{hosts: [db], tcp: [{match: [{sourceLabels: {app: x}}], @}]}", 3306, "",
       "cluster=outbound|3306||db.default.svc.cluster.local"},
      {"{hosts: [db], tcp: [{route: [{destination: {host: ratings}, weight: 25}, {destination: "
       "{host: nowhere}, weight: 75}]}]}",
       3306, "", "clusters=25*$ratings,75*BlackHoleCluster"},
  };
  for (const Row& row : rows) {
    WorldBuilder builder = Shop();
    ApplyAll({VirtualServiceOf(row.spec)}, builder);
    const auto sidecar = RunSidecar(builder.world(), SidecarIn("default"));
    EXPECT_TRUE(Says(sidecar->ConnectionTo("10.96.0.3", row.port, row.server_name), row.expected))
        << row.spec;
  }
}

TEST(VirtualService, HostsThatAreNoServicesAreRoutedOnPort80) {
  WorldBuilder builder = Shop();
  ApplyAll({VirtualServiceOf("{hosts: [api.example.com, '*.wild.example'], http: [{@}]}"),
            "kind: VirtualService\nmetadata: {name: b, namespace: prod}\n"
            "spec: {hosts: [hidden.example.com], exportTo: ['.'], http: [{@}]}\n"},
           builder);
  const auto sidecar = RunSidecar(builder.world(), SidecarIn("default"));
  const std::string ratings = Expanded("cluster=$ratings");
  EXPECT_TRUE(Says(sidecar->Outcome(80, {"api.example.com"}), ratings));
  EXPECT_TRUE(Says(sidecar->Outcome(80, {"api.example.com:80"}), ratings));
  EXPECT_TRUE(Says(sidecar->Outcome(80, {"x.wild.example"}), ratings));
  EXPECT_TRUE(Says(sidecar->Outcome(80, {"hidden.example.com"}), "cluster=PassthroughCluster"));
  EXPECT_TRUE(Says(sidecar->Outcome(9080, {"api.example.com"}), "cluster=PassthroughCluster"));
}

// ---- Delegates.

const char kRoot[] =
    "kind: VirtualService\nmetadata: {name: root}\nspec:\n"
    "  hosts: [reviews]\n  http:\n"
    "  - {name: r, match: [{uri: {prefix: /a}, headers: {x-a: {exact: '1'}}}], timeout: 9s,\n"
    "     delegate: {name: d}}\n"
    "  - {name: rest, route: [{destination: {host: reviews}}]}\n";

std::string DelegateOf(const std::string& http, const std::string& more = "") {
  return absl::StrCat("kind: VirtualService\nmetadata: {name: d}\nspec: {", more, "http: ", http,
                      "}\n");
}

TEST(Delegate, ItsRoutesStandWhereTheRootDelegates) {
  struct Row {
    std::string delegate;
    Request request;
    const char* expected;
  } rows[] = {
      // Both conditions, and what the root says where the delegate does not.
      {DelegateOf("[{name: l, match: [{uri: {prefix: /a/b}}], @}]"), To("/a/b/c", {{"x-a", "1"}}),
       "route=r-l cluster=$ratings timeout=9s"},
      {DelegateOf("[{name: l, match: [{uri: {prefix: /a/b}}], @}]"), To("/a/b/c"), "route=rest"},
      {DelegateOf("[{name: l, match: [{uri: {prefix: /a/b}}], @}]"), To("/a/c", {{"x-a", "1"}}),
       "route=rest"},
      {DelegateOf("[{timeout: 1s, @}]"), To("/a", {{"x-a", "1"}}), "cluster=$ratings timeout=1s"},
      {DelegateOf("[{match: [{uri: {exact: /a}}], redirect: {uri: /z}}]"), To("/a", {{"x-a", "1"}}),
       "redirect=301"},
      // Not within the root's: no effect.
      {DelegateOf("[{match: [{uri: {prefix: /z}}], @}]"), To("/z", {{"x-a", "1"}}), "route=rest"},
      {DelegateOf("[{match: [{headers: {x-a: {exact: '2'}}}], @}]"), To("/a", {{"x-a", "2"}}),
       "route=rest"},
      // Not to be had.
      {DelegateOf("[{@}]", "exportTo: [prod], "), To("/a", {{"x-a", "1"}}), "route=rest"},
      {DelegateOf("[{@}]", "hosts: [x], "), To("/a", {{"x-a", "1"}}), "route=rest"},
      {DelegateOf("[{delegate: {name: e}}]"), To("/a", {{"x-a", "1"}}), "route=rest"},
  };
  for (const Row& row : rows) {
    WorldBuilder builder = Shop();
    ApplyAll({kRoot, row.delegate}, builder);
    const auto sidecar = RunSidecar(builder.world(), SidecarIn("default"));
    EXPECT_TRUE(Says(sidecar->Outcome(9080, row.request), row.expected)) << row.delegate;
  }
}

TEST(Delegate, WhatIsWrongIsSaidOfTheRootAndItsField) {
  struct Row {
    std::string delegate;
    Severity severity;
    const char* message;
  } rows[] = {
      {"", Severity::kError, "Referenced virtualservice not found: \"default/d\""},
      {DelegateOf("[{@}]", "exportTo: [prod], "), Severity::kError, "not found: \"default/d\""},
      {DelegateOf("[{@}]", "hosts: [x], "), Severity::kError, "has hosts, so it is no delegate"},
      {DelegateOf("[{delegate: {name: e}}]"), Severity::kError, "one level is all there is"},
      {DelegateOf("[{match: [{uri: {prefix: /z}}], @}]"), Severity::kWarning,
       "the match of http[0] of VirtualService default/d is not within that of the root"},
  };
  for (const Row& row : rows) {
    WorldBuilder builder = Shop();
    ApplyAll({kRoot}, builder);
    if (!row.delegate.empty()) ApplyAll({row.delegate}, builder);
    std::vector<Problem> of_root;
    for (const Problem& problem : CheckReferences(builder.world())) {
      if (problem.key.name == "root") of_root.push_back(problem);
    }
    ASSERT_EQ(of_root.size(), 1u) << row.message;
    EXPECT_EQ(of_root[0].severity, row.severity);
    EXPECT_EQ(of_root[0].field, "spec.http[0].delegate");
    EXPECT_TRUE(absl::StrContains(of_root[0].message, row.message)) << of_root[0].message;
  }
}

TEST(Delegate, StaysInItsLastGoodFormWhereItWasTakenAway) {
  WorldBuilder before = Shop(), after = Shop();
  ApplyAll({kRoot, DelegateOf("[{@}]")}, before);
  ApplyAll({kRoot}, after);
  const HeldWorld held = HoldDangling(after.world(), &before.world());
  const auto sidecar = RunSidecar(held.world, SidecarIn("default"));
  EXPECT_TRUE(Says(sidecar->Outcome(9080, To("/a", {{"x-a", "1"}})), "cluster=$ratings"));
}

// ---- Protocols and kinds of service.

TEST(Protocols, Http2AndGrpcAreRoutedByRequestAndSpokenToEndpoints) {
  struct Row {
    Protocol protocol;
    const char* spoken;
  } rows[] = {
      {Protocol::kHttp, "protocol=http1"},
      {Protocol::kHttp2, "protocol=http2"},
      {Protocol::kGrpc, "protocol=http2"},
  };
  for (const Row& row : rows) {
    WorldBuilder builder;
    builder.Service("default", "a", {{"a", 8080, row.protocol}}).Pod("default", "a", "v1");
    ProxyView view = SidecarIn("default");
    view.address = builder.LastEndpoint().address;
    const auto sidecar = RunSidecar(builder.world(), view);
    EXPECT_TRUE(
        Says(sidecar->Outcome(8080, {"a"}), "cluster=outbound|8080||a.default.svc.cluster.local"));
    EXPECT_TRUE(Says(sidecar->Settings("outbound|8080||a.default.svc.cluster.local"), row.spoken));
    EXPECT_TRUE(Says(sidecar->Settings("inbound|8080||"), row.spoken));
  }
}

TEST(Headless, EachPodIsReachedByItsOwnAddressAndName) {
  WorldBuilder builder;
  builder.Service("default", "kv", {{"http", 80, Protocol::kHttp}, {"tcp", 6379, Protocol::kTcp}});
  builder.LastService().address = "";
  builder.Pod("default", "kv", "v1").LastEndpoint().hostname = "kv-0";
  const std::string address = builder.LastEndpoint().address;
  auto sidecar = RunSidecar(builder.world(), SidecarIn("default"));
  const std::string pods = "outbound|80||*.kv.default.svc.cluster.local";
  EXPECT_TRUE(Says(sidecar->ConnectionTo(address, 6379),
                   "cluster=outbound|6379||*.kv.default.svc.cluster.local"));
  EXPECT_TRUE(Says(sidecar->Outcome(80, {"kv-0.kv"}), absl::StrCat("cluster=", pods)));
  EXPECT_TRUE(Says(sidecar->Outcome(80, {"kv-0.kv.default.svc.cluster.local:80"}),
                   absl::StrCat("cluster=", pods)));
  EXPECT_TRUE(
      Says(sidecar->Outcome(80, {"kv"}), "cluster=outbound|80||kv.default.svc.cluster.local"));
  EXPECT_TRUE(Says(sidecar->Settings(pods), "lb=original_dst"));
  EXPECT_TRUE(Says(sidecar->Settings(pods),
                   "socket=tls,sni:outbound_.80_._.kv.default.svc.cluster.local,alpn"));
  // A pod without a sidecar would not understand it, and which one is called nobody knows here.
  builder.Pod("default", "kv", "v2").LastEndpoint().mtls = false;
  sidecar = RunSidecar(builder.world(), SidecarIn("default"));
  EXPECT_TRUE(Says(sidecar->Settings(pods), "socket=plain"));
}

TEST(ExternalName, IsAnotherNameOfAServiceOfTheMesh) {
  WorldBuilder builder = Shop();
  World world = builder.world();
  world.aliases["old.default.svc.cluster.local"] = {"old.default.svc.cluster.local", "default",
                                                    "old", "web.default.svc.cluster.local"};
  world.aliases["out.default.svc.cluster.local"] = {"out.default.svc.cluster.local", "default",
                                                    "out", "www.example.com"};
  const auto sidecar = RunSidecar(world, SidecarIn("default"));
  EXPECT_TRUE(
      Says(sidecar->Outcome(80, {"old"}), "cluster=outbound|80||web.default.svc.cluster.local"));
  EXPECT_TRUE(Says(sidecar->Outcome(80, {"out"}), "cluster=PassthroughCluster"));
}

}  // namespace
}  // namespace weft
