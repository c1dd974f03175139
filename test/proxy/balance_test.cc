// How the running proxy chooses among the endpoints of a cluster: health checks, outliers, slow
// endpoints, hashes, subsets.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

std::string Response(int status, const std::string& body) {
  return absl::StrCat("HTTP/1.1 ", status, " x\r\ncontent-length: ", body.size(), "\r\n\r\n", body);
}

// Answers each request with its name; what it answers, and after how long, may change.
struct Backend {
  explicit Backend(const std::string& name)
      : upstream([this, name](Socket& socket, int) {
          while (true) {
            const Message request = socket.ReadRequest();
            if (!request.complete) return;
            ++requests;
            if (delay_ms > 0) absl::SleepFor(absl::Milliseconds(delay_ms.load()));
            if (!socket.Send(Response(status, name))) return;
          }
        }) {}

  std::atomic<int> status{200};
  std::atomic<int> delay_ms{0};
  std::atomic<int> requests{0};
  Upstream upstream;  // last: its threads use the above
};

// Who answered, over one connection.
std::map<std::string, int> Answers(int port, int requests, const std::string& more_fields = "") {
  std::map<std::string, int> answers;
  for (int i = 0; i < requests; ++i) ++answers[Ask(port, Get("/", more_fields)).body];
  return answers;
}

TEST(Balance, AnOutlierIsEjectedAndLetBackIn) {
  Backend good("good");
  Backend bad("bad");
  bad.status = 500;
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("l", port, RouteTo("c"))},
                     {Cluster("c", {good.upstream.port(), bad.upstream.port()},
                              "outlier_detection: {consecutive_5xx: 3, interval: 0.1s, "
                              "base_ejection_time: 0.5s, max_ejection_percent: 50},")});
  ASSERT_TRUE(Eventually([&] {
    Ask(port, Get("/"));
    return proxy.Stat("outlier_detection.ejections_active") == 1;
  }));
  EXPECT_EQ(bad.requests, 3);
  EXPECT_EQ(proxy.Stat("ejections_enforced_consecutive_5xx"), 1);
  bad.status = 200;
  EXPECT_TRUE(Eventually([&] { return Ask(port, Get("/")).body == "bad"; })) << "let back in";
  EXPECT_EQ(proxy.Stat("outlier_detection.ejections_active"), 0);
}

TEST(Balance, AHealthCheckTakesAnEndpointOutAndBackIn) {
  Backend a("a");
  Backend b("b");
  b.status = 503;
  const int port = FreePort();
  ProxyProcess proxy(
      {HttpListener("l", port, RouteTo("c"))},
      {Cluster("c", {a.upstream.port(), b.upstream.port()},
               "health_checks: [{timeout: 2s, interval: 0.05s, unhealthy_threshold: 1, "
               "healthy_threshold: 1, http_health_check: {path: /health}}],")});
  // Ready only after the first round.
  EXPECT_EQ(Answers(port, 20)["a"], 20);
  EXPECT_NE(proxy.Admin("/clusters").body.find("/failed_active_hc"), std::string::npos);
  b.status = 200;
  EXPECT_TRUE(Eventually([&] { return Answers(port, 2)["b"] == 1; }));
  a.status = 503;
  EXPECT_TRUE(Eventually([&] { return Answers(port, 4)["b"] == 4; }));
}

TEST(Balance, TheSlowOneOfTenIsAvoided) {
  std::vector<std::unique_ptr<Backend>> backends;
  std::vector<int> ports;
  for (int i = 0; i < 10; ++i) {
    backends.push_back(std::make_unique<Backend>(absl::StrCat(i)));
    ports.push_back(backends.back()->upstream.port());
  }
  backends[3]->delay_ms = 100;
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("l", port, RouteTo("c"))},
                     {Cluster("c", ports, "lb_policy: LEAST_REQUEST,")});
  const int requests = 500;
  Answers(port, requests);
  EXPECT_GE(backends[3]->requests, 1) << "or it would not be known to be slow";
  EXPECT_LT(backends[3]->requests, requests / 100) << "a hundredth has no part in the p99";
}

TEST(Balance, AHashSticksToItsEndpoint) {
  Backend a("a");
  Backend b("b");
  Backend c("c");
  for (const std::string policy : {"RING_HASH", "MAGLEV"}) {
    const int port = FreePort();
    ProxyProcess proxy(
        {HttpListener("l", port, RouteTo("c", "hash_policy: [{header: {header_name: x-user}}]"))},
        {Cluster("c", {a.upstream.port(), b.upstream.port(), c.upstream.port()},
                 absl::StrCat("lb_policy: ", policy, ","))});
    std::map<std::string, int> all;
    for (int user = 0; user < 30; ++user) {
      auto answers = Answers(port, 3, absl::StrCat("x-user: ", user, "\r\n"));
      EXPECT_EQ(answers.size(), 1u) << policy << " user " << user;
      ++all[answers.begin()->first];
    }
    EXPECT_EQ(all.size(), 3u) << policy << ": the users are spread";
  }
}

TEST(Balance, ADefaultSubsetServesWhoAsksForNothing) {
  Backend one("one");
  Backend two("two");
  const auto endpoint = [](const Backend& backend, int version) {
    return absl::StrCat("{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ",
                        backend.upstream.port(),
                        "}}}, metadata: {filter_metadata: {envoy.lb: {version: '", version,
                        "'}}}}");
  };
  const std::string cluster =
      absl::StrCat("{name: c, lb_subset_config: {fallback_policy: DEFAULT_SUBSET, default_subset: ",
                   "{version: '2'}, subset_selectors: [{keys: [version]}]}, load_assignment: ",
                   "{cluster_name: c, endpoints: [{lb_endpoints: [", endpoint(one, 1), ", ",
                   endpoint(two, 2), "]}]}}");
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("l", port, RouteTo("c"))}, {cluster});
  EXPECT_EQ(Answers(port, 20)["two"], 20);
  EXPECT_EQ(proxy.Stat("lb_subsets_fallback"), 20);
}

TEST(Balance, AnOriginalDestinationByHeader) {
  Backend backend("there");
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("l", port, RouteTo("c"))},
                     {"{name: c, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED, "
                      "original_dst_lb_config: {use_http_header: true}}"});
  const std::string field =
      absl::StrCat("x-envoy-original-dst-host: 127.0.0.1:", backend.upstream.port(), "\r\n");
  EXPECT_EQ(Ask(port, Get("/", field)).body, "there");
  EXPECT_EQ(Ask(port, Get("/")).status(), 503);
  EXPECT_EQ(Ask(port, Get("/", "x-envoy-original-dst-host: elsewhere\r\n")).status(), 503);
}

}  // namespace
}  // namespace weft::test
