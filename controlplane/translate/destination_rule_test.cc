// Each field of a DestinationRule, from YAML through Translate and the proxy's compiler to what the
// proxy goes by.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controlplane/translate/run_sidecar.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr char kHello[] = "outbound|5000||hello.default.svc.cluster.local";
constexpr char kHelloV1[] = "outbound|5000|v1|hello.default.svc.cluster.local";
constexpr char kHelloTcp[] = "outbound|9000||hello.default.svc.cluster.local";

WorldBuilder Hello() {
  WorldBuilder builder;
  builder.Service("default", "hello",
                  {{"http", 5000, Protocol::kHttp}, {"tcp", 9000, Protocol::kTcp}});
  builder.Pod("default", "hello", "v1").Pod("default", "hello", "v2");
  return builder;
}

std::unique_ptr<Sidecar> SidecarWith(WorldBuilder builder, const std::string& yaml,
                                     ProxyView view = SidecarIn("default")) {
  const absl::Status status = builder.Apply(yaml);
  EXPECT_TRUE(status.ok()) << status << "\n" << yaml;
  return RunSidecar(builder.world(), view);
}

std::string RuleOf(const std::string& spec) {
  return absl::StrCat("kind: DestinationRule\nmetadata: {name: a}\nspec: ", spec, "\n");
}

testing::AssertionResult Says(const std::string& actual, const std::string& expected) {
  const std::string words = absl::StrCat(" ", expected, " ");
  if (absl::StrContains(absl::StrCat(" ", actual, " "), words)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "no '" << words << "' in: " << actual;
}

TEST(DestinationRule, WhatATrafficPolicySaysOfACluster) {
  struct Row {
    const char* policy;
    const char* expected;
  } rows[] = {
      {"{}", "lb=least_request"},
      {"{}",
       "max_connections=4294967295 max_pending=4294967295 max_requests=4294967295 "
       "max_retries=4294967295"},
      {"{}", "connect=2s"},
      {"{}",
       "socket=plain tlsMode-istio=tls,sni:outbound_.5000_._.hello.default.svc.cluster.local,"
       "alpn tlsMode-disabled=plain"},
      {"{loadBalancer: {simple: UNSPECIFIED}}", "lb=least_request"},
      {"{loadBalancer: {simple: LEAST_CONN}}", "lb=least_request"},
      {"{loadBalancer: {simple: LEAST_REQUEST}}", "lb=least_request"},
      {"{loadBalancer: {simple: ROUND_ROBIN}}", "lb=round_robin"},
      {"{loadBalancer: {simple: RANDOM}}", "lb=random"},
      {"{loadBalancer: {simple: PASSTHROUGH}}", "lb=original_dst"},
      {"{loadBalancer: {consistentHash: {useSourceIp: true}}}", "lb=ring_hash"},
      {"{loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 2048}}}", "ring=2048"},
      {"{loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 4096}}}}",
       "ring=4096"},
      {"{loadBalancer: {consistentHash: {useSourceIp: true, maglev: {}}}}", "lb=maglev"},
      {"{loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 251}}}}",
       "maglev_table=251"},
      {"{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 30s}}}", "slow_start=30s"},
      {"{loadBalancer: {warmup: {duration: 30s, aggression: 2, minimumPercent: 20}}}",
       "slow_start=30s aggression=2 min_weight=0.2"},
      {"{loadBalancer: {warmupDurationSecs: 40s}}", "slow_start=40s"},
      {"{connectionPool: {tcp: {maxConnections: 7}}}", "max_connections=7"},
      {"{connectionPool: {tcp: {connectTimeout: 300ms}}}", "connect=300ms"},
      {"{connectionPool: {tcp: {tcpKeepalive: {time: 7s, interval: 8s, probes: 9}}}}",
       "keepalive=7,8,9"},
      {"{connectionPool: {http: {http1MaxPendingRequests: 8}}}", "max_pending=8"},
      {"{connectionPool: {http: {http2MaxRequests: 9}}}", "max_requests=9"},
      {"{connectionPool: {http: {maxRetries: 3}}}", "max_retries=3"},
      {"{connectionPool: {http: {maxRequestsPerConnection: 1}}}", "requests_per_connection=1"},
      {"{connectionPool: {http: {idleTimeout: 90s}}}", "idle=1m30s"},
      {"{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}", "protocol=http2"},
      {"{connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}}", "protocol=http1"},
      {"{connectionPool: {http: {useClientProtocol: true}}}", "protocol=downstream"},
      {"{connectionPool: {http: {h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 50}}}",
       "streams=50"},
      {"{connectionPool: {http: {h2UpgradePolicy: UPGRADE, http2KeepAlive: {interval: 5s, timeout: "
       "2s}}}}",
       "ping=5s ping_timeout=2s"},
      {"{outlierDetection: {consecutive5xxErrors: 4}}", "5xx=4 gateway=off"},
      {"{outlierDetection: {consecutive5xxErrors: 0}}", "5xx=off"},
      {"{outlierDetection: {consecutiveGatewayErrors: 3}}", "5xx=5 gateway=3"},
      {"{outlierDetection: {splitExternalLocalOriginErrors: true, "
       "consecutiveLocalOriginFailures: 6}}",
       "local=6"},
      {"{outlierDetection: {interval: 5s}}", "interval=5s"},
      {"{outlierDetection: {baseEjectionTime: 3m}}", "ejection=3m"},
      {"{outlierDetection: {baseEjectionTime: 10m}}", "ejection=10m"},
      {"{outlierDetection: {maxEjectionPercent: 50}}", "ejected=50"},
      {"{outlierDetection: {minHealthPercent: 30}}", "panic=30"},
      {"{outlierDetection: {}}", "panic=0"},
      {"{tls: {mode: DISABLE}}", "socket=plain"},
      {"{tls: {mode: ISTIO_MUTUAL}}",
       "socket=tls,sni:outbound_.5000_._.hello.default.svc.cluster.local,alpn"},
      {"{tls: {mode: ISTIO_MUTUAL, sni: other}}", "socket=tls,sni:other,alpn"},
      {"{tls: {mode: SIMPLE}}", "socket=tls,sni:hello.default.svc.cluster.local,verify_sni"},
      {"{tls: {mode: SIMPLE, sni: x.example}}", "socket=tls,sni:x.example,verify_sni"},
      {"{tls: {mode: SIMPLE, caCertificates: /ca.pem, subjectAltNames: [y.example]}}",
       "socket=tls,sni:hello.default.svc.cluster.local"},
      {"{tls: {mode: SIMPLE, insecureSkipVerify: true}}",
       "socket=tls,sni:hello.default.svc.cluster.local"},
      {"{tls: {mode: MUTUAL, clientCertificate: /cert.pem, privateKey: /key.pem, caCertificates: "
       "/ca.pem}}",
       "socket=tls,sni:hello.default.svc.cluster.local,verify_sni"},
      {"{proxyProtocol: {version: V2}}", "tlsMode-disabled=plain proxy_protocol=v2"},
      {"{tls: {mode: DISABLE}, proxyProtocol: {version: V1}}", "socket=plain proxy_protocol=v1"},
      {"{retryBudget: {percent: 25, minRetryConcurrency: 5}}", "budget=25%,5"},
      {"{retryBudget: {}}", "budget=20%,3"},
  };
  for (const Row& row : rows) {
    const auto sidecar = SidecarWith(
        Hello(), RuleOf(absl::StrCat("{host: hello, trafficPolicy: ", row.policy, "}")));
    EXPECT_TRUE(Says(sidecar->Settings(kHello), row.expected)) << row.policy;
  }
}

TEST(DestinationRule, WhatATrafficPolicySaysOfRequestsAndConnections) {
  struct Row {
    const char* policy;
    const char* of_request;
    const char* of_connection;
  } rows[] = {
      {"{loadBalancer: {consistentHash: {httpHeaderName: x-user}}}", "hash=header:x-user", ""},
      {"{loadBalancer: {consistentHash: {httpQueryParameterName: q}}}", "hash=query:q", ""},
      {"{loadBalancer: {consistentHash: {useSourceIp: true}}}",
       "hash=source_ip:", "hash=source_ip"},
      {"{loadBalancer: {consistentHash: {httpCookie: {name: c}}}}", "hash=cookie:c", ""},
      {"{loadBalancer: {consistentHash: {httpCookie: {name: c, path: /p, ttl: 1m, attributes: "
       "[{name: Secure}]}}}}",
       "hash=cookie:c cookie=/p; Secure; ttl 1m", ""},
      {"{connectionPool: {tcp: {idleTimeout: 5m}}}", "", "idle=5m"},
      {"{connectionPool: {tcp: {maxConnectionDuration: 10m}}}", "", "longest=10m"},
  };
  for (const Row& row : rows) {
    const auto sidecar = SidecarWith(
        Hello(), RuleOf(absl::StrCat("{host: hello, trafficPolicy: ", row.policy, "}")));
    if (*row.of_request != '\0') {
      EXPECT_TRUE(Says(sidecar->Outcome(5000, {"hello"}), row.of_request)) << row.policy;
    }
    if (*row.of_connection != '\0') {
      EXPECT_TRUE(Says(sidecar->ConnectionTo("10.96.0.1", 9000), row.of_connection)) << row.policy;
    }
  }
}

TEST(DestinationRule, SubsetsAndPorts) {
  const auto sidecar = SidecarWith(Hello(), RuleOf(R"(
  host: hello
  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    connectionPool: {tcp: {maxConnections: 7}}
    retryBudget: {percent: 40}
    portLevelSettings: [{port: {number: 9000}, loadBalancer: {simple: ROUND_ROBIN}}]
  subsets:
  - name: v1
    labels: {version: v1}
    trafficPolicy:
      loadBalancer: {simple: LEAST_REQUEST}
      portLevelSettings: [{port: {number: 9000}, connectionPool: {tcp: {maxConnections: 3}}}]
)"));
  // A port's settings replace all that a port can have; a subset's those that it states.
  EXPECT_TRUE(Says(sidecar->Settings(kHelloTcp), "lb=round_robin"));
  EXPECT_TRUE(Says(sidecar->Settings(kHelloTcp), "max_connections=4294967295"));
  EXPECT_TRUE(Says(sidecar->Settings(kHelloTcp), "budget=40%,3"));
  EXPECT_TRUE(Says(sidecar->Settings(kHelloV1), "lb=least_request"));
  EXPECT_TRUE(Says(sidecar->Settings(kHelloV1), "max_connections=7"));
  const std::string v1_tcp = sidecar->Settings("outbound|9000|v1|hello.default.svc.cluster.local");
  EXPECT_TRUE(Says(v1_tcp, "lb=least_request"));
  EXPECT_TRUE(Says(v1_tcp, "max_connections=3"));
  EXPECT_EQ(sidecar->Picks(kHelloV1, 20), std::vector<std::string>{"10.244.0.2:5000"});
  EXPECT_EQ(sidecar->Picks(kHello, 20).size(), 2u);
}

std::string Named(const std::string& metadata, const std::string& spec) {
  return absl::StrCat("---\nkind: DestinationRule\nmetadata: ", metadata, "\nspec: ", spec, "\n");
}

TEST(DestinationRule, WhichOfSeveralHolds) {
  const std::string host = "host: hello.default.svc.cluster.local";
  const auto random = [&](const char* more = "") {
    return absl::StrCat("{", host, ", trafficPolicy: {loadBalancer: {simple: RANDOM}}", more, "}");
  };
  const auto robin = [&](const char* more = "") {
    return absl::StrCat("{", host, ", trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}", more,
                        "}");
  };
  struct Row {
    const char* name;
    std::string yaml;
    const char* expected;
  } rows[] = {
      {"one host, one namespace: the oldest",
       Named("{name: b}", random()) + Named("{name: a}", robin()), "lb=round_robin"},
      {"the first that states a policy",
       Named("{name: a}", absl::StrCat("{", host, "}")) + Named("{name: b}", random()),
       "lb=random"},
      {"the client's namespace first",
       Named("{name: a}", random()) + Named("{name: b, namespace: web}", robin()),
       "lb=round_robin"},
      {"then the service's", Named("{name: a}", random()), "lb=random"},
      {"then the root's", Named("{name: a, namespace: istio-system}", robin()), "lb=round_robin"},
      {"nobody else's", Named("{name: a, namespace: other}", robin()), "lb=least_request"},
      {"a wildcard",
       Named("{name: a}",
             "{host: '*.default.svc.cluster.local', trafficPolicy: "
             "{loadBalancer: {simple: RANDOM}}}"),
       "lb=random"},
      {"an exact host before a wildcard",
       Named("{name: a}",
             "{host: '*.default.svc.cluster.local', trafficPolicy: {loadBalancer: "
             "{simple: RANDOM}}}") +
           Named("{name: b}", robin()),
       "lb=round_robin"},
      {"not exported", Named("{name: a}", random(", exportTo: ['.']")), "lb=least_request"},
      {"exported by name", Named("{name: a}", random(", exportTo: [web]")), "lb=random"},
      {"exported to all", Named("{name: a}", random(", exportTo: ['*']")), "lb=random"},
      {"one that selects the client first",
       Named("{name: a, namespace: web}", random()) +
           Named("{name: b, namespace: web}",
                 robin(", workloadSelector: {matchLabels: {app: web}}")),
       "lb=round_robin"},
      {"not one that selects others",
       Named("{name: a, namespace: web}", random()) +
           Named("{name: b, namespace: web}", robin(", workloadSelector: {matchLabels: {app: x}}")),
       "lb=random"},
      {"of those that select it, the oldest",
       Named("{name: a, namespace: web}", random(", workloadSelector: {matchLabels: {app: web}}")) +
           Named("{name: b, namespace: web}",
                 robin(", workloadSelector: {matchLabels: {tier: front}}")),
       "lb=random"},
      {"selectors are of clients in their own namespace",
       Named("{name: a}", random(", workloadSelector: {matchLabels: {app: web}}")),
       "lb=least_request"},
  };
  ProxyView view = SidecarIn("web");
  view.labels = {{"app", "web"}, {"tier", "front"}};
  for (const Row& row : rows) {
    const auto sidecar = SidecarWith(Hello(), row.yaml, view);
    EXPECT_TRUE(Says(sidecar->Settings(kHello), row.expected)) << row.name;
  }
}

TEST(DestinationRule, SubsetsOfRulesForOneHostAreTakenTogether) {
  const auto sidecar = SidecarWith(
      Hello(), Named("{name: a}", "{host: hello, subsets: [{name: v1, labels: {version: v1}}]}") +
                   Named("{name: b}",
                         "{host: hello, subsets: [{name: v2, labels: {version: v2}}, "
                         "{name: v1, labels: {version: v9}}]}"));
  EXPECT_EQ(sidecar->Picks(kHelloV1, 20), std::vector<std::string>{"10.244.0.2:5000"});
  EXPECT_EQ(sidecar->Picks("outbound|5000|v2|hello.default.svc.cluster.local", 20),
            std::vector<std::string>{"10.244.0.3:5000"});
}

// Pods in eu/a (10.244.0.2), eu/b (.3), us/a (.4) and asia/a (.5).
WorldBuilder Everywhere() {
  WorldBuilder builder;
  builder.Service("default", "hello", {{"http", 5000, Protocol::kHttp}});
  builder.Pod("default", "hello", "v1", {"eu", "a"}).Pod("default", "hello", "v2", {"eu", "b"});
  builder.Pod("default", "hello", "v1", {"us", "a"}).Pod("default", "hello", "v2", {"asia", "a"});
  return builder;
}

TEST(DestinationRule, LocalityLbSetting) {
  struct Row {
    const char* setting;
    const char* places;
  } rows[] = {
      {"{}",
       "0 eu/a weight 1: 10.244.0.2:5000\n1 eu/b weight 1: 10.244.0.3:5000\n"
       "2 asia/a weight 1: 10.244.0.5:5000\n2 us/a weight 1: 10.244.0.4:5000"},
      {"{enabled: false}",
       "0 asia/a weight 1: 10.244.0.5:5000\n0 eu/a weight 1: 10.244.0.2:5000\n"
       "0 eu/b weight 1: 10.244.0.3:5000\n0 us/a weight 1: 10.244.0.4:5000"},
      {"{failover: [{from: eu, to: us}]}",
       "0 eu/a weight 1: 10.244.0.2:5000\n1 eu/b weight 1: 10.244.0.3:5000\n"
       "2 us/a weight 1: 10.244.0.4:5000\n3 asia/a weight 1: 10.244.0.5:5000"},
      {"{failover: [{from: us, to: asia}]}",
       "0 eu/a weight 1: 10.244.0.2:5000\n1 eu/b weight 1: 10.244.0.3:5000\n"
       "2 asia/a weight 1: 10.244.0.5:5000\n2 us/a weight 1: 10.244.0.4:5000"},
      {"{failoverPriority: [topology.kubernetes.io/region]}",
       "0 eu/a weight 1: 10.244.0.2:5000\n0 eu/b weight 1: 10.244.0.3:5000\n"
       "1 asia/a weight 1: 10.244.0.5:5000\n1 us/a weight 1: 10.244.0.4:5000"},
      {"{failoverPriority: [version, topology.kubernetes.io/region]}",  // the client's is v2
       "0 eu/b weight 1: 10.244.0.3:5000\n1 asia/a weight 1: 10.244.0.5:5000\n"
       "2 eu/a weight 1: 10.244.0.2:5000\n2 us/a weight 1: 10.244.0.4:5000"},
      {"{failoverPriority: ['version=v1']}",
       "0 eu/a weight 1: 10.244.0.2:5000\n0 us/a weight 1: 10.244.0.4:5000\n"
       "1 asia/a weight 1: 10.244.0.5:5000\n1 eu/b weight 1: 10.244.0.3:5000"},
      {"{distribute: [{from: eu/a/*, to: {'eu/*': 80, us/a: 20}}]}",
       "0 eu/a weight 400000: 10.244.0.2:5000\n0 eu/b weight 400000: 10.244.0.3:5000\n"
       "0 us/a weight 200000: 10.244.0.4:5000"},
      {"{distribute: [{from: us, to: {us: 100}}, {from: eu, to: {asia: 100}}]}",
       "0 asia/a weight 1000000: 10.244.0.5:5000"},
      {"{failoverPriority: ['version=v1'], failover: [{from: eu, to: asia}]}",
       "0 eu/a weight 1: 10.244.0.2:5000\n1 us/a weight 1: 10.244.0.4:5000\n"
       "2 eu/b weight 1: 10.244.0.3:5000\n3 asia/a weight 1: 10.244.0.5:5000"},
      {"{distribute: [{from: eu/a/*, to: {eu/a: 100, eu/b: 0}}], failover: [{from: eu, to: us}]}",
       "0 eu/a weight 1000000: 10.244.0.2:5000\n1 us/a weight 1: 10.244.0.4:5000\n"
       "2 asia/a weight 1: 10.244.0.5:5000"},
      {"{distribute: [{from: us/*, to: {us: 100}}]}",  // says nothing of this client
       "0 eu/a weight 1: 10.244.0.2:5000\n1 eu/b weight 1: 10.244.0.3:5000"},
  };
  ProxyView view = SidecarIn("default", {"eu", "a"});
  view.labels = {{"version", "v2"}};
  for (const Row& row : rows) {
    const auto sidecar =
        SidecarWith(Everywhere(),
                    RuleOf(absl::StrCat("{host: hello, trafficPolicy: {loadBalancer: "
                                        "{localityLbSetting: ",
                                        row.setting, "}}}")),
                    view);
    const std::string places = sidecar->Places(kHello);
    EXPECT_EQ(places.substr(0, std::string(row.places).size()), row.places) << row.setting;
    const bool weighted = absl::StrContains(row.setting, "distribute");
    EXPECT_EQ(absl::StrContains(sidecar->Settings(kHello), "locality_weighted"), weighted);
  }
}

TEST(DestinationRule, FailsOverToTheRegionThatTheRuleNames) {
  WorldBuilder builder;
  builder.Service("default", "hello", {{"http", 5000, Protocol::kHttp}});
  builder.Pod("default", "hello", "v1", {"us", "a"}).Pod("default", "hello", "v2", {"asia", "a"});
  const auto sidecar =
      SidecarWith(builder,
                  RuleOf("{host: hello, trafficPolicy: {loadBalancer: {localityLbSetting: "
                         "{failover: [{from: eu, to: us}]}}}}"),
                  SidecarIn("default", {"eu", "a"}));
  EXPECT_EQ(sidecar->Picks(kHello, 20), std::vector<std::string>{"10.244.0.2:5000"});
}

}  // namespace
}  // namespace weft
