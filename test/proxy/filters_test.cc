// HTTP filters, header operations, routing fields and mirrors through the running proxy.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

constexpr char kHttp[] = "type.googleapis.com/envoy.extensions.filters.http.";

std::string Typed(const std::string& type, const std::string& config) {
  return absl::StrCat("{\"@type\": ", kHttp, type, config.empty() ? "" : ", ", config, "}");
}

std::string Filter(const std::string& name, const std::string& type, const std::string& config) {
  return absl::StrCat("{name: ", name, ", typed_config: ", Typed(type, config), "}");
}

std::string Listener(int port, const std::vector<std::string>& filters, const std::string& routes,
                     const std::string& more_of_manager = "",
                     const std::string& more_of_host = "") {
  std::vector<std::string> all = filters;
  all.push_back(Filter("router", "router.v3.Router", ""));
  return absl::StrCat(
      "{name: in, address: {socket_address: {address: 127.0.0.1, port_value: ", port,
      "}}, filter_chains: [{filters: [{name: http, typed_config: {\"@type\": "
      "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."
      "HttpConnectionManager, stat_prefix: in, ",
      more_of_manager, " route_config: {name: r, virtual_hosts: [{name: all, ", more_of_host,
      " domains: [\"*\"], routes: [", routes, "]}]}, http_filters: [", absl::StrJoin(all, ", "),
      "]}}]}]}");
}

struct Filtered {
  Filtered(const std::vector<std::string>& filters, const std::string& routes,
           const std::string& more_of_manager = "", const std::string& more_of_host = "",
           Upstream::Script script = Echo)
      : upstream(std::move(script)),
        proxy({Listener(port, filters, routes, more_of_manager, more_of_host)},
              {Cluster("up", {upstream.port()})}) {}

  Upstream upstream;
  const int port = FreePort();
  ProxyProcess proxy;
};

std::string Request(const std::string& method, const std::string& fields) {
  return absl::StrCat(method, " / HTTP/1.1\r\nHost: h\r\n", fields, "\r\n");
}

// ---- CORS.

std::string CorsRoute(const std::string& more = "") {
  return absl::StrCat(
      "{match: {prefix: /}, route: {cluster: up}, typed_per_filter_config: {cors: ",
      Typed("cors.v3.CorsPolicy",
            "allow_origin_string_match: [{exact: \"https://a.example\"}], allow_methods: \"GET, "
            "PUT\", allow_headers: x-a, expose_headers: x-b, max_age: \"60\", allow_credentials: "
            "true" +
                more),
      "}}");
}

TEST(Cors, PreflightIsAnsweredHere) {
  Filtered s({Filter("cors", "cors.v3.Cors", "")}, CorsRoute());
  const std::string asks = "Access-Control-Request-Method: PUT\r\n";
  const Message answer = Ask(s.port, Request("OPTIONS", "Origin: https://a.example\r\n" + asks));
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(answer.Field("access-control-allow-origin"), "https://a.example");
  EXPECT_EQ(answer.Field("access-control-allow-methods"), "GET, PUT");
  EXPECT_EQ(answer.Field("access-control-allow-headers"), "x-a");
  EXPECT_EQ(answer.Field("access-control-max-age"), "60");
  EXPECT_EQ(answer.Field("access-control-allow-credentials"), "true");
  EXPECT_EQ(s.upstream.connections(), 0);
  // What is not allowed goes on, and nothing is said for it.
  const Message other = Ask(s.port, Request("OPTIONS", "Origin: https://b.example\r\n" + asks));
  EXPECT_TRUE(absl::StartsWith(other.body, "OPTIONS / "));
  EXPECT_EQ(other.Field("access-control-allow-origin"), "");
  EXPECT_EQ(s.proxy.Stat("cors.origin_valid"), 1);
  EXPECT_EQ(s.proxy.Stat("cors.origin_invalid"), 1);
}

TEST(Cors, ResponsesSayWhoMayReadThem) {
  Filtered s({Filter("cors", "cors.v3.Cors", "")}, CorsRoute());
  const Message allowed = Ask(s.port, Get("/", "Origin: https://a.example\r\n"));
  EXPECT_EQ(allowed.Field("access-control-allow-origin"), "https://a.example");
  EXPECT_EQ(allowed.Field("access-control-expose-headers"), "x-b");
  EXPECT_EQ(Ask(s.port, Get("/")).Field("access-control-allow-origin"), "");
}

TEST(Cors, AShadowedPolicyOnlyCounts) {
  Filtered s({Filter("cors", "cors.v3.Cors", "")},
             CorsRoute(", filter_enabled: {default_value: {numerator: 0}}, shadow_enabled: "
                       "{default_value: {numerator: 100}}"));
  const Message answer = Ask(s.port, Get("/", "Origin: https://a.example\r\n"));
  EXPECT_EQ(answer.Field("access-control-allow-origin"), "");
  EXPECT_EQ(s.proxy.Stat("cors.origin_valid"), 1);
}

// ---- Faults.

TEST(Fault, AbortsWhatItMatches) {
  Filtered s({Filter("fault", "fault.v3.HTTPFault",
                     "abort: {http_status: 418, percentage: {numerator: 100}}, headers: [{name: "
                     "x-bad, string_match: {exact: \"1\"}}]")},
             RouteTo("up"));
  const Message aborted = Ask(s.port, Get("/", "x-bad: 1\r\n"));
  EXPECT_EQ(aborted.status(), 418);
  EXPECT_EQ(aborted.body, "fault filter abort");
  EXPECT_EQ(Ask(s.port, Get("/", "x-bad: 2\r\n")).status(), 200);
  EXPECT_EQ(s.proxy.Stat("fault.aborts_injected"), 1);
}

TEST(Fault, AGrpcCallIsAbortedWithAStatusOfGrpc) {
  Filtered s({Filter("fault", "fault.v3.HTTPFault",
                     "abort: {grpc_status: 9, percentage: {numerator: 100}}")},
             RouteTo("up"));
  const Message answer = Ask(s.port, Get("/", "Content-Type: application/grpc\r\n"));
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.Field("grpc-status"), "9");
}

TEST(Fault, DelaysAndThenForwards) {
  Filtered s({Filter("fault", "fault.v3.HTTPFault",
                     "delay: {fixed_delay: 0.2s, percentage: {numerator: 100}}")},
             RouteTo("up"));
  const absl::Time start = absl::Now();
  EXPECT_EQ(Ask(s.port, Get("/")).status(), 200);
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(190));
  EXPECT_EQ(s.proxy.Stat("fault.delays_injected"), 1);
}

TEST(Fault, RoutesOverrideAndDisable) {
  const std::string fault = "abort: {http_status: 500, percentage: {numerator: 100}}";
  Filtered s(
      {Filter("fault", "fault.v3.HTTPFault", fault)},
      absl::StrCat(
          "{match: {path: /off}, route: {cluster: up}, typed_per_filter_config: {fault: "
          "{\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}}, ",
          "{match: {path: /other}, direct_response: {status: 200}, typed_per_filter_config: "
          "{fault: ",
          Typed("fault.v3.HTTPFault", "abort: {http_status: 501, percentage: {numerator: 100}}"),
          "}}, ", RouteTo("up")));
  EXPECT_EQ(Ask(s.port, Get("/off")).status(), 200);
  EXPECT_EQ(Ask(s.port, Get("/other")).status(), 501);
  EXPECT_EQ(Ask(s.port, Get("/")).status(), 500);
}

// ---- Local rate limit.

TEST(LocalRateLimit, EnforcedOnTheRouteThatHasIt) {
  const std::string all = "{default_value: {numerator: 100}}";
  Filtered s(
      {Filter("limit", "local_ratelimit.v3.LocalRateLimit", "stat_prefix: none")},
      absl::StrCat(
          "{match: {path: /limited}, route: {cluster: up}, typed_per_filter_config: {limit: ",
          Typed("local_ratelimit.v3.LocalRateLimit",
                absl::StrCat("stat_prefix: mine, token_bucket: {max_tokens: 2, fill_interval: "
                             "3600s}, filter_enabled: ",
                             all, ", filter_enforced: ", all,
                             ", response_headers_to_add: [{header: {key: x-limited, value: "
                             "\"yes\"}}], enable_x_ratelimit_headers: DRAFT_VERSION_03")),
          "}}, ", RouteTo("up")));
  EXPECT_EQ(Ask(s.port, Get("/limited")).Field("x-ratelimit-remaining"), "1");
  EXPECT_EQ(Ask(s.port, Get("/limited")).status(), 200);
  const Message limited = Ask(s.port, Get("/limited"));
  EXPECT_EQ(limited.status(), 429);
  EXPECT_EQ(limited.body, "local_rate_limited");
  EXPECT_EQ(limited.Field("x-limited"), "yes");
  EXPECT_EQ(limited.Field("x-ratelimit-limit"), "2");
  EXPECT_EQ(Ask(s.port, Get("/free")).status(), 200);
  EXPECT_EQ(s.proxy.Stat("mine.http_local_rate_limit.enabled"), 3);
  EXPECT_EQ(s.proxy.Stat("mine.http_local_rate_limit.ok"), 2);
  EXPECT_EQ(s.proxy.Stat("mine.http_local_rate_limit.rate_limited"), 1);
  EXPECT_EQ(s.proxy.Stat("mine.http_local_rate_limit.enforced"), 1);
}

TEST(LocalRateLimit, WithoutEnforcementTheRequestIsMarked) {
  Filtered s({Filter("limit", "local_ratelimit.v3.LocalRateLimit",
                     "stat_prefix: mine, token_bucket: {max_tokens: 1, fill_interval: 3600s}, "
                     "filter_enabled: {default_value: {numerator: 100}}, "
                     "request_headers_to_add_when_not_enforced: [{header: {key: x-over, value: "
                     "\"1\"}}]")},
             RouteTo("up"));
  EXPECT_FALSE(absl::StrContains(Ask(s.port, Get("/")).body, "x-over: 1"));
  EXPECT_TRUE(absl::StrContains(Ask(s.port, Get("/")).body, "x-over: 1"));
  EXPECT_EQ(s.proxy.Stat("mine.http_local_rate_limit.enforced"), 0);
}

// ---- Header mutation, and header operations with format strings.

TEST(HeaderMutation, OfTheFilterAndThenOfTheRoute) {
  Filtered s(
      {Filter("mutate", "header_mutation.v3.HeaderMutation",
              "mutations: {request_mutations: [{remove: x-secret}, {append: {header: {key: x-n, "
              "value: filter}}}], response_mutations: [{append: {header: {key: x-r, value: "
              "\"%RESPONSE_CODE%\"}}}]}")},
      absl::StrCat("{match: {prefix: /}, route: {cluster: up}, typed_per_filter_config: {mutate: ",
                   Typed("header_mutation.v3.HeaderMutationPerRoute",
                         "mutations: {request_mutations: [{append: {header: {key: x-n, value: "
                         "route}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}}]}"),
                   "}}"));
  const Message answer = Ask(s.port, Get("/", "x-secret: 1\r\n"));
  EXPECT_FALSE(absl::StrContains(answer.body, "x-secret"));
  EXPECT_FALSE(absl::StrContains(answer.body, "x-n: filter"));
  EXPECT_TRUE(absl::StrContains(answer.body, "x-n: route"));
  EXPECT_EQ(answer.Field("x-r"), "200");
}

TEST(HeaderOperations, EvaluateCommandOperators) {
  Filtered s({},
             "{match: {prefix: /}, name: here, route: {cluster: up}, request_headers_to_add: "
             "[{header: {key: x-from, value: \"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% "
             "%REQ(x-a):2%\"}}, {header: {key: x-none, value: \"%REQ(x-b)%\"}}], "
             "response_headers_to_add: [{header: {key: x-route, value: "
             "\"%ROUTE_NAME%/%RESP(x-up)%\"}}]}",
             "", "", Always("HTTP/1.1 200 OK\r\nx-up: u\r\ncontent-length: 0\r\n\r\n"));
  EXPECT_EQ(Ask(s.port, Get("/")).Field("x-route"), "here/u");
  Filtered echo({},
                "{match: {prefix: /}, route: {cluster: up}, request_headers_to_add: [{header: "
                "{key: x-from, value: \"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %REQ(x-a):2%\"}}, "
                "{header: {key: x-none, value: \"%REQ(x-b)%\"}}]}");
  const std::string body = Ask(echo.port, Get("/", "x-a: abc\r\n")).body;
  EXPECT_TRUE(absl::StrContains(body, "x-from: 127.0.0.1 ab\r\n")) << body;
  EXPECT_FALSE(absl::StrContains(body, "x-none")) << body;
}

// ---- Routing.

TEST(Routing, HostRewritesAndWhatTheyLeaveBehind) {
  Filtered s({},
             "{match: {prefix: /regex}, route: {cluster: up, host_rewrite_path_regex: {pattern: "
             "{regex: \"^/regex/([a-z]+).*\"}, substitution: \"\\\\1.example\"}, "
             "append_x_forwarded_host: true, prefix_rewrite: /new}}, "
             "{match: {prefix: /header}, route: {cluster: up, host_rewrite_header: x-host}}");
  const std::string regex = Ask(s.port, Get("/regex/abc/d")).body;
  EXPECT_TRUE(absl::StartsWith(regex, "GET /new/abc/d HTTP/1.1\r\nHost: abc.example\r\n")) << regex;
  EXPECT_TRUE(absl::StrContains(regex, "x-forwarded-host: test\r\n")) << regex;
  EXPECT_TRUE(absl::StrContains(regex, "x-envoy-original-path: /regex/abc/d\r\n")) << regex;
  const std::string header = Ask(s.port, Get("/header", "x-host: named\r\n")).body;
  EXPECT_TRUE(absl::StrContains(header, "Host: named\r\n")) << header;
}

TEST(Routing, TheRequestMayNameItsCluster) {
  Filtered s({}, "{match: {prefix: /}, route: {cluster_header: x-to}}");
  EXPECT_EQ(Ask(s.port, Get("/", "x-to: up\r\n")).status(), 200);
  EXPECT_EQ(Ask(s.port, Get("/", "x-to: other\r\n")).status(), 503);
  EXPECT_EQ(Ask(s.port, Get("/")).status(), 503);
}

TEST(Routing, PlainTextIsSentAwayWhereTlsIsRequired) {
  Filtered s({}, RouteTo("up"), "", "require_tls: ALL,");
  const Message answer = Ask(s.port, Get("/a?b=c"));
  EXPECT_EQ(answer.status(), 301);
  EXPECT_EQ(answer.Field("location"), "https://test/a?b=c");
}

TEST(Routing, ACookieIsMadeForTheHash) {
  Filtered s({}, RouteTo("up", "hash_policy: [{cookie: {name: k, ttl: 60s, path: /}}]"));
  const std::string cookie = Ask(s.port, Get("/")).Field("set-cookie");
  EXPECT_TRUE(absl::StartsWith(cookie, "k=\"")) << cookie;
  EXPECT_TRUE(absl::EndsWith(cookie, "; Max-Age=60; Path=/; HttpOnly")) << cookie;
  EXPECT_EQ(Ask(s.port, Get("/", "Cookie: k=v\r\n")).Field("set-cookie"), "");
}

TEST(Routing, AttemptsAreCountedBothWays) {
  std::atomic<int> turns{0};
  Filtered s({}, RouteTo("up", "retry_policy: {retry_on: 5xx, num_retries: 2}"), "",
             "include_request_attempt_count: true, include_attempt_count_in_response: true,",
             [&](Socket& socket, int) {
               while (true) {
                 const Message request = socket.ReadRequest();
                 if (!request.complete) return;
                 const int turn = ++turns;
                 EXPECT_EQ(request.Field("x-envoy-attempt-count"), absl::StrCat(turn));
                 socket.Send(turn == 1 ? "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"
                                       : "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
               }
             });
  const Message answer = Ask(s.port, Get("/"));
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.Field("x-envoy-attempt-count"), "2");
}

TEST(Routing, ATrustedRequestSaysHowItIsServed) {
  Filtered s({}, RouteTo("up"), "", "", [](Socket& socket, int) {
    socket.ReadRequest();
    socket.Read(1);
  });
  const absl::Time start = absl::Now();
  EXPECT_EQ(Ask(s.port, Get("/", "x-envoy-upstream-rq-timeout-ms: 100\r\n")).status(), 504);
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST(Routing, Row66AnUntrustedRequestDoesNot) {
  Filtered s({}, RouteTo("up"), "internal_address_config: {unix_sockets: false},");
  const std::string body =
      Ask(s.port, Get("/", "x-envoy-upstream-rq-timeout-ms: 1\r\nx-envoy-retry-on: 5xx\r\n")).body;
  EXPECT_FALSE(absl::StrContains(body, "x-envoy-")) << body;
}

TEST(Routing, TheManagersHeaders) {
  Filtered s({}, RouteTo("up"),
             "server_name: me, via: weft, always_set_request_id_in_response: true, "
             "common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST},");
  const Message answer = Ask(s.port, Get("/", "x-request-id: id1\r\n"));
  EXPECT_EQ(answer.Field("server"), "me");
  EXPECT_EQ(answer.Field("via"), "weft");
  EXPECT_EQ(answer.Field("x-request-id"), "id1");
  EXPECT_TRUE(absl::StrContains(answer.body, "via: weft\r\n"));
  EXPECT_EQ(Ask(s.port, Get("/", "a_b: 1\r\n")).status(), 400);
}

TEST(Routing, LocalRepliesAreMappedAndFormatted) {
  Filtered s({}, "{match: {path: /x}, route: {cluster: up}}",
             "local_reply_config: {mappers: [{filter: {response_flag_filter: {flags: [NR]}}, "
             "status_code: 410, body: {inline_string: gone}, headers_to_add: [{header: {key: x-m, "
             "value: \"1\"}}]}], body_format: {json_format: {code: \"%RESPONSE_CODE%\", body: "
             "\"%LOCAL_REPLY_BODY%\"}}},");
  const Message answer = Ask(s.port, Get("/none"));
  EXPECT_EQ(answer.status(), 410);
  EXPECT_EQ(answer.Field("x-m"), "1");
  EXPECT_EQ(answer.Field("content-type"), "application/json");
  EXPECT_EQ(answer.body, "{\"body\":\"gone\",\"code\":410}\n");
}

// ---- Mirrors.

TEST(Mirror, GetsACopyWithItsBody) {
  std::mutex mutex;
  std::vector<std::string> seen;
  Upstream shadow([&](Socket& socket, int) {
    while (true) {
      const Message request = socket.ReadRequest();
      if (!request.complete) return;
      std::lock_guard<std::mutex> lock(mutex);
      seen.push_back(request.head + request.body);
      socket.Send("HTTP/1.1 500 No\r\ncontent-length: 3\r\n\r\nbad");
    }
  });
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy(
      {Listener(port, {}, RouteTo("up", "request_mirror_policies: [{cluster: shadow}]"))},
      {Cluster("up", {upstream.port()}), Cluster("shadow", {shadow.port()})});
  EXPECT_EQ(Ask(port, Get("/a")).status(), 200);
  EXPECT_EQ(Ask(port,
                "POST /b HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\n0\r\n\r\n")
                .status(),
            200);
  EXPECT_TRUE(Eventually([&] {
    std::lock_guard<std::mutex> lock(mutex);
    return seen.size() == 2;
  }));
  std::lock_guard<std::mutex> lock(mutex);
  std::sort(seen.begin(), seen.end());  // nobody waits for a copy: "GET" before "POST"
  EXPECT_TRUE(absl::StrContains(seen[0], "Host: test-shadow\r\n")) << seen[0];
  EXPECT_TRUE(absl::StrContains(seen[1], "Host: h-shadow:1\r\n")) << seen[1];
  EXPECT_TRUE(absl::EndsWith(seen[1], "abc")) << seen[1];
}

TEST(Mirror, OneThatIsDeadChangesNothing) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy(
      {Listener(port, {}, RouteTo("up", "request_mirror_policies: [{cluster: shadow}]"))},
      {Cluster("up", {upstream.port()}), Cluster("shadow", {FreePort()})});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask(port, Get("/")).status(), 200);
}

}  // namespace
}  // namespace weft::test
