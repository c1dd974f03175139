// World and call → verdict, through Translate, the proxy's compiler and its decisions.
#include "controlplane/translate/authorization.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/ext_authz.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "controlplane/translate/check.h"
#include "controlplane/translate/check_policies.h"
#include "controlplane/translate/inbound_verdict.h"
#include "controlplane/translate/translate.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using envoy::extensions::filters::http::ext_authz::v3::ExtAuthz;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

// helloworld in "default" with an HTTP port 5000 and a TCP port 9000, its pod at 10.244.0.2.
WorldBuilder Helloworld() {
  WorldBuilder builder;
  builder.Service("default", "helloworld",
                  {{"http", 5000, Protocol::kHttp}, {"tcp", 9000, Protocol::kTcp}});
  builder.Pod("default", "helloworld", "v1");
  return builder;
}

ProxyView PodView() {
  ProxyView view = SidecarIn("default");
  view.address = "10.244.0.2";
  view.labels = {{"app", "helloworld"}, {"version", "v1"}};
  return view;
}

InboundProxy ProxyIn(const World& world) {
  return InboundProxy(ListenerIn(Translate(world, PodView()), "virtualInbound"));
}

std::string Policy(const std::string& name, const std::string& spec,
                   const std::string& name_space = "default",
                   const std::string& annotations = "{}") {
  return absl::StrCat("---\nkind: AuthorizationPolicy\nmetadata: {name: ", name,
                      ", namespace: ", name_space, ", annotations: ", annotations,
                      "}\nspec: ", spec, "\n");
}

std::string AskOf(WorldBuilder builder, const std::string& yaml, const Call& call) {
  const absl::Status status = builder.Apply(yaml);
  EXPECT_TRUE(status.ok()) << status << "\n" << yaml;
  return ProxyIn(builder.world()).Ask(call);
}

bool Allowed(const std::string& yaml, const Call& call = {}) {
  return AskOf(Helloworld(), yaml, call) == "allowed";
}

// ---- Istio's well-known policies.

TEST(Authorization, WithoutAPolicyEverythingIsAllowed) {
  EXPECT_TRUE(Allowed(""));
  EXPECT_TRUE(Allowed("", {.principal = "", .port = 9000}));
}

TEST(Authorization, WellKnownPolicies) {
  const Call get, post{.method = "POST"}, plain{.principal = ""},
      dev{.principal = "east.local/ns/dev/sa/x"};
  struct {
    const char* name;
    std::string yaml;
    Call call;
    bool allowed;
  } rows[] = {
      {"allow-nothing", Policy("allow-nothing", "{}"), get, false},
      {"deny-all of the mesh", Policy("deny-all", "{}", "istio-system"), get, false},
      {"allow-all", Policy("allow-all", "{rules: [{}]}"), plain, true},
      {"deny-all by an empty rule", Policy("d", "{action: DENY, rules: [{}]}"), get, false},
      {"deny by namespace",
       Policy("d", "{action: DENY, rules: [{from: [{source: {namespaces: [dev]}}]}]}"), dev, false},
      {"deny by another namespace",
       Policy("d", "{action: DENY, rules: [{from: [{source: {namespaces: [dev]}}]}]}"), get, true},
      {"only GET", Policy("g", "{rules: [{to: [{operation: {methods: [GET]}}]}]}"), get, true},
      {"only GET, asked to POST", Policy("g", "{rules: [{to: [{operation: {methods: [GET]}}]}]}"),
       post, false},
      {"a token is needed",
       Policy("t", "{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}"),
       get, false},
      {"mTLS is needed",
       Policy("m", "{action: DENY, rules: [{from: [{source: {notPrincipals: ['*']}}]}]}"), plain,
       false},
      {"mTLS is there",
       Policy("m", "{action: DENY, rules: [{from: [{source: {notPrincipals: ['*']}}]}]}"), get,
       true},
  };
  for (const auto& row : rows) EXPECT_EQ(Allowed(row.yaml, row.call), row.allowed) << row.name;
}

TEST(Authorization, DenyComesBeforeAllow) {
  const std::string both =
      Policy("allow", "{rules: [{}]}") + Policy("deny",
                                                "{action: DENY, rules: [{to: [{operation: {paths: "
                                                "['/admin*']}}]}]}");
  EXPECT_EQ(AskOf(Helloworld(), both, {.path = "/admin/x"}),
            "denied: ns[default]-policy[deny]-rule[0]");
  EXPECT_TRUE(Allowed(both, {.path = "/other"}));
}

TEST(Authorization, OneOfSeveralAllowPoliciesIsEnough) {
  const std::string both =
      Policy("a", "{rules: [{to: [{operation: {methods: [GET]}}]}]}") +
      Policy("b",
             "{rules: [{to: [{operation: {methods: [PUT]}}]}, {to: [{operation: {methods: "
             "[HEAD]}}]}]}");
  EXPECT_TRUE(Allowed(both, {.method = "GET"}));
  EXPECT_TRUE(Allowed(both, {.method = "HEAD"}));
  EXPECT_EQ(AskOf(Helloworld(), both, {.method = "POST"}), "denied: none");
}

// ---- CUSTOM: a provider decides.

std::string Providers(const std::string& providers) {
  return absl::StrCat(
      "---\nkind: ConfigMap\nmetadata: {name: weft, namespace: weft-system}\ndata:\n  mesh: |\n"
      "    extensionProviders: [",
      providers, "]\n");
}

constexpr char kOverHttp[] =
    "{name: opa, envoyExtAuthzHttp: {service: authz.auth.svc.cluster.local, port: 8000}}";
constexpr char kOverGrpc[] =
    "{name: opa, envoyExtAuthzGrpc: {service: auth/authz.auth.svc.cluster.local, port: 9000}}";
constexpr char kAdmin[] =
    "{action: CUSTOM, provider: {name: opa}, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}";
constexpr char kAuthzCluster[] = "outbound|8000||authz.auth.svc.cluster.local";

// With an authorizer in the namespace "auth".
WorldBuilder WithAuthorizer() {
  WorldBuilder builder = Helloworld();
  builder.Service("auth", "authz",
                  {{"http", 8000, Protocol::kHttp},
                   {"grpc", 9000, Protocol::kGrpc},
                   {"tcp", 9001, Protocol::kTcp}});
  builder.Pod("auth", "authz", "v1");
  return builder;
}

// The filter that asks, of the chain for port 5000; fails the test if there is none.
ExtAuthz ExtAuthzOf(WorldBuilder builder, const std::string& yaml) {
  EXPECT_TRUE(builder.Apply(yaml).ok()) << yaml;
  const auto listener = ListenerIn(Translate(builder.world(), PodView()), "virtualInbound");
  for (const auto& chain : listener.filter_chains()) {
    HttpConnectionManager http;
    if (!chain.filters().rbegin()->typed_config().UnpackTo(&http)) continue;
    for (const auto& filter : http.http_filters()) {
      ExtAuthz authz;
      if (filter.typed_config().UnpackTo(&authz)) return authz;
    }
  }
  ADD_FAILURE() << "no ext_authz filter";
  return {};
}

TEST(Authorization, CustomAsksTheProviderOfWhatItSelects) {
  WorldBuilder builder = WithAuthorizer();
  ASSERT_TRUE(builder
                  .Apply(Providers(kOverHttp) + Policy("ext", kAdmin) +
                         Policy("allow", "{rules: [{to: [{operation: {methods: [GET]}}]}]}"))
                  .ok());
  InboundProxy proxy = ProxyIn(builder.world());
  EXPECT_EQ(proxy.Ask({.path = "/admin/x"}), "allowed");
  EXPECT_EQ(proxy.asked(), kAuthzCluster);
  EXPECT_EQ(proxy.Ask({.path = "/hello"}), "allowed");
  EXPECT_EQ(proxy.asked(), "");
  EXPECT_EQ(proxy.Ask({.method = "POST", .path = "/admin/x"}), "denied: none")
      << "the other policies count as well";
  EXPECT_EQ(proxy.asked(), kAuthzCluster) << "CUSTOM comes first";
}

// What is said of the policies, with the pod among the workloads.
std::vector<Problem> ProblemsOf(World world) {
  Workload workload;
  workload.namespace_ = "default";
  workload.name = "helloworld-v1";
  workload.address = PodView().address;
  workload.labels = PodView().labels;
  world.workloads[workload.address] = std::make_shared<const Workload>(workload);
  return CheckPolicies(TranslationIndex(world));
}

TEST(Authorization, CustomDeniesWhereNobodyCanBeAsked) {
  const std::string two = Policy("ext", kAdmin) +
                          Policy("more", "{action: CUSTOM, provider: {name: other}, rules: [{}]}");
  const struct {
    const char* name;
    std::string yaml;
    const char* problem;
  } rows[] = {
      {"no mesh config", Policy("ext", kAdmin),
       "declare no authorizer of this name; there is none"},
      {"another name",
       Providers("{name: x, envoyExtAuthzHttp: {service: a.b, port: 1}}") + Policy("ext", kAdmin),
       "there is x"},
      {"a log of that name",
       Providers("{name: opa, envoyFileAccessLog: {path: /dev/stdout}}") + Policy("ext", kAdmin),
       "declare no authorizer of this name"},
      {"no service",
       Providers("{name: opa, envoyExtAuthzHttp: {service: gone.auth.svc.cluster.local, port: "
                 "8000}}") +
           Policy("ext", kAdmin),
       "'gone.auth.svc.cluster.local' is not in the mesh"},
      {"another namespace",
       Providers("{name: opa, envoyExtAuthzHttp: {service: "
                 "other/authz.auth.svc.cluster.local, port: 8000}}") +
           Policy("ext", kAdmin),
       "is not in the mesh"},
      {"no such port",
       Providers("{name: opa, envoyExtAuthzHttp: {service: authz.auth.svc.cluster.local, port: "
                 "80}}") +
           Policy("ext", kAdmin),
       "has no port 80"},
      {"a TCP port",
       Providers("{name: opa, envoyExtAuthzHttp: {service: authz.auth.svc.cluster.local, port: "
                 "9001}}") +
           Policy("ext", kAdmin),
       "has no HTTP on port 9001; name the port http or grpc"},
      {"gRPC at a port of HTTP/1",
       Providers("{name: opa, envoyExtAuthzGrpc: {service: authz.auth.svc.cluster.local, port: "
                 "8000}}") +
           Policy("ext", kAdmin),
       "has no gRPC on port 8000"},
      {"two providers",
       Providers(absl::StrCat(kOverHttp,
                              ", {name: other, envoyExtAuthzHttp: {service: "
                              "authz.auth.svc.cluster.local, port: 8000}}")) +
           two,
       "a workload has one authorizer, and the policies that select"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    WorldBuilder builder = WithAuthorizer();
    ASSERT_TRUE(builder.Apply(row.yaml).ok());
    InboundProxy proxy = ProxyIn(builder.world());
    EXPECT_EQ(proxy.Ask({.path = "/admin"}),
              "denied: ns[default]-policy[ext]-rule[0]-deny-due-to-bad-CUSTOM-action");
    EXPECT_EQ(proxy.asked(), "");
    const std::vector<Problem> problems = ProblemsOf(builder.world());
    ASSERT_FALSE(problems.empty());
    EXPECT_EQ(problems[0].field, "spec.provider.name");
    EXPECT_TRUE(absl::StrContains(problems[0].message, row.problem)) << problems[0].message;
  }
}

// A connection without requests has nothing to ask about.
TEST(Authorization, CustomDeniesOnPortsWithoutHttpAndSaysSo) {
  WorldBuilder builder = WithAuthorizer();
  ASSERT_TRUE(builder
                  .Apply(Providers(kOverHttp) +
                         Policy("ext", "{action: CUSTOM, provider: {name: opa}, rules: [{}]}"))
                  .ok());
  InboundProxy proxy = ProxyIn(builder.world());
  EXPECT_EQ(proxy.Ask({}), "allowed");
  EXPECT_EQ(proxy.asked(), kAuthzCluster);
  EXPECT_EQ(proxy.Ask({.port = 9000}),
            "denied: ns[default]-policy[ext]-rule[0]-deny-due-to-bad-CUSTOM-action");
  const std::vector<Problem> problems = ProblemsOf(builder.world());
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].field, "spec.action");
  EXPECT_TRUE(absl::StrContains(problems[0].message, "port 9000 of 'helloworld-v1' has no HTTP"))
      << problems[0].message;
}

TEST(Authorization, CustomOnTrialAsksNobody) {
  WorldBuilder builder = WithAuthorizer();
  const char* trial = "{istio.io/dry-run: 'true'}";
  ASSERT_TRUE(builder.Apply(Providers(kOverHttp) + Policy("ext", kAdmin, "default", trial)).ok());
  InboundProxy proxy = ProxyIn(builder.world());
  EXPECT_EQ(proxy.Ask({.path = "/admin"}), "allowed");
  EXPECT_EQ(proxy.asked(), "");
  EXPECT_EQ(proxy.on_trial(), std::vector<std::string>{"denied"});

  ASSERT_TRUE(
      builder.Apply(Policy("more", "{action: CUSTOM, provider: {name: opa}, rules: [{}]}")).ok());
  InboundProxy both = ProxyIn(builder.world());
  EXPECT_EQ(both.Ask({.path = "/admin"}), "allowed");
  EXPECT_EQ(both.asked(), kAuthzCluster);
}

TEST(Authorization, TheProvidersServiceReachesTheProxyThoughASidecarHidesIt) {
  WorldBuilder builder = WithAuthorizer();
  ASSERT_TRUE(
      builder
          .Apply(Providers(kOverHttp) + Policy("ext", kAdmin) +
                 "---\nkind: Sidecar\nmetadata: {name: s, namespace: default}\nspec: {egress: "
                 "[{hosts: ['./*']}]}\n")
          .ok());
  const Resources resources = Translate(builder.world(), PodView());
  EXPECT_EQ(ClusterIn(resources, kAuthzCluster).name(), kAuthzCluster);
  EXPECT_EQ(AssignmentIn(resources, kAuthzCluster).endpoints_size(), 1);
  EXPECT_TRUE(CheckResources(resources).empty());
  ProxyView other = PodView();
  other.namespace_ = "web";
  EXPECT_EQ(TranslationIndex(builder.world()).ScopeOf(other).authorizer, "");
}

TEST(Authorization, EveryFieldOfAnHttpProviderIsTold) {
  const ExtAuthz authz = ExtAuthzOf(
      WithAuthorizer(),
      Providers("{name: opa, envoyExtAuthzHttp: {service: auth/authz.auth.svc.cluster.local, port: "
                "8000, timeout: 2s, pathPrefix: /check, failOpen: true, clearRouteCache: true, "
                "statusOnError: '503', includeRequestHeadersInCheck: [x-a, x-b*, '*-c'], "
                "includeAdditionalHeadersInCheck: {x-z: '1', x-y: '2'}, includeRequestBodyInCheck: "
                "{maxRequestBytes: 7, allowPartialMessage: true}, headersToUpstreamOnAllow: ['*'], "
                "headersToDownstreamOnDeny: [set-cookie], headersToDownstreamOnAllow: [x-d]}}") +
          Policy("ext", kAdmin));
  const auto& service = authz.http_service();
  EXPECT_EQ(service.server_uri().uri(), "http://authz.auth.svc.cluster.local");
  EXPECT_EQ(service.server_uri().cluster(), kAuthzCluster);
  EXPECT_EQ(service.server_uri().timeout().seconds(), 2);
  EXPECT_EQ(service.path_prefix(), "/check");
  EXPECT_TRUE(authz.failure_mode_allow());
  EXPECT_TRUE(authz.clear_route_cache());
  EXPECT_EQ(static_cast<int>(authz.status_on_error().code()), 503);
  ASSERT_EQ(authz.allowed_headers().patterns_size(), 3);
  EXPECT_EQ(authz.allowed_headers().patterns(0).exact(), "x-a");
  EXPECT_EQ(authz.allowed_headers().patterns(1).prefix(), "x-b");
  EXPECT_EQ(authz.allowed_headers().patterns(2).suffix(), "-c");
  ASSERT_EQ(service.authorization_request().headers_to_add_size(), 2);
  EXPECT_EQ(service.authorization_request().headers_to_add(0).key(), "x-y");
  EXPECT_EQ(authz.with_request_body().max_request_bytes(), 7u);
  EXPECT_TRUE(authz.with_request_body().allow_partial_message());
  const auto& answer = service.authorization_response();
  EXPECT_EQ(answer.allowed_upstream_headers().patterns(0).safe_regex().regex(), ".*");
  EXPECT_EQ(answer.allowed_client_headers().patterns(0).exact(), "set-cookie");
  EXPECT_EQ(answer.allowed_client_headers_on_success().patterns(0).exact(), "x-d");
}

TEST(Authorization, EveryFieldOfAGrpcProviderIsTold) {
  const ExtAuthz authz = ExtAuthzOf(WithAuthorizer(), Providers(kOverGrpc) + Policy("ext", kAdmin));
  const auto& grpc = authz.grpc_service();
  EXPECT_EQ(grpc.envoy_grpc().cluster_name(), "outbound|9000||authz.auth.svc.cluster.local");
  EXPECT_EQ(grpc.envoy_grpc().authority(), "authz.auth.svc.cluster.local");
  EXPECT_EQ(grpc.timeout().seconds(), 600) << "Istio's, as good as none";
  EXPECT_FALSE(authz.failure_mode_allow());
  EXPECT_FALSE(authz.has_status_on_error());
  EXPECT_FALSE(authz.has_with_request_body());
}

TEST(Authorization, AProvidersOlderAndRarerFields) {
  const ExtAuthz authz = ExtAuthzOf(
      WithAuthorizer(),
      Providers(
          "{name: opa, envoyExtAuthzHttp: {service: authz.auth.svc.cluster.local, port: 8000, "
          "includeHeadersInCheck: [x-a], includeRequestBodyInCheck: {maxRequestBytes: 7, "
          "packAsBytes: true}}}") +
          Policy("ext", kAdmin));
  ASSERT_EQ(authz.allowed_headers().patterns_size(), 1);
  EXPECT_EQ(authz.allowed_headers().patterns(0).exact(), "x-a");
  EXPECT_TRUE(authz.with_request_body().pack_as_bytes());
}

TEST(Authorization, AuditDecidesNothing) {
  EXPECT_TRUE(Allowed(Policy("a", "{action: AUDIT, rules: [{}]}")));
  EXPECT_FALSE(Allowed(Policy("a", "{action: AUDIT, rules: [{}]}") + Policy("n", "{}")));
}

TEST(Authorization, ADryRunIsOnlyCounted) {
  WorldBuilder builder = Helloworld();
  const char* trial = "{istio.io/dry-run: 'true'}";
  ASSERT_TRUE(builder
                  .Apply(Policy("deny", "{action: DENY, rules: [{}]}", "default", trial) +
                         Policy("allow", "{}", "default", trial))
                  .ok());
  InboundProxy proxy = ProxyIn(builder.world());
  EXPECT_EQ(proxy.Ask({}), "allowed");
  EXPECT_EQ(proxy.on_trial(), (std::vector<std::string>{"denied", "denied"}));
  EXPECT_EQ(proxy.Ask({.port = 9000}), "allowed");
}

TEST(Authorization, SelectsWorkloads) {
  const auto deny = [](const std::string& more, const std::string& name_space) {
    return Policy("d", "{action: DENY, rules: [{}]" + more + "}", name_space);
  };
  const char* mine = ", selector: {matchLabels: {app: helloworld}}";
  const char* other = ", selector: {matchLabels: {app: other}}";
  struct {
    const char* name;
    std::string yaml;
    bool allowed;
  } rows[] = {
      {"own namespace", deny("", "default"), false},
      {"another namespace", deny("", "web"), true},
      {"istio-system", deny("", "istio-system"), false},
      {"weft-system", deny("", "weft-system"), false},
      {"selected", deny(mine, "default"), false},
      {"another workload", deny(other, "default"), true},
      {"selected by the whole mesh's", deny(mine, "weft-system"), false},
      {"another workload of the whole mesh", deny(other, "weft-system"), true},
      {"a selector of another namespace", deny(mine, "web"), true},
      {"a target is no sidecar", deny(", targetRefs: [{kind: Gateway, name: g}]", "default"), true},
      {"the older target field", deny(", targetRef: {kind: Gateway, name: g}", "default"), true},
  };
  for (const auto& row : rows) EXPECT_EQ(Allowed(row.yaml), row.allowed) << row.name;
}

// ---- Each field: a call that it is about, and one that it is not.

struct FieldRow {
  const char* source_or_operation;
  Call matching;
  Call other;
};

// In ALLOW what matches gets in, in DENY the other does.
void ExpectField(const FieldRow& row, const std::string& rule) {
  const std::string allow = Policy("p", "{rules: [" + rule + "]}");
  EXPECT_TRUE(Allowed(allow, row.matching)) << "ALLOW " << rule;
  EXPECT_FALSE(Allowed(allow, row.other)) << "ALLOW " << rule;
  const std::string deny = Policy("p", "{action: DENY, rules: [" + rule + "]}");
  EXPECT_FALSE(Allowed(deny, row.matching)) << "DENY " << rule;
  EXPECT_TRUE(Allowed(deny, row.other)) << "DENY " << rule;
}

TEST(Authorization, EachFieldOfASource) {
  const Call sleep, plain{.principal = ""};
  const Call shop{.principal = "east.local/ns/shop/sa/front.end"};
  const Call west{.principal = "west.local/ns/default/sa/sleep"};
  const Call far{.source_ip = "192.0.2.7", .remote_ip = "192.0.2.7"};
  const Call behind{.remote_ip = "192.0.2.7"};
  const FieldRow rows[] = {
      {"principals: [east.local/ns/default/sa/sleep]", sleep, shop},
      {"principals: [x, east.local/ns/default/sa/sleep]", sleep, plain},
      {"principals: [cluster.local/ns/default/sa/sleep]", sleep, west},
      {"principals: ['spiffe://east.local/ns/default/sa/sleep']", sleep, west},
      {"principals: ['east.local/ns/shop/*']", shop, sleep},
      {"principals: ['*/sa/sleep']", west, shop},
      {"principals: ['*']", west, plain},
      {"notPrincipals: [east.local/ns/default/sa/sleep]", shop, sleep},
      {"notPrincipals: ['*']", plain, sleep},
      {"namespaces: [shop]", shop, sleep},
      {"namespaces: [sho]", {.principal = "east.local/ns/sho/sa/a"}, shop},
      {"namespaces: ['sh*']", shop, sleep},
      {"namespaces: ['*op']", shop, sleep},
      {"namespaces: ['s*p']", shop, sleep},
      {"namespaces: ['*']", sleep, plain},
      {"notNamespaces: [shop]", sleep, shop},
      {"serviceAccounts: [sleep]", west, shop},
      {"serviceAccounts: [shop/front.end]", shop, sleep},
      {"serviceAccounts: [default/slee]", {.principal = "east.local/ns/default/sa/slee"}, sleep},
      {"notServiceAccounts: [default/sleep]", shop, west},
      {"trustDomains: [west.local]", west, sleep},
      {"trustDomains: [cluster.local]", sleep, west},
      {"trustDomains: ['w*']", west, sleep},
      {"trustDomains: ['*st.local']", west, plain},
      {"notTrustDomains: [east.local]", west, sleep},
      {"clusters: [west]", west, sleep},
      {"clusters: ['e*']", sleep, west},
      {"clusters: ['*']", sleep, plain},
      {"notClusters: [west]", sleep, west},
      {"ipBlocks: [192.0.2.0/24]", far, behind},
      {"ipBlocks: [192.0.2.7]", far, sleep},
      {"ipBlocks: ['2001:db8::/32']",
       {.source_ip = "2001:db8::7", .remote_ip = "2001:db8::7"},
       sleep},
      {"notIpBlocks: [192.0.2.0/24]", behind, far},
      {"remoteIpBlocks: [192.0.2.0/24]", behind, sleep},
      {"notRemoteIpBlocks: [192.0.2.0/24]", sleep, behind},
  };
  for (const FieldRow& row : rows) {
    ExpectField(row, absl::StrCat("{from: [{source: {", row.source_or_operation, "}}]}"));
  }
}

TEST(Authorization, EachFieldOfAnOperation) {
  const Call get, post{.method = "POST"};
  const FieldRow rows[] = {
      {"hosts: [helloworld]", get, {.host = "other"}},
      {"hosts: ['*.example.com']", {.host = "A.Example.com"}, get},
      {"hosts: ['hello*']", {.host = "helloworld:5000"}, {.host = "jello"}},
      {"notHosts: ['other*']", get, {.host = "OTHER"}},
      {"ports: ['5000']", get, {.port = 9000}},
      {"notPorts: ['9000']", get, {.port = 9000}},
      {"methods: [GET]", get, post},
      {"methods: ['P*']", post, get},
      {"notMethods: [GET]", post, get},
      {"paths: [/hello]", get, {.path = "/hello/x"}},
      {"paths: [/hello]", {.path = "/hello?q=/other"}, {.path = "/other?q=/hello"}},
      {"paths: ['/hel*']", get, {.path = "/x"}},
      {"paths: ['*.txt']", {.path = "/a/b.txt"}, get},
      {"paths: ['/foo/{*}']", {.path = "/foo/bar"}, {.path = "/foo/bar/baz"}},
      {"paths: ['/foo.d/{*}/x']", {.path = "/foo.d/bar/x"}, {.path = "/fooXd/bar/x"}},
      {"paths: ['/foo/{**}']", {.path = "/foo/bar/baz"}, {.path = "/fo/bar"}},
      {"paths: ['/foo/{*}/bar/{**}']", {.path = "/foo/buzz/bar/baz"}, {.path = "/foo/buzz/baz"}},
      {"notPaths: [/admin]", get, {.path = "/admin"}},
      {"notPaths: ['/foo/{*}']", get, {.path = "/foo/x"}},
      {"methods: [GET], paths: ['/hel*']", get, post},
  };
  for (const FieldRow& row : rows) {
    ExpectField(row, absl::StrCat("{to: [{operation: {", row.source_or_operation, "}}]}"));
  }
  EXPECT_TRUE(Allowed(Policy("p",
                             "{rules: [{to: [{operation: {hosts: ['*'], methods: ['*'], "
                             "paths: ['*']}}]}]}")));
}

TEST(Authorization, EachKeyOfACondition) {
  const Call sleep, plain{.principal = ""};
  const Call shop{.principal = "east.local/ns/shop/sa/front"};
  const Call west{.principal = "west.local/ns/default/sa/sleep"};
  const Call far{.source_ip = "192.0.2.7"};
  const Call behind{.remote_ip = "192.0.2.7"};
  const Call beta{.headers = {{"X-Stage", "beta-2"}}};
  const FieldRow rows[] = {
      {"key: 'request.headers[x-stage]', values: ['beta*']", beta, sleep},
      {"key: 'request.headers[X-Stage]', values: ['*']", beta, sleep},
      {"key: 'request.headers[x-stage]', notValues: [beta-2]", sleep, beta},
      {"key: source.ip, values: [192.0.2.0/24]", far, sleep},
      {"key: remote.ip, values: [192.0.2.7]", behind, sleep},
      {"key: source.namespace, values: [shop]", shop, sleep},
      {"key: source.namespace, notValues: [shop]", sleep, shop},
      {"key: source.principal, values: ['cluster.local/ns/shop/*']", shop, sleep},
      {"key: source.principal, notValues: ['*']", plain, sleep},
      {"key: source.serviceAccount, values: [shop/front]", shop, sleep},
      {"key: source.trustDomain, values: [west.local]", west, sleep},
      {"key: source.cluster, values: [west]", west, sleep},
      {"key: source.cluster, notValues: [west]", sleep, west},
      {"key: destination.ip, values: [10.244.0.0/24]", sleep, {.destination_ip = "10.1.1.1"}},
      {"key: destination.port, values: ['5000', '5001']", sleep, {.port = 9000}},
      {"key: destination.port, notValues: ['9000']", sleep, {.port = 9000}},
      {"key: connection.sni, values: ['*.helloworld.default.svc.cluster.local']",
       sleep,
       {.server_name = "other"}},
  };
  for (const FieldRow& row : rows) {
    ExpectField(row, absl::StrCat("{when: [{", row.source_or_operation, "}]}"));
  }
}

TEST(Authorization, PartsOfARuleAllHaveToHold) {
  const std::string rule =
      Policy("p",
             "{rules: [{from: [{source: {namespaces: [shop]}}, {source: {principals: "
             "['*/ns/default/sa/sleep'], ipBlocks: [10.244.0.0/16]}}], to: [{operation: {methods: "
             "[GET]}}, {operation: {paths: [/open]}}], when: [{key: 'request.headers[v]', values: "
             "['1']}, {key: 'request.headers[w]', values: ['2']}]}]}");
  const Call good{.headers = {{"v", "1"}, {"w", "2"}}};
  EXPECT_TRUE(Allowed(rule, good));
  Call call = good;
  call.principal = "east.local/ns/shop/sa/any";
  EXPECT_TRUE(Allowed(rule, call)) << "the first source";
  call.principal = "east.local/ns/dev/sa/any";
  EXPECT_FALSE(Allowed(rule, call)) << "neither source";
  call = good;
  call.source_ip = "192.0.2.1";
  EXPECT_FALSE(Allowed(rule, call)) << "half a source";
  call = good;
  call.method = "POST";
  EXPECT_FALSE(Allowed(rule, call)) << "neither operation";
  call.path = "/open";
  EXPECT_TRUE(Allowed(rule, call)) << "the second operation";
  call.headers.pop_back();
  EXPECT_FALSE(Allowed(rule, call)) << "one condition";
}

// ---- TCP ports: what only requests have.

TEST(Authorization, OnTcpWhatOnlyRequestsHaveMakesARuleStricter) {
  const char* http_only[] = {
      "{to: [{operation: {methods: [GET]}}]}",
      "{to: [{operation: {notMethods: [GET]}}]}",
      "{to: [{operation: {paths: [/a]}}]}",
      "{to: [{operation: {hosts: [a]}}]}",
      "{from: [{source: {requestPrincipals: ['*']}}]}",
      "{from: [{source: {notRequestPrincipals: ['*']}}]}",
      "{when: [{key: 'request.headers[a]', values: [b]}]}",
      "{when: [{key: 'request.auth.claims[a]', notValues: [b]}]}",
      "{when: [{key: request.auth.principal, values: ['*']}]}",
      "{when: [{key: request.auth.audiences, values: ['*']}]}",
      "{when: [{key: request.auth.presenter, values: ['*']}]}",
  };
  const Call tcp{.port = 9000};
  for (const char* text : http_only) {
    const std::string rule = text;
    EXPECT_FALSE(Allowed(Policy("p", "{rules: [" + rule + "]}"), tcp)) << rule;
    EXPECT_FALSE(Allowed(Policy("p", "{action: DENY, rules: [" + rule + "]}"), tcp)) << rule;
    EXPECT_TRUE(Allowed(Policy("p", "{action: AUDIT, rules: [" + rule + "]}"), tcp)) << rule;
  }
  // With a port, that is what is left of a DENY.
  const std::string with_port = Policy(
      "p", "{action: DENY, rules: [{to: [{operation: {methods: [GET], ports: ['9001']}}]}]}");
  EXPECT_TRUE(Allowed(with_port, tcp));
  const std::string same_port = Policy(
      "p", "{action: DENY, rules: [{to: [{operation: {methods: [GET], ports: ['9000']}}]}]}");
  EXPECT_FALSE(Allowed(same_port, tcp));
  // One part of a rule that only requests have takes the whole rule from an ALLOW.
  EXPECT_FALSE(Allowed(Policy("p",
                              "{rules: [{to: [{operation: {ports: ['9000']}}, {operation: "
                              "{methods: [GET]}}]}]}"),
                       tcp));
}

TEST(Authorization, EveryWayIntoTheWorkloadIsGuarded) {
  const std::string deny = Policy("d", "{action: DENY, rules: [{}]}");
  const Call calls[] = {
      {},
      {.principal = ""},
      {.principal = "", .app_tls = true},
      {.port = 9000},
      {.principal = "", .port = 9000},
      {.principal = "", .port = 9000, .app_tls = true},
      {.port = 7777},  // of no service
      {.principal = "", .port = 7777},
      {.principal = "", .port = 7777, .app_tls = true},
  };
  for (const Call& call : calls) {
    EXPECT_TRUE(Allowed("", call)) << call.port << call.principal << call.app_tls;
    EXPECT_EQ(AskOf(Helloworld(), deny, call), "denied: ns[default]-policy[d]-rule[0]")
        << call.port << call.principal << call.app_tls;
  }
}

// ---- source.clusters.

TEST(Authorization, ClustersThatShareATrustDomainCountAsWhicheverAllowsLess) {
  const Call east, plain{.principal = ""};
  const auto allowed = [](const std::string& spec, const Call& call) {
    return AskOf(Helloworld().SharedTrustDomain(), Policy("p", spec), call) == "allowed";
  };
  const auto source = [](const std::string& fields, const std::string& action) {
    return absl::StrCat("{action: ", action, ", rules: [{from: [{source: {", fields, "}}]}]}");
  };
  // A caller of east.local may be of either.
  EXPECT_FALSE(allowed(source("clusters: [east]", "ALLOW"), east));
  EXPECT_TRUE(allowed(source("clusters: [east, west]", "ALLOW"), east));
  EXPECT_FALSE(allowed(source("clusters: [west]", "DENY"), east));
  EXPECT_FALSE(allowed(source("notClusters: [west]", "ALLOW"), east));
  EXPECT_FALSE(allowed(source("notClusters: [east]", "DENY"), east));
  EXPECT_TRUE(allowed(source("notClusters: [east, west]", "DENY"), east));
  // Of a caller without an identity nobody knows.
  EXPECT_FALSE(allowed(source("clusters: ['*']", "ALLOW"), plain));
  EXPECT_FALSE(allowed(source("notClusters: [west]", "ALLOW"), plain));
  EXPECT_FALSE(allowed(source("notClusters: [east]", "DENY"), plain));
}

TEST(Authorization, UnclearClustersAreNamed) {
  const std::string yaml =
      Policy("p",
             "{rules: [{from: [{source: {clusters: [west, nowhere], notClusters: ['*']}}], "
             "when: [{key: source.cluster, values: [no*], notValues: [east]}]}]}");
  WorldBuilder builder = Helloworld();
  ASSERT_TRUE(builder.Apply(yaml).ok());
  std::vector<std::string> messages;
  for (const Problem& problem : CheckPolicies(TranslationIndex(builder.world()))) {
    EXPECT_EQ(problem.severity, Severity::kWarning);
    messages.push_back(absl::StrCat(problem.field, ": ", problem.message));
  }
  EXPECT_EQ(
      messages,
      (std::vector<std::string>{
          "spec.rules[0].from[0].source.clusters[1]: no cluster 'nowhere' is linked: no caller is "
          "of it",
          "spec.rules[0].when[0].values[0]: no cluster 'no*' is linked: no caller is of it"}));
  builder.SharedTrustDomain();
  const std::vector<Problem> problems = CheckPolicies(TranslationIndex(builder.world()));
  ASSERT_EQ(problems.size(), 4u);
  EXPECT_EQ(problems[0].field, "spec.rules[0].from[0].source.clusters[0]");
  EXPECT_TRUE(absl::StrContains(problems[0].message,
                                "cluster 'west' shares the trust domain 'east.local' with others "
                                "(east, west)"))
      << problems[0].message;
}

// ---- Bad input, as far as a policy meets it.

TEST(Authorization, Row58APathHasOneSpellingWherePoliciesAskForIt) {
  const std::string deny =
      Policy("d", "{action: DENY, rules: [{to: [{operation: {paths: ['/admin/*', /admin]}}]}]}");
  for (const char* path :
       {"/admin/x", "//admin/x", "/./admin/x", "/a/../admin/x", "/admin%2Fx", "/admin%5Cx",
        "/admin\\x", "/%61dmin/x", "/admin;v=1/x", "/admin;", "/hello/..%2fadmin/x"}) {
    EXPECT_FALSE(Allowed(deny, {.path = path})) << path;
  }
  EXPECT_TRUE(Allowed(deny, {.path = "/%2561dmin/x"})) << "decoded once";
  WorldBuilder builder = Helloworld();
  ASSERT_TRUE(builder.Apply(deny).ok());
  InboundProxy strict = ProxyIn(builder.world());
  EXPECT_EQ(strict.Ask({.path = "/a//b%2Fc"}), "allowed");
  EXPECT_EQ(strict.forwarded().path, "/a/b/c") << "the application gets what was asked about";
  InboundProxy usual = ProxyIn(Helloworld().world());
  EXPECT_EQ(usual.Ask({.path = "/a//b%2Fc"}), "allowed");
  EXPECT_EQ(usual.forwarded().path, "/a//b%2Fc");
}

TEST(Authorization, Row59AFragmentHidesNothing) {
  const std::string deny =
      Policy("d", "{action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}");
  EXPECT_FALSE(Allowed(deny, {.path = "/admin#x"}));
  EXPECT_FALSE(Allowed(deny, {.path = "/admin?a#b"}));
}

TEST(Authorization, Row60AHostIsOneInEverySpelling) {
  const std::string deny =
      Policy("d", "{action: DENY, rules: [{to: [{operation: {hosts: [admin.example]}}]}]}");
  for (const char* host :
       {"admin.example", "ADMIN.example", "admin.example:5000", "admin.example."}) {
    EXPECT_FALSE(Allowed(deny, {.host = host})) << host;
  }
  EXPECT_TRUE(Allowed(deny, {.host = "admin.example.org"}));
}

TEST(Authorization, Row61EveryValueOfARepeatedHeaderCounts) {
  const std::string when = "rules: [{when: [{key: 'request.headers[x-role]', values: [admin]}]}]}";
  const Call both{.headers = {{"x-role", "guest"}, {"x-role", "admin"}}};
  EXPECT_FALSE(Allowed(Policy("d", "{action: DENY, " + when), both));
  EXPECT_FALSE(Allowed(Policy("a", "{" + when), both));
}

TEST(Authorization, Row62DotsAreLiteral) {
  const Call with_dot{.principal = "east.local/ns/a.b/sa/front.end"};
  const Call without{.principal = "east.local/ns/aXb/sa/frontXend"};
  for (const char* source :
       {"serviceAccounts: [a.b/front.end]", "namespaces: [a.b]", "principals: ['*/sa/front.end']",
        "namespaces: ['a.*']", "principals: [east.local/ns/a.b/sa/front.end]"}) {
    ExpectField({source, with_dot, without}, absl::StrCat("{from: [{source: {", source, "}}]}"));
  }
  ExpectField({"", {.principal = "west.local/ns/a/sa/a"}, {.principal = "westXlocal/ns/a/sa/a"}},
              "{from: [{source: {trustDomains: [west.local]}}]}");
}

// An identity of which a part looks like another one's.
TEST(Authorization, Row51APartOfAnIdentityIsNotAnother) {
  const std::string allow = Policy("a", "{rules: [{from: [{source: {namespaces: [default]}}]}]}");
  EXPECT_FALSE(Allowed(allow, {.principal = "east.local/ns/x/sa/ns/default/sa/y"}));
  const std::string account =
      Policy("a", "{rules: [{from: [{source: {serviceAccounts: [default/sleep]}}]}]}");
  EXPECT_FALSE(Allowed(account, {.principal = "east.local/ns/x/ns/default/sa/sleep"}));
}

}  // namespace
}  // namespace weft
