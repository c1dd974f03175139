// The kinds of the Gateway API, from YAML to what a router or sidecar decides, and to what is to be
// said in their status.
#include "controlplane/model/gateway_api.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "controlplane/translate/run_router.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr char kReviews[] = "outbound|9080||reviews.shop.svc.cluster.local";
constexpr char kRatings[] = "outbound|9080||ratings.shop.svc.cluster.local";
constexpr char kDb[] = "outbound|3306||db.shop.svc.cluster.local";
constexpr char kGreeter[] = "outbound|50051||greeter.shop.svc.cluster.local";

std::string Expanded(const std::string& text) {
  return absl::StrReplaceAll(text, {{"$reviews", kReviews},
                                    {"$ratings", kRatings},
                                    {"$db", kDb},
                                    {"$greeter", kGreeter},
                                    {"@reviews", "{name: reviews, port: 9080}"},
                                    {"@ratings", "{name: ratings, port: 9080}"},
                                    {"@db", "{name: db, port: 3306}"},
                                    {"@greeter", "{name: greeter, port: 50051}"},
                                    {"@gw", "{name: gw, namespace: edge}"}});
}

std::string ObjectOf(const std::string& kind, const std::string& name_space,
                     const std::string& name, const std::string& spec,
                     const std::string& version = "v1") {
  return absl::StrCat("---\napiVersion: gateway.networking.k8s.io/", version, "\nkind: ", kind,
                      "\nmetadata: {name: ", name, ", namespace: ", name_space,
                      ", generation: 3}\nspec: {", Expanded(spec), "}\n");
}

constexpr char kClass[] = R"(---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: weft}
spec: {controllerName: weft.io/gateway-controller}
)";

constexpr char kAll[] = "allowedRoutes: {namespaces: {from: All}}";

std::string GatewayOf(const std::string& listeners, const std::string& more = "") {
  return absl::StrCat(
      kClass, ObjectOf("Gateway", "edge", "gw",
                       absl::StrCat("gatewayClassName: weft, listeners: [", listeners, "]", more)));
}

// One listener of plain HTTP, for routes of any namespace.
std::string HttpGateway(const std::string& hostname = "") {
  return GatewayOf(absl::StrCat(
      "{name: http, port: 80, protocol: HTTP, ",
      hostname.empty() ? "" : absl::StrCat("hostname: '", hostname, "', "), kAll, "}"));
}

std::string RouteOf(const std::string& name, const std::string& spec,
                    const std::string& kind = "HTTPRoute") {
  return ObjectOf(kind, "shop", name, spec);
}

testing::AssertionResult Says(const std::string& actual, const std::string& expected) {
  const std::string words = absl::StrCat(" ", Expanded(expected), " ");
  if (absl::StrContains(absl::StrCat(" ", actual, " "), words)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "no '" << words << "' in: " << actual;
}

// What is to be said of an object, a condition a line.
std::string StatusOf(Edge& edge, const std::string& kind, const std::string& name) {
  std::vector<std::string> lines;
  const auto add = [&](const std::string& of, const GatewayApiConditions& conditions) {
    for (const auto& condition : conditions) {
      lines.push_back(absl::StrCat(of, ToString(condition)));
    }
  };
  for (const GatewayApiStatus& status : edge.mesh().statuses()) {
    if (status.key.name != name || !absl::StartsWith(status.key.kind, kind)) continue;
    add("", status.conditions);
    for (const ListenerStatus& listener : status.listeners) {
      lines.push_back(absl::StrCat(listener.name, " attached=", listener.attached_routes,
                                   " kinds=", absl::StrJoin(listener.supported_kinds, ",")));
      add(listener.name + " ", listener.conditions);
    }
    for (const RouteParentStatus& parent : status.parents) {
      add(absl::StrCat(parent.name, " "), parent.conditions);
    }
  }
  return absl::StrJoin(lines, "\n");
}

// ---- HTTPRoute.

TEST(HttpRoute, Matches) {
  // Each row: the matches of a rule that goes to ratings, all else to reviews.
  struct Row {
    const char* matches;
    Request request;
    bool fits;
  } rows[] = {
      {"[{path: {type: Exact, value: /a}}]", {"h", "/a"}, true},
      {"[{path: {type: Exact, value: /a}}]", {"h", "/a/b"}, false},
      {"[{path: {type: PathPrefix, value: /a}}]", {"h", "/a"}, true},
      {"[{path: {type: PathPrefix, value: /a}}]", {"h", "/a/b"}, true},
      {"[{path: {type: PathPrefix, value: /a}}]", {"h", "/ab"}, false},
      {"[{path: {type: PathPrefix, value: /a/}}]", {"h", "/a"}, true},
      {"[{path: {value: /a}}]", {"h", "/a?q"}, true},
      {"[{path: {type: RegularExpression, value: '/v[0-9]'}}]", {"h", "/v1"}, true},
      {"[{path: {type: RegularExpression, value: '/v[0-9]'}}]", {"h", "/vx"}, false},
      {"[{headers: [{name: X-A, value: b}]}]", {"h", "/", "GET", {{"x-a", "b"}}}, true},
      {"[{headers: [{name: x-a, value: b}]}]", {"h", "/", "GET", {{"x-a", "c"}}}, false},
      {"[{headers: [{name: x-a, value: b}, {name: X-A, value: c}]}]",
       {"h", "/", "GET", {{"x-a", "b"}}},
       true},
      {"[{headers: [{type: RegularExpression, name: x-a, value: 'b+'}]}]",
       {"h", "/", "GET", {{"x-a", "bb"}}},
       true},
      {"[{queryParams: [{name: q, value: '1'}]}]", {"h", "/?q=1"}, true},
      {"[{queryParams: [{name: q, value: '1'}]}]", {"h", "/?q=2"}, false},
      {"[{queryParams: [{type: RegularExpression, name: q, value: '[0-9]'}]}]",
       {"h", "/?q=2"},
       true},
      {"[{method: POST}]", {"h", "/", "POST"}, true},
      {"[{method: POST}]", {"h", "/", "GET"}, false},
      {"[{path: {value: /a}}, {path: {value: /b}}]", {"h", "/b"}, true},
  };
  for (const Row& row : rows) {
    Edge edge;
    EXPECT_EQ(
        edge.Apply(HttpGateway() +
                   RouteOf("r", absl::StrCat("parentRefs: [@gw], rules: [{matches: ", row.matches,
                                             ", backendRefs: [@ratings]}, {backendRefs: "
                                             "[@reviews]}]"))),
        "");
    EXPECT_TRUE(Says(edge.Router()->RequestAt(8080, row.request),
                     row.fits ? "cluster=$ratings" : "cluster=$reviews"))
        << row.matches;
  }
}

TEST(HttpRoute, FiltersTimeoutsAndRetries) {
  struct Row {
    const char* rule;
    Request request;
    const char* expected;
  } rows[] = {
      {"filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: "
       "b}]}}], backendRefs: [@reviews]",
       {"h"},
       "request.set.x-a=b"},
      {"filters: [{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: x-a, value: "
       "b}]}}], backendRefs: [@reviews]",
       {"h"},
       "request.add.x-a=b"},
      {"filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-a]}}], "
       "backendRefs: [@reviews]",
       {"h"},
       "request.remove=x-a"},
      {"filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-a, value: "
       "b}]}}], backendRefs: [@reviews]",
       {"h"},
       "response.set.x-a=b"},
      {"filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]",
       {"h"},
       "redirect=302 to=https://:0"},
      {"filters: [{type: RequestRedirect, requestRedirect: {hostname: b.c, statusCode: 301}}]",
       {"h"},
       "redirect=301 to=://b.c:0"},
      {"filters: [{type: RequestRedirect, requestRedirect: {port: 8443}}]",
       {"h"},
       "redirect=302 to=://:8443"},
      {"filters: [{type: RequestRedirect, requestRedirect: {scheme: https, port: 443}}]",
       {"h"},
       "redirect=302 to=https://:0"},
      {"filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, "
       "replaceFullPath: /x}}}]",
       {"h"},
       "redirect=302 to=://:0/x"},
      {"matches: [{path: {value: /a}}], filters: [{type: RequestRedirect, requestRedirect: {path: "
       "{type: ReplacePrefixMatch, replacePrefixMatch: /x}}}]",
       {"h", "/a/b"},
       "redirect=302 to=://:0/x"},
      {"filters: [{type: URLRewrite, urlRewrite: {hostname: b.c}}], backendRefs: [@reviews]",
       {"h"},
       "host=b.c"},
      {"filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: "
       "/x}}}], backendRefs: [@reviews]",
       {"h"},
       "regex_rewrite"},
      {"matches: [{path: {value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: "
       "ReplacePrefixMatch, replacePrefixMatch: /x/}}}], backendRefs: [@reviews]",
       {"h", "/a/b"},
       "prefix_rewrite=/x"},
      {"matches: [{path: {value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: "
       "ReplacePrefixMatch, replacePrefixMatch: /}}}], backendRefs: [@reviews]",
       {"h", "/a/b"},
       "regex_rewrite"},
      {"filters: [{type: RequestMirror, requestMirror: {backendRef: @ratings}}], backendRefs: "
       "[@reviews]",
       {"h"},
       "mirror=100%*$ratings"},
      {"filters: [{type: RequestMirror, requestMirror: {backendRef: @ratings, percent: 20}}], "
       "backendRefs: [@reviews]",
       {"h"},
       "mirror=20%*$ratings"},
      {"filters: [{type: RequestMirror, requestMirror: {backendRef: @ratings, fraction: "
       "{numerator: "
       "1, denominator: 4}}}], backendRefs: [@reviews]",
       {"h"},
       "mirror=25%*$ratings"},
      {"timeouts: {request: 5s}, backendRefs: [@reviews]", {"h"}, "timeout=5s"},
      {"timeouts: {request: 5s, backendRequest: 2s}, backendRefs: [@reviews]", {"h"}, "per_try=2s"},
      {"retry: {attempts: 4}, backendRefs: [@reviews]", {"h"}, "retries=4"},
      {"retry: {codes: [500, 502]}, backendRefs: [@reviews]", {"h"}, "retry_codes=500,502"},
      {"retry: {backoff: 100ms}, backendRefs: [@reviews]", {"h"}, "backoff=100ms"},
      {"backendRefs: [{name: reviews, port: 9080, weight: 3}, @ratings]",
       {"h"},
       "clusters=3*$reviews,1*$ratings"},
      {"backendRefs: [@reviews, {name: ratings, port: 9080, weight: 0}]",
       {"h"},
       "cluster=$reviews"},
      {"backendRefs: [{name: reviews, port: 9080, filters: [{type: RequestHeaderModifier, "
       "requestHeaderModifier: {set: [{name: x-a, value: b}]}}]}, @ratings]",
       {"h"},
       "share.request.set.x-a=b"},
      // What cannot be used answers 500 for its share.
      {"backendRefs: [{name: nobody, port: 1}]", {"h"}, "direct=500"},
      {"backendRefs: [{name: reviews, port: 1}]", {"h"}, "direct=500"},
      {"backendRefs: [{kind: ConfigMap, name: reviews}]", {"h"}, "direct=500"},
      {"backendRefs: [{name: reviews, port: 9080, weight: 0}]", {"h"}, "direct=500"},
      {"backendRefs: [@reviews, {name: nobody, port: 1, weight: 3}]", {"h"}, "abort=75%*500"},
      {"matches: [{path: {value: /}}]", {"h"}, "direct=500"},
  };
  for (const Row& row : rows) {
    Edge edge;
    EXPECT_EQ(edge.Apply(HttpGateway() + RouteOf("r", absl::StrCat("parentRefs: [@gw], rules: [{",
                                                                   row.rule, "}]"))),
              "")
        << row.rule;
    EXPECT_TRUE(Says(edge.Router()->RequestAt(8080, row.request), row.expected)) << row.rule;
  }
}

TEST(HttpRoute, TheMostSpecificMatchCountsWhateverItsPlace) {
  // Each row: two rules of which the second, to ratings, is the one that counts.
  struct Row {
    const char* first;
    const char* second;
    Request request;
  } rows[] = {
      {"[{path: {value: /a}}]", "[{path: {type: Exact, value: /a/b}}]", {"h", "/a/b"}},
      {"[{path: {value: /a}}]", "[{path: {value: /a/b}}]", {"h", "/a/b/c"}},
      {"[{path: {value: /a}}]", "[{path: {type: RegularExpression, value: '/.*'}}]", {"h", "/a"}},
      {"[{path: {type: RegularExpression, value: '/.*'}}]",
       "[{path: {type: Exact, value: /a}}]",
       {"h", "/a"}},
      {"[{path: {value: /a}, headers: [{name: x, value: y}]}]",
       "[{path: {value: /a}, method: GET}]",
       {"h", "/a", "GET", {{"x", "y"}}}},
      {"[{headers: [{name: x, value: y}]}]",
       "[{headers: [{name: x, value: y}, {name: z, value: y}]}]",
       {"h", "/", "GET", {{"x", "y"}, {"z", "y"}}}},
      {"[{queryParams: [{name: q, value: '1'}]}]",
       "[{headers: [{name: x, value: y}]}]",
       {"h", "/?q=1", "GET", {{"x", "y"}}}},
      {"[{path: {value: /a}}]",
       "[{path: {value: /a}, queryParams: [{name: q, value: '1'}]}]",
       {"h", "/a?q=1"}},
  };
  for (const Row& row : rows) {
    const std::string first = absl::StrCat("{matches: ", row.first, ", backendRefs: [@reviews]}");
    const std::string second = absl::StrCat("{matches: ", row.second, ", backendRefs: [@ratings]}");
    Edge one;
    one.Apply(HttpGateway() +
              RouteOf("r", absl::StrCat("parentRefs: [@gw], rules: [", first, ", ", second, "]")));
    EXPECT_TRUE(Says(one.Router()->RequestAt(8080, row.request), "cluster=$ratings"))
        << row.first << row.second;
    Edge two;
    two.Apply(HttpGateway() +
              RouteOf("a", absl::StrCat("parentRefs: [@gw], rules: [", first, "]")) +
              RouteOf("b", absl::StrCat("parentRefs: [@gw], rules: [", second, "]")));
    EXPECT_TRUE(Says(two.Router()->RequestAt(8080, row.request), "cluster=$ratings"))
        << row.first << row.second;
  }
}

TEST(HttpRoute, OfEqualMatchesTheOlderRouteThenTheNameCounts) {
  const auto route = [](const char* name, const char* created, const char* backend) {
    return absl::StrReplaceAll(
        RouteOf(name, absl::StrCat("parentRefs: [@gw], rules: [{backendRefs: [", backend, "]}]")),
        {{"generation: 3", absl::StrCat("creationTimestamp: '", created, "'")}});
  };
  Edge by_age;
  by_age.Apply(HttpGateway() + route("a", "2026-01-02T00:00:00Z", "@reviews") +
               route("b", "2026-01-01T00:00:00Z", "@ratings"));
  EXPECT_TRUE(Says(by_age.Router()->RequestAt(8080, {"h"}), "cluster=$ratings"));
  Edge by_name;
  by_name.Apply(HttpGateway() + route("b", "2026-01-01T00:00:00Z", "@ratings") +
                route("a", "2026-01-01T00:00:00Z", "@reviews"));
  EXPECT_TRUE(Says(by_name.Router()->RequestAt(8080, {"h"}), "cluster=$reviews"));
}

TEST(HttpRoute, HostnamesMeetThoseOfTheListener) {
  struct Row {
    const char* listener;
    const char* route;
    const char* authority;
    bool served;
  } rows[] = {
      {"", "", "any.thing", true},
      {"", "[a.example.com]", "a.example.com", true},
      {"", "[a.example.com]", "b.example.com", false},
      {"*.example.com", "", "b.example.com", true},
      {"*.example.com", "", "b.other.com", false},
      {"*.example.com", "[a.example.com, a.other.com]", "a.example.com", true},
      {"*.example.com", "[a.example.com, a.other.com]", "a.other.com", false},
      {"a.example.com", "['*.example.com']", "a.example.com", true},
      {"a.example.com", "['*.example.com']", "b.example.com", false},
      {"", "[localhost]", "localhost", true},
  };
  for (const Row& row : rows) {
    Edge edge;
    const std::string hosts =
        *row.route == '\0' ? "" : absl::StrCat("hostnames: ", row.route, ", ");
    EXPECT_EQ(edge.Apply(HttpGateway(row.listener) +
                         RouteOf("r", absl::StrCat("parentRefs: [@gw], ", hosts,
                                                   "rules: [{backendRefs: [@reviews]}]"))),
              "");
    EXPECT_EQ(absl::StrContains(edge.Router()->RequestAt(8080, {row.authority}), kReviews),
              row.served)
        << row.listener << " " << row.route << " " << row.authority;
  }
}

TEST(HttpRoute, AttachesWhereItMay) {
  // Each row: listeners, the parentRef, and the condition Accepted.
  struct Row {
    std::string listeners;
    const char* parent;
    const char* accepted;
  } rows[] = {
      {absl::StrCat("{name: a, port: 80, protocol: HTTP, ", kAll, "}"), "@gw", "True Accepted"},
      {"{name: a, port: 80, protocol: HTTP}", "@gw", "False NotAllowedByListeners"},
      {"{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Same}}}", "@gw",
       "False NotAllowedByListeners"},
      {"{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: None}}}", "@gw",
       "False NotAllowedByListeners"},
      {"{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: "
       "{matchLabels: {team: shop}}}}}",
       "@gw", "True Accepted"},
      {"{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: "
       "{matchLabels: {team: other}}}}}",
       "@gw", "False NotAllowedByListeners"},
      {"{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: "
       "{matchExpressions: [{key: team, operator: In, values: [shop, x]}]}}}}",
       "@gw", "True Accepted"},
      {"{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: "
       "{matchExpressions: [{key: team, operator: NotIn, values: [shop]}]}}}}",
       "@gw", "False NotAllowedByListeners"},
      {"{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: "
       "{matchLabels: {kubernetes.io/metadata.name: shop}}}}}",
       "@gw", "True Accepted"},
      {absl::StrCat(
           "{name: a, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: GRPCRoute}], "
           "namespaces: {from: All}}}"),
       "@gw", "False NotAllowedByListeners"},
      {absl::StrCat("{name: a, port: 80, protocol: HTTP, ", kAll, "}"),
       "{name: gw, namespace: edge, sectionName: a}", "True Accepted"},
      {absl::StrCat("{name: a, port: 80, protocol: HTTP, ", kAll, "}"),
       "{name: gw, namespace: edge, sectionName: b}", "False NoMatchingParent"},
      {absl::StrCat("{name: a, port: 80, protocol: HTTP, ", kAll, "}"),
       "{name: gw, namespace: edge, port: 80}", "True Accepted"},
      {absl::StrCat("{name: a, port: 80, protocol: HTTP, ", kAll, "}"),
       "{name: gw, namespace: edge, port: 81}", "False NoMatchingParent"},
      {absl::StrCat("{name: a, hostname: a.b, port: 80, protocol: HTTP, ", kAll, "}"), "@gw",
       "False NoMatchingListenerHostname"},
  };
  for (const Row& row : rows) {
    Edge edge;
    edge.Apply(GatewayOf(row.listeners) +
               RouteOf("r", absl::StrCat("parentRefs: [", row.parent,
                                         "], hostnames: [h.example.com], rules: [{backendRefs: "
                                         "[@reviews]}]")));
    const std::string status = StatusOf(edge, "HTTPRoute", "r");
    EXPECT_TRUE(absl::StrContains(status, absl::StrCat("gw Accepted=", row.accepted)))
        << row.listeners << row.parent << "\n"
        << status;
    const bool served =
        absl::StrContains(edge.Router()->RequestAt(8080, {"h.example.com"}), kReviews);
    EXPECT_EQ(served, absl::StartsWith(row.accepted, "True")) << row.listeners << row.parent;
  }
}

TEST(HttpRoute, ListenersOfOneGatewayHaveRoutesOfTheirOwn) {
  Edge edge;
  edge.Apply(GatewayOf(absl::StrCat("{name: a, port: 80, protocol: HTTP, ", kAll,
                                    "}, {name: b, port: 9999, protocol: HTTP, ", kAll, "}")) +
             RouteOf("ra",
                     "parentRefs: [{name: gw, namespace: edge, sectionName: a}], rules: "
                     "[{backendRefs: [@reviews]}]") +
             RouteOf("rb",
                     "parentRefs: [{name: gw, namespace: edge, sectionName: b}], rules: "
                     "[{backendRefs: [@ratings]}]"));
  const auto router = edge.Router();
  EXPECT_TRUE(Says(router->RequestAt(8080, {"h"}), "cluster=$reviews"));
  EXPECT_TRUE(Says(router->RequestAt(9999, {"h"}), "cluster=$ratings"));
  EXPECT_TRUE(absl::StrContains(StatusOf(edge, "Gateway", "gw"), "a attached=1"));
}

TEST(HttpRoute, BackendsOfOtherNamespacesNeedAGrant) {
  const std::string route = ObjectOf(
      "HTTPRoute", "other", "r",
      "parentRefs: [@gw], rules: [{backendRefs: [{name: reviews, namespace: shop, port: 9080}]}]");
  const auto grant = [](const std::string& spec) {
    return ObjectOf("ReferenceGrant", "shop", "g", spec, "v1beta1");
  };
  const std::string from =
      "from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}]";
  struct Row {
    std::string grant;
    bool granted;
  } rows[] = {
      {"", false},
      {grant(from + ", to: [{group: '', kind: Service}]"), true},
      {grant(from + ", to: [{group: '', kind: Service, name: reviews}]"), true},
      {grant(from + ", to: [{group: '', kind: Service, name: ratings}]"), false},
      {grant(from + ", to: [{group: '', kind: Secret}]"), false},
      {grant("from: [{group: gateway.networking.k8s.io, kind: GRPCRoute, namespace: other}], to: "
             "[{group: '', kind: Service}]"),
       false},
      {grant("from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: edge}], to: "
             "[{group: '', kind: Service}]"),
       false},
  };
  for (const Row& row : rows) {
    Edge edge;
    EXPECT_EQ(edge.Apply(HttpGateway() + route + row.grant), "");
    EXPECT_TRUE(Says(edge.Router()->RequestAt(8080, {"h"}),
                     row.granted ? "cluster=$reviews" : "direct=500"))
        << row.grant;
    EXPECT_EQ(
        absl::StrContains(StatusOf(edge, "HTTPRoute", "r"), "ResolvedRefs=False RefNotPermitted"),
        !row.granted);
  }
}

TEST(HttpRoute, SaysWhichBackendIsNotToBeHad) {
  for (const auto& [backend, reason] : std::vector<std::pair<const char*, const char*>>{
           {"@reviews", "True ResolvedRefs"},
           {"{name: nobody, port: 1}",
            "False BackendNotFound: backend shop/nobody: no such Service"},
           {"{name: reviews, port: 1}",
            "False BackendNotFound: backend shop/reviews: it has no port 1"},
           {"{group: a.b, kind: Bucket, name: x}", "False InvalidKind: backend Bucket x"}}) {
    Edge edge;
    edge.Apply(
        HttpGateway() +
        RouteOf("r", absl::StrCat("parentRefs: [@gw], rules: [{backendRefs: [", backend, "]}]")));
    EXPECT_TRUE(
        absl::StrContains(StatusOf(edge, "HTTPRoute", "r"), absl::StrCat("ResolvedRefs=", reason)))
        << StatusOf(edge, "HTTPRoute", "r");
  }
}

// ---- The others.

TEST(GrpcRoute, Matches) {
  struct Row {
    const char* match;
    const char* path;
    bool fits;
  } rows[] = {
      {"{method: {service: a.B, method: C}}", "/a.B/C", true},
      {"{method: {service: a.B, method: C}}", "/a.B/D", false},
      {"{method: {service: a.B}}", "/a.B/D", true},
      {"{method: {service: a.B}}", "/a.Bx/D", false},
      {"{method: {method: C}}", "/x.Y/C", true},
      {"{method: {method: C}}", "/x.Y/D", false},
      {"{method: {type: RegularExpression, service: 'a\\..*', method: '[CD]'}}", "/a.X/D", true},
      {"{method: {type: RegularExpression, service: 'a\\..*', method: '[CD]'}}", "/b.X/D", false},
      {"{headers: [{name: x-a, value: b}]}", "/a.B/C", true},
      {"{headers: [{name: x-a, value: c}]}", "/a.B/C", false},
  };
  for (const Row& row : rows) {
    Edge edge;
    EXPECT_EQ(
        edge.Apply(HttpGateway() + RouteOf("r",
                                           absl::StrCat("parentRefs: [@gw], rules: [{matches: [",
                                                        row.match, "], backendRefs: [@greeter]}]"),
                                           "GRPCRoute")),
        "");
    const std::string outcome =
        edge.Router()->RequestAt(8080, {"h", row.path, "POST", {{"x-a", "b"}}});
    EXPECT_EQ(absl::StrContains(outcome, kGreeter), row.fits) << row.match << outcome;
  }
}

TEST(GrpcRoute, ABackendThatIsNotToBeHadIsUnavailable) {
  Edge edge;
  edge.Apply(HttpGateway() +
             RouteOf("r",
                     "parentRefs: [@gw], rules: [{backendRefs: [@greeter, {name: nobody, port: "
                     "1}]}]",
                     "GRPCRoute"));
  EXPECT_TRUE(Says(edge.Router()->RequestAt(8080, {"h", "/a.B/C", "POST"}), "abort=50%*grpc 14"));
}

TEST(TlsRoute, PassesTlsByItsServerName) {
  Edge edge;
  EXPECT_EQ(edge.Apply(GatewayOf(absl::StrCat("{name: tls, port: 443, protocol: TLS, hostname: "
                                              "'*.example.com', tls: {mode: Passthrough}, ",
                                              kAll, "}")) +
                       RouteOf("r",
                               "parentRefs: [@gw], hostnames: [a.example.com], rules: "
                               "[{backendRefs: [@db, {name: nobody, port: 1}]}]",
                               "TLSRoute")),
            "");
  const auto router = edge.Router();
  EXPECT_TRUE(Says(router->ConnectionAt(8443, "a.example.com"), "cluster=$db"));
  EXPECT_EQ(router->ConnectionAt(8443, "b.example.com"), "closed");
  EXPECT_TRUE(
      absl::StrContains(StatusOf(edge, "TLSRoute", "r"), "ResolvedRefs=False BackendNotFound"));
}

TEST(TcpRoute, TakesThePort) {
  Edge edge;
  EXPECT_EQ(
      edge.Apply(GatewayOf(absl::StrCat("{name: tcp, port: 3306, protocol: TCP, ", kAll, "}")) +
                 ObjectOf("TCPRoute", "shop", "r",
                          "parentRefs: [@gw], rules: [{backendRefs: [{name: db, port: 3306, "
                          "weight: 9}, @reviews]}]",
                          "v1alpha2")),
      "");
  EXPECT_TRUE(Says(edge.Router()->ConnectionAt(13306), "clusters=9*$db,1*$reviews"));
}

TEST(TcpRoute, TakesWhatIsInsideOfTlsThatEndsHere) {
  Edge edge;
  edge.Apply(
      SecretYaml("edge", "a") +
      GatewayOf(absl::StrCat("{name: tls, port: 443, protocol: TLS, hostname: db.example.com, "
                             "tls: {certificateRefs: [{name: a}]}, ",
                             kAll, "}")) +
      RouteOf("r", "parentRefs: [@gw], rules: [{backendRefs: [@db]}]", "TCPRoute"));
  EXPECT_TRUE(Says(edge.Router()->ConnectionAt(8443, "db.example.com"), "cluster=$db"));
}

// ---- Gateways.

TEST(KubernetesGateway, OnlyOursCount) {
  Edge edge;
  edge.Apply(absl::StrReplaceAll(HttpGateway(), {{"weft.io/gateway-controller", "other.io/x"}}) +
             RouteOf("r", "parentRefs: [@gw], rules: [{backendRefs: [@reviews]}]"));
  EXPECT_EQ(edge.Router()->RequestAt(8080, {"h"}), "closed");
  EXPECT_TRUE(edge.mesh().statuses().empty());
}

TEST(KubernetesGateway, IsServedByItsOwnWorkloads) {
  for (const auto& [more, served] : std::vector<std::pair<const char*, bool>>{
           {"", true},
           {", addresses: [{type: Hostname, value: ingress.edge.svc.cluster.local}]", true},
           {", addresses: [{type: Hostname, value: ingress}]", true},
           {", addresses: [{type: Hostname, value: reviews.shop.svc.cluster.local}]", false}}) {
    Edge edge;
    edge.Apply(GatewayOf(absl::StrCat("{name: a, port: 80, protocol: HTTP, ", kAll, "}"), more) +
               RouteOf("r", "parentRefs: [@gw], rules: [{backendRefs: [@reviews]}]"));
    EXPECT_EQ(edge.Router()->RequestAt(8080, {"h"}) != "closed", served) << more;
  }
  Edge edge;
  edge.Apply(absl::StrReplaceAll(HttpGateway(), {{"name: gw", "name: another"}}));
  EXPECT_EQ(edge.Router()->RequestAt(8080, {"h"}), "closed");
}

TEST(KubernetesGateway, EndsTlsWithTheSecretsItNames) {
  const auto listener = [](const std::string& tls) {
    return GatewayOf(
        absl::StrCat("{name: https, port: 443, protocol: HTTPS, tls: {", tls, "}, ", kAll, "}"));
  };
  const std::string route = RouteOf("r", "parentRefs: [@gw], rules: [{backendRefs: [@reviews]}]");
  Edge edge;
  EXPECT_EQ(edge.Apply(SecretYaml("edge", "a") + listener("certificateRefs: [{name: a}]") + route),
            "");
  EXPECT_TRUE(Says(edge.Router()->RequestAt(8443, {"h"}, "h"), "cluster=$reviews"));
  EXPECT_TRUE(edge.mesh().ResourcesFor(edge.view())->secrets.contains("kubernetes://a"));

  Edge elsewhere;
  elsewhere.Apply(SecretYaml("shop", "a") +
                  listener("certificateRefs: [{name: a, namespace: shop}]") + route);
  EXPECT_EQ(elsewhere.Router()->RequestAt(8443, {"h"}, "h"), "closed");
  EXPECT_TRUE(absl::StrContains(StatusOf(elsewhere, "Gateway", "gw"),
                                "https ResolvedRefs=False RefNotPermitted"));
  elsewhere.Apply(ObjectOf("ReferenceGrant", "shop", "g",
                           "from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: "
                           "edge}], to: [{group: '', kind: Secret}]",
                           "v1beta1"));
  EXPECT_TRUE(Says(elsewhere.Router()->RequestAt(8443, {"h"}, "h"), "cluster=$reviews"));
  EXPECT_TRUE(elsewhere.mesh().SecretsNamed().contains(SecretName("shop", "a")));

  Edge missing;
  const std::string said = missing.Apply(listener("certificateRefs: [{name: a}]") + route);
  EXPECT_TRUE(absl::StrContains(said, "Secret edge/a is not there")) << said;
  EXPECT_TRUE(missing.mesh().SecretsNamed().contains(SecretName("edge", "a")))
      << "or it would never be read";
  EXPECT_TRUE(absl::StrContains(StatusOf(missing, "Gateway", "gw"),
                                "https ResolvedRefs=False InvalidCertificateRef"));

  Edge mutual;
  EXPECT_EQ(mutual.Apply(SecretYaml("edge", "a") + RootsYaml("edge", "roots") +
                         listener("certificateRefs: [{name: a}], frontendValidation: "
                                  "{caCertificateRefs: [{kind: Secret, name: roots}]}") +
                         route),
            "");
  mutual.Router();
  EXPECT_TRUE(
      mutual.mesh().ResourcesFor(mutual.view())->secrets.contains("kubernetes://roots-cacert"));
}

TEST(KubernetesGateway, StatusOfListeners) {
  struct Row {
    std::string listeners;
    const char* expected;
  } rows[] = {
      {"{name: a, port: 80, protocol: HTTP}", "a attached=0 kinds=HTTPRoute,GRPCRoute"},
      {"{name: a, port: 80, protocol: HTTP}", "a Accepted=True Accepted"},
      {"{name: a, port: 80, protocol: HTTP}", "a Programmed=True Programmed"},
      {"{name: a, port: 80, protocol: HTTP}", "a Conflicted=False NoConflicts"},
      {"{name: a, port: 80, protocol: TCP}", "a attached=0 kinds=TCPRoute"},
      {"{name: a, port: 80, protocol: TLS, tls: {mode: Passthrough}}", "kinds=TLSRoute"},
      {"{name: a, port: 80, protocol: UDP}", "a Accepted=False UnsupportedProtocol"},
      {"{name: a, port: 80, protocol: UDP}", "Accepted=False ListenersNotValid"},
      {"{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: TCP}",
       "b Conflicted=True ProtocolConflict"},
      {"{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}",
       "b Conflicted=True HostnameConflict: listener 'a' has port 80 already"},
      {"{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP, hostname: a.b}",
       "b Conflicted=False NoConflicts"},
      {"{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}",
       "Accepted=True ListenersNotValid"},
      {"{name: a, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: TCPRoute}]}}",
       "a ResolvedRefs=False InvalidRouteKinds"},
      {"{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{kind: ConfigMap, name: "
       "c}]}}",
       "a ResolvedRefs=False InvalidCertificateRef"},
  };
  for (const Row& row : rows) {
    Edge edge;
    edge.Apply(GatewayOf(row.listeners));
    const std::string status = StatusOf(edge, "Gateway", "gw");
    EXPECT_TRUE(absl::StrContains(status, row.expected)) << row.listeners << "\n" << status;
  }
  Edge edge;
  edge.Apply(HttpGateway());
  EXPECT_EQ(StatusOf(edge, "GatewayClass", "weft"), "Accepted=True Accepted");
  for (const auto& status : edge.mesh().statuses()) {
    if (status.key.name == "gw") EXPECT_EQ(status.generation, 3);
  }
}

// ---- Services as parents.

TEST(ServiceParent, RoutesWhatClientsSendToTheService) {
  struct Row {
    const char* name_space;
    const char* parent;
    const char* client;
    bool taken;
  } rows[] = {
      {"shop", "{group: '', kind: Service, name: reviews}", "shop", true},
      {"shop", "{group: '', kind: Service, name: reviews}", "other", true},
      {"shop", "{group: '', kind: Service, name: reviews, port: 9080}", "shop", true},
      {"shop", "{group: '', kind: Service, name: reviews, port: 1}", "shop", false},
      // Of another namespace: for clients of that namespace alone.
      {"other", "{group: '', kind: Service, name: reviews, namespace: shop}", "other", true},
      {"other", "{group: '', kind: Service, name: reviews, namespace: shop}", "shop", false},
  };
  for (const Row& row : rows) {
    Edge edge;
    edge.Apply(
        ObjectOf("HTTPRoute", row.name_space, "r",
                 absl::StrCat("parentRefs: [", row.parent,
                              "], rules: [{matches: [{path: {value: /r}}], filters: [{type: "
                              "RequestHeaderModifier, requestHeaderModifier: {set: [{name: "
                              "x-routed, value: '1'}]}}], backendRefs: [{name: reviews, "
                              "namespace: shop, port: 9080}]}, {backendRefs: [{name: reviews, "
                              "namespace: shop, port: 9080}]}]")) +
        ObjectOf("ReferenceGrant", "shop", "g",
                 "from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: "
                 "other}], to: [{group: '', kind: Service}]",
                 "v1beta1"));
    const std::string outcome = edge.Sidecar(row.client)->Outcome(9080, {"reviews.shop", "/r/x"});
    EXPECT_EQ(absl::StrContains(outcome, "x-routed"), row.taken)
        << row.name_space << row.parent << row.client << outcome;
  }
}

TEST(ServiceParent, WhatClientsOwnNamespaceSaysComesFirst) {
  const auto route = [](const char* name_space, const char* value) {
    return ObjectOf(
        "HTTPRoute", name_space, "r",
        absl::StrCat("parentRefs: [{group: '', kind: Service, name: reviews, namespace: "
                     "shop}], rules: [{filters: [{type: RequestHeaderModifier, "
                     "requestHeaderModifier: {set: [{name: x-of, value: ",
                     value,
                     "}]}}], backendRefs: [{name: reviews, namespace: shop, port: "
                     "9080}]}]"));
  };
  Edge edge;
  edge.Apply(route("shop", "producer") + route("other", "consumer") +
             ObjectOf("ReferenceGrant", "shop", "g",
                      "from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: "
                      "other}], to: [{group: '', kind: Service}]",
                      "v1beta1"));
  EXPECT_TRUE(
      absl::StrContains(edge.Sidecar("other")->Outcome(9080, {"reviews.shop"}), "consumer"));
  EXPECT_TRUE(absl::StrContains(edge.Sidecar("shop")->Outcome(9080, {"reviews.shop"}), "producer"));
}

TEST(ServiceParent, StatusSaysWhetherThereIsSuchAService) {
  for (const auto& [parent, accepted] : std::vector<std::pair<const char*, const char*>>{
           {"{group: '', kind: Service, name: reviews}", "reviews Accepted=True Accepted"},
           {"{group: '', kind: Service, name: nobody}", "nobody Accepted=False NoMatchingParent"},
           {"{group: '', kind: Service, name: reviews, port: 1}",
            "reviews Accepted=False NoMatchingParent: the Service has no port 1"}}) {
    Edge edge;
    edge.Apply(kClass + RouteOf("r", absl::StrCat("parentRefs: [", parent,
                                                  "], rules: [{backendRefs: [@reviews]}]")));
    EXPECT_TRUE(absl::StrContains(StatusOf(edge, "HTTPRoute", "r"), accepted))
        << StatusOf(edge, "HTTPRoute", "r");
  }
}

TEST(GatewayApi, ARouteThatChangesLeavesGatewaysAlone) {
  Edge edge;
  const auto route = [](const char* backend) {
    return RouteOf("r", absl::StrCat("parentRefs: [@gw], rules: [{backendRefs: [", backend, "]}]"));
  };
  edge.Apply(HttpGateway() + route("@reviews"));
  const auto before = edge.mesh().world();
  edge.Apply(route("@ratings"));
  const auto after = edge.mesh().world();
  EXPECT_TRUE(before->gateways.SharesAllWith(after->gateways));
  EXPECT_TRUE(after->gateway_api.http_routes.empty());
  EXPECT_TRUE(Says(edge.Router()->RequestAt(8080, {"h"}), "cluster=$ratings"));
}

}  // namespace
}  // namespace weft
