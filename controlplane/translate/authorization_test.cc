// World and call → verdict, through Translate, the proxy's compiler and its decisions.
#include "controlplane/translate/authorization.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controlplane/translate/check_policies.h"
#include "controlplane/translate/inbound_verdict.h"
#include "controlplane/translate/translate.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

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

// No external authorizer is asked, so what it was to decide is denied; the rest goes on.
TEST(Authorization, CustomFailsClosed) {
  const std::string custom = Policy("ext",
                                    "{action: CUSTOM, provider: {name: opa}, rules: [{to: "
                                    "[{operation: {paths: ['/admin*']}}]}]}");
  EXPECT_EQ(AskOf(Helloworld(), custom + Policy("allow", "{rules: [{}]}"), {.path = "/admin"}),
            "denied: ns[default]-policy[ext]-rule[0]-deny-due-to-bad-CUSTOM-action");
  EXPECT_TRUE(Allowed(custom, {.path = "/hello"}));
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
