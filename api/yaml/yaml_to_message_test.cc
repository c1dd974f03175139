#include "api/yaml/yaml_to_message.h"

#include <string>

#include "api/envoy/bootstrap.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/router.pb.h"
#include "api/istio/networking.pb.h"
#include "api/istio/security.pb.h"
#include "api/kubernetes/core.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/wrappers.pb.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::google::protobuf::Message;
using ::istio::networking::v1alpha3::DestinationRule;
using ::istio::networking::v1alpha3::VirtualService;
using ::testing::HasSubstr;
using ::testing::Not;

absl::Status Read(const std::string& text, Message* message,
                  UnknownFields unknown = UnknownFields::kReject) {
  const auto documents = ParseYamlDocuments(text);
  if (!documents.ok()) return documents.status();
  if (documents->size() != 1) return absl::InternalError("not one document");
  return YamlToMessage(documents->front()->root(), unknown, message);
}

template <typename T>
std::string ErrorOf(const std::string& text) {
  T message;
  const absl::Status status = Read(text, &message);
  return status.ok() ? "(accepted)" : std::string(status.message());
}

template <typename T>
std::string JsonOf(const std::string& text) {
  T message;
  const absl::Status status = Read(text, &message);
  return status.ok() ? MessageToJson(message, false) : std::string(status.message());
}

TEST(YamlToMessage, TakesBothSpellingsOfAName) {
  for (const char* text : {"http: [{match: [{withoutHeaders: {x: {exact: a}}}]}]",
                           "http: [{match: [{without_headers: {x: {exact: a}}}]}]"}) {
    EXPECT_EQ(JsonOf<VirtualService>(text),
              R"({"http":[{"match":[{"withoutHeaders":{"x":{"exact":"a"}}}]}]})");
  }
}

TEST(YamlToMessage, KnowsTheOddNamesOfIstioAndKubernetes) {
  EXPECT_EQ(ErrorOf<DestinationRule>(R"(
host: reviews
workloadSelector: {matchLabels: {app: a}}
trafficPolicy:
  connectionPool:
    tcp: {maxConnections: 1, connectTimeout: 30ms, tcpKeepalive: {time: 7200s}}
    http: {http1MaxPendingRequests: 1, http2MaxRequests: 2, h2UpgradePolicy: UPGRADE,
           useClientProtocol: true, http2KeepAlive: {interval: 1s}}
  outlierDetection: {consecutive5xxErrors: 7, consecutiveGatewayErrors: 0, interval: 5m,
                     splitExternalLocalOriginErrors: true, minHealthPercent: 10}
  loadBalancer:
    consistentHash: {httpCookie: {name: user, ttl: 0s}, minimumRingSize: 3}
    localityLbSetting: {enabled: true, distribute: [{from: us/z/*, to: {"us/z/*": 80}}],
                        failoverPriority: ["topology.istio.io/network"]}
    warmup: {duration: 60s, minimumPercent: 10}
  tls: {mode: ISTIO_MUTUAL, subjectAltNames: [a], credentialName: b, caCrl: c}
  portLevelSettings: [{port: {number: 80}, tls: {mode: disable}}]
subsets: [{name: v1, labels: {version: v1}}]
exportTo: ["."]
)"),
            "(accepted)");
  kubernetes::Service service;
  ASSERT_TRUE(
      Read("spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], externalIPs: [1.2.3.4]}", &service)
          .ok());
  EXPECT_EQ(service.spec().cluster_ip(), "10.0.0.1");
  EXPECT_EQ(service.spec().external_ips(0), "1.2.3.4");
}

TEST(YamlToMessage, NamesPathAndLineOfAnError) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"http:\n- route:\n  - destination: {host: a}\n  - weigth: 5\n",
       "http[0].route[1].weigth (line 4): unknown field; did you mean 'weight'?"},
      {"hosts: a\n", "hosts (line 1): expected a list, got string 'a'"},
      {"hosts: [a]\nhosts: [b]\n", "hosts (line 2): set twice"},
      {"http: [{timeout: 5}]",
       "http[0].timeout (line 1): expected a string, got number 5; quote it"},
      {"http: [{name: yes}]",
       "http[0].name (line 1): expected a string, got boolean yes; quote it"},
      {"http: [null]", "http[0] (line 1): an item of a list must not be null"},
      {"http:\n  retries: {}", "http (line 2): expected a list, got a mapping"},
      {"http: [{match: [{uri: {exact: a,\nprefix: b}}]}]",
       "http[0].match[0].uri.prefix (line 2): conflicts with 'exact': only one of the two may be "
       "set"},
      {"http: [{match: [{port: -1}]}]",
       "http[0].match[0].port (line 1): -1 is out of range (0 to 4294967295)"},
      {"http: [{match: [{port: 4294967296}]}]",
       "http[0].match[0].port (line 1): 4294967296 is out of range (0 to 4294967295)"},
      {"http: [{match: [{port: 1.5}]}]",
       "http[0].match[0].port (line 1): expected an integer, got number 1.5"},
      {"http: [{match: [{ignoreUriCase: \"true\"}]}]",
       "http[0].match[0].ignoreUriCase (line 1): expected true or false, unquoted, got string "
       "'true'"},
      {"http: [{headers: {request: {set: {a: b, a: c}}}}]",
       "http[0].headers.request.set.a (line 1): set twice"},
      {"http: [{corsPolicy: {unmatchedPreflights: IGNOR}}]",
       "http[0].corsPolicy.unmatchedPreflights (line 1): unknown value string 'IGNOR'; did you "
       "mean "
       "'IGNORE'?"},
      {"http: [{corsPolicy: {unmatchedPreflights: 17}}]",
       "http[0].corsPolicy.unmatchedPreflights (line 1): unknown value number 17; expected one of "
       "UNSPECIFIED, FORWARD, IGNORE"},
      {"http: [{directResponse: {body: {bytes: \"?\"}}}]",
       "http[0].directResponse.body.bytes (line 1): expected bytes in base64"},
      {"- a\n", "line 1: expected a mapping, got a list"},
      {"hosts: [\"\xff\"]", "line 1: not valid UTF-8"},
      {"{[a]: b}", "line 1: the name of a field must be a string"},
  };
  for (const auto& c : cases) EXPECT_EQ(ErrorOf<VirtualService>(c.text), c.error) << c.text;
}

TEST(YamlToMessage, PrefixesThePathItIsGiven) {
  VirtualService message;
  const auto documents = ParseYamlDocuments("spec: {hots: []}");
  EXPECT_EQ(
      YamlToMessage(documents->front()->root()["spec"], UnknownFields::kReject, &message, "spec")
          .message(),
      "spec.hots (line 1): unknown field; did you mean 'hosts'?");
}

TEST(YamlToMessage, ReadsNumbersInEveryNotation) {
  const struct {
    const char* text;
    uint32_t port;
  } cases[] = {{"80", 80},  {"\"80\"", 80}, {"0x50", 80},  {"0o17", 15},
               {"017", 15}, {"+5", 5},      {"1e3", 1000}, {"4294967295", 4294967295},
               {"-0", 0},   {"089", 89}};
  for (const auto& c : cases) {
    istio::networking::v1alpha3::PortSelector port;
    const absl::Status status = Read(std::string("number: ") + c.text, &port);
    EXPECT_TRUE(status.ok()) << c.text << ": " << status;
    EXPECT_EQ(port.number(), c.port) << c.text;
  }
  google::protobuf::Int64Value lowest;
  ASSERT_TRUE(Read("-9223372036854775808", &lowest).ok());
  EXPECT_EQ(lowest.value(), std::numeric_limits<int64_t>::min());
  google::protobuf::UInt64Value highest;
  ASSERT_TRUE(Read("18446744073709551615", &highest).ok());
  EXPECT_EQ(highest.value(), std::numeric_limits<uint64_t>::max());
  EXPECT_FALSE(Read("18446744073709551616", &highest).ok());
  EXPECT_FALSE(Read("9223372036854775808", &lowest).ok());
}

TEST(YamlToMessage, TakesAStringWhereItIsOne) {
  const struct {
    const char* text;
    bool accepted;
  } cases[] = {
      {"5", false},      {"\"5\"", true},    {"'5'", true}, {"1.5", false},       {"1.2.3", true},
      {"true", false},   {"\"true\"", true}, {"on", false}, {"10.0.0.1", true},   {"1e3", false},
      {".inf", false},   {".5", false},      {"v1", true},  {"2024-01-01", true}, {"0x1f", false},
      {"!!str 5", true}, {"|\n  5", true},   {"5s", true},  {"y", true},          {"nan", true},
  };
  for (const auto& c : cases) {
    VirtualService message;
    EXPECT_EQ(Read(std::string("hosts:\n- ") + c.text, &message).ok(), c.accepted) << c.text;
  }
}

TEST(YamlToMessage, NullIsAbsent) {
  EXPECT_EQ(JsonOf<VirtualService>("hosts: null\nhttp: ~\ngateways:\n"), "{}");
  EXPECT_EQ(JsonOf<VirtualService>("http: [{redirect: null, rewrite: {}}]"),
            R"({"http":[{"rewrite":{}}]})");
  EXPECT_EQ(JsonOf<VirtualService>("http: [{match: [{headers: {x: }}]}]"),
            R"({"http":[{"match":[{"headers":{"x":{}}}]}]})");
}

TEST(YamlToMessage, ReadsWellKnownTypes) {
  envoy::config::cluster::v3::Cluster cluster;
  ASSERT_TRUE(Read(R"(
name: c
type: strict_dns
lb_policy: 1
connect_timeout: 0.25s
cleanup_interval: 1h30m
per_connection_buffer_limit_bytes: 32768
wait_for_warm_on_init: false
preconnect_policy: {per_upstream_preconnect_ratio: 1.5}
metadata: {filter_metadata: {a: {n: 1, s: "1", b: true, l: [1, x, ~], z: null, m: {k: v}}}}
)",
                   &cluster)
                  .ok());
  EXPECT_EQ(cluster.type(), envoy::config::cluster::v3::Cluster::STRICT_DNS);
  EXPECT_EQ(cluster.lb_policy(), envoy::config::cluster::v3::Cluster::LEAST_REQUEST);
  EXPECT_EQ(cluster.connect_timeout().nanos(), 250'000'000);
  EXPECT_EQ(cluster.cleanup_interval().seconds(), 5400);
  EXPECT_EQ(cluster.per_connection_buffer_limit_bytes().value(), 32768u);
  EXPECT_TRUE(cluster.has_wait_for_warm_on_init());
  EXPECT_EQ(cluster.preconnect_policy().per_upstream_preconnect_ratio().value(), 1.5);
  const auto& fields = cluster.metadata().filter_metadata().at("a").fields();
  EXPECT_EQ(fields.at("n").number_value(), 1);
  EXPECT_EQ(fields.at("s").string_value(), "1");
  EXPECT_TRUE(fields.at("b").bool_value());
  EXPECT_EQ(fields.at("l").list_value().values_size(), 3);
  EXPECT_TRUE(fields.at("z").has_null_value());
  EXPECT_EQ(fields.at("m").struct_value().fields().at("k").string_value(), "v");

  for (const char* bad : {"5", "5 s", "inf", "1e300s", "10000000000h", "{}"}) {
    EXPECT_THAT(
        ErrorOf<envoy::config::cluster::v3::Cluster>(std::string("connect_timeout: ") + bad),
        HasSubstr("connect_timeout (line 1): expected a duration"))
        << bad;
  }
}

TEST(YamlToMessage, ReadsMapsWithNumberKeys) {
  istio::security::v1beta1::PeerAuthentication policy;
  ASSERT_TRUE(
      Read("portLevelMtls: {8080: {mode: DISABLE}, \"9090\": {mode: STRICT}}", &policy).ok());
  EXPECT_EQ(policy.port_level_mtls().size(), 2u);
  EXPECT_EQ(ErrorOf<istio::security::v1beta1::PeerAuthentication>("portLevelMtls: {http: {}}"),
            "portLevelMtls.http (line 1): expected an integer, got string 'http'");
}

TEST(YamlToMessage, ReadsSecretsAndIntOrString) {
  kubernetes::Secret secret;
  ASSERT_TRUE(Read("data: {token: aGVsbG8=}\nstringData: {a: b}", &secret).ok());
  EXPECT_EQ(secret.data().at("token"), "hello");
  kubernetes::Service service;
  ASSERT_TRUE(Read("spec: {ports: [{targetPort: 80}, {targetPort: http}]}", &service).ok());
  EXPECT_EQ(service.spec().ports(0).target_port().number_value(), 80);
  EXPECT_EQ(service.spec().ports(1).target_port().string_value(), "http");
}

TEST(YamlToMessage, SkipsUnknownFieldsWhereAsked) {
  kubernetes::Pod pod;
  ASSERT_TRUE(
      Read("spec: {tolerations: [{key: a}], hostname: h}", &pod, UnknownFields::kSkip).ok());
  EXPECT_EQ(pod.spec().hostname(), "h");
  EXPECT_FALSE(Read("spec: {hostname: 5}", &pod, UnknownFields::kSkip).ok());
}

TEST(YamlToMessage, ResolvesAny) {
  envoy::config::listener::v3::Filter filter;
  ASSERT_TRUE(Read(R"(
name: hcm
typed_config:
  "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
  stat_prefix: in
  http_filters:
  - name: router
    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
)",
                   &filter)
                  .ok());
  envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager hcm;
  ASSERT_TRUE(filter.typed_config().UnpackTo(&hcm));
  EXPECT_EQ(hcm.stat_prefix(), "in");
  EXPECT_TRUE(hcm.http_filters(0)
                  .typed_config()
                  .Is<envoy::extensions::filters::http::router::v3::Router>());

  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"typed_config: {a: b}",
       "typed_config (line 1): \"@type\" is missing: which type of message this is"},
      {"typed_config:\n  \"@type\": type.googleapis.com/no.such.Type\n",
       "typed_config (line 2): unknown type 'type.googleapis.com/no.such.Type'"},
      {"typed_config: {\"@type\": Router}", "typed_config (line 1): unknown type 'Router'"},
      {"typed_config: {\"@type\": "
       "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router,"
       " start_child_spam: true}",
       "typed_config.start_child_spam (line 1): unknown field; did you mean 'start_child_span'?"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(ErrorOf<envoy::config::listener::v3::Filter>(c.text), c.error) << c.text;
  }
}

TEST(YamlToMessage, AnyOfAWellKnownTypeStandsUnderValue) {
  google::protobuf::Any any;
  ASSERT_TRUE(
      Read("{\"@type\": type.googleapis.com/google.protobuf.UInt32Value, value: 7}", &any).ok());
  google::protobuf::UInt32Value value;
  ASSERT_TRUE(any.UnpackTo(&value));
  EXPECT_EQ(value.value(), 7u);
}

TEST(YamlToMessage, StopsAliasBombsAndCycles) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) bomb += (k ? ", *a" : "*a") + std::to_string(i - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(ErrorOf<google::protobuf::Struct>(bomb), HasSubstr("more than 1000000 nodes"));
  EXPECT_THAT(ErrorOf<google::protobuf::Struct>("a: &a [*a]"), HasSubstr("nested deeper than 100"));
}

TEST(YamlToMessage, BoundsTheDepth) {
  std::string deep = "a: ";
  for (int i = 0; i < 120; ++i) deep += "[";
  for (int i = 0; i < 120; ++i) deep += "]";
  EXPECT_THAT(ErrorOf<google::protobuf::Struct>(deep), HasSubstr("nested deeper than 100"));
}

TEST(MessageToJson, RoundTrips) {
  VirtualService message;
  ASSERT_TRUE(
      Read("hosts: [a]\nhttp: [{timeout: 1s, match: [{uri: {prefix: /}}]}]", &message).ok());
  VirtualService again;
  ASSERT_TRUE(Read(MessageToJson(message, true), &again).ok());
  EXPECT_EQ(message.SerializeAsString(), again.SerializeAsString());
  EXPECT_THAT(MessageToJson(message, true), HasSubstr("\n"));
  EXPECT_THAT(MessageToJson(message, false), Not(HasSubstr("\n")));
}

TEST(MessageToJson, SpellsNamesAsAsked) {
  DestinationRule rule;
  rule.add_export_to("*");
  EXPECT_EQ(MessageToJson(rule, false), R"({"exportTo":["*"]})");
  EXPECT_EQ(MessageToJson(rule, false, JsonNames::kSnakeCase), R"({"export_to":["*"]})");
}

TEST(MessageToJson, SaysSoWhenATypeIsUnknown) {
  google::protobuf::Any any;
  any.set_type_url("type.googleapis.com/no.such.Type");
  any.set_value("x");
  EXPECT_THAT(MessageToJson(any, false), HasSubstr("{\"error\":"));
}

}  // namespace
}  // namespace weft
