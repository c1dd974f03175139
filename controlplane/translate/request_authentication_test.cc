// World and call → verdict, through Translate, the proxy's compiler and its decisions. Time is
// 1'700'000'000 (inbound_verdict.cc).
#include "controlplane/translate/request_authentication.h"

#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "certs/test_jwt.h"
#include "controlplane/translate/inbound_verdict.h"
#include "controlplane/translate/key_set_uris.h"
#include "controlplane/translate/translate.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

const certs::TestJwtKey& KeyA() {
  static const auto* key = new certs::TestJwtKey("ES256");
  return *key;
}
const certs::TestJwtKey& KeyB() {
  static const auto* key = new certs::TestJwtKey("ES256");
  return *key;
}

constexpr char kAlice[] =
    R"({"iss":"https://a.example","sub":"alice","aud":["books","music"],"azp":"shop",)"
    R"("exp":1700000600,"scope":"read write","groups":["staff","book"],"name":"Alice Smith",)"
    R"("roles":"admin ops","nested":{"deep":{"group":"g1"}},"level":3})";

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

std::string Authentication(const std::string& name, const std::string& spec,
                           const std::string& name_space = "default") {
  return absl::StrCat("---\nkind: RequestAuthentication\nmetadata: {name: ", name,
                      ", namespace: ", name_space, "}\nspec: ", spec, "\n");
}

std::string Rule(const std::string& issuer, const certs::TestJwtKey& key,
                 const std::string& more = "") {
  return absl::StrCat("{issuer: ", issuer, ", jwks: '", key.KeySet(), "'", more.empty() ? "" : ", ",
                      more, "}");
}

// Tokens of A, kept in the default places unless `more` says otherwise.
std::string IssuerA(const std::string& more = "") {
  return Authentication("a", "{jwtRules: [" + Rule("'https://a.example'", KeyA(), more) + "]}");
}

std::string Policy(const std::string& spec) {
  return absl::StrCat("---\nkind: AuthorizationPolicy\nmetadata: {name: p}\nspec: ", spec, "\n");
}

InboundProxy ProxyOf(const std::string& yaml, WorldBuilder builder = Helloworld()) {
  const absl::Status status = builder.Apply(yaml);
  EXPECT_TRUE(status.ok()) << status << "\n" << yaml;
  return InboundProxy(ListenerIn(Translate(builder.world(), PodView()), "virtualInbound"));
}

Call With(const std::string& token, const std::string& name = "authorization",
          const std::string& prefix = "Bearer ") {
  return {.headers = {{name, absl::StrCat(prefix, token)}}};
}

std::string Header(const InboundProxy& proxy, const std::string& name) {
  return std::string(proxy.forwarded().headers.Get(name).value_or("none"));
}

TEST(RequestAuthentication, ATokenHasToBeGoodButNeedNotBeThere) {
  InboundProxy proxy = ProxyOf(IssuerA());
  EXPECT_EQ(proxy.Ask({}), "allowed");
  EXPECT_EQ(proxy.Ask(With(KeyA().Token(kAlice))), "allowed");
  EXPECT_EQ(proxy.Ask(With(KeyB().Token(kAlice))), "token: Jwt verification fails");
  EXPECT_EQ(proxy.Ask(With(KeyA().Token(R"({"iss":"x"})"))), "token: Jwt issuer is not configured");
  EXPECT_EQ(proxy.Ask(With(KeyA().Token(R"({"iss":"https://a.example","exp":1600000000})"))),
            "token: Jwt is expired");
  EXPECT_EQ(proxy.Ask({.path = "/hello?access_token=" + KeyB().Token(kAlice)}),
            "token: Jwt verification fails");
  EXPECT_EQ(proxy.Ask({.port = 9000}), "allowed");
}

TEST(RequestAuthentication, RulesOfAllThatSelectTheWorkloadCountTogether) {
  const std::string both =
      IssuerA() + Authentication("b", "{jwtRules: [" + Rule("b", KeyB()) + "]}", "istio-system");
  InboundProxy proxy = ProxyOf(both);
  EXPECT_EQ(proxy.Ask(With(KeyA().Token(kAlice))), "allowed");
  EXPECT_EQ(proxy.Ask(With(KeyB().Token(R"({"iss":"b"})"))), "allowed");
  EXPECT_NE(proxy.Ask(With(KeyA().Token(R"({"iss":"b"})"))), "allowed") << "b's key, not a's";
  // One bad token is not made good by another beside it.
  Call call = With(KeyA().Token(kAlice));
  call.path = "/hello?access_token=" + KeyA().Token(R"({"iss":"b"})");
  EXPECT_NE(proxy.Ask(call), "allowed");
}

TEST(RequestAuthentication, SelectsWorkloads) {
  const std::string rules = "jwtRules: [" + Rule("b", KeyB()) + "]";
  struct {
    const char* name;
    std::string yaml;
    bool applies;
  } rows[] = {
      {"namespace", Authentication("x", "{" + rules + "}"), true},
      {"another namespace", Authentication("x", "{" + rules + "}", "web"), false},
      {"mesh", Authentication("x", "{" + rules + "}", "weft-system"), true},
      {"workload", Authentication("x", "{selector: {matchLabels: {version: v1}}, " + rules + "}"),
       true},
      {"another workload",
       Authentication("x", "{selector: {matchLabels: {version: v2}}, " + rules + "}"), false},
      {"target", Authentication("x", "{targetRefs: [{kind: Gateway, name: g}], " + rules + "}"),
       false},
      {"no rules", Authentication("x", "{}"), false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(ProxyOf(row.yaml).Ask(With("x.y.z")) != "allowed", row.applies) << row.name;
  }
}

// By OpenID discovery.
TEST(RequestAuthentication, KeysThatAreNotStatedAreTheIssuersOwn) {
  WorldBuilder builder = Helloworld();
  ASSERT_TRUE(
      builder.Apply(Authentication("a", "{jwtRules: [{issuer: 'https://a.example'}]}")).ok());
  World world = builder.world();
  const std::string uri = "https://a.example/.well-known/openid-configuration";
  EXPECT_EQ(KeySetUris(world), (std::map<std::string, absl::Duration>{{uri, absl::Seconds(5)}}));
  const auto ask = [&] {
    return InboundProxy(ListenerIn(Translate(world, PodView()), "virtualInbound"))
        .Ask(With(KeyA().Token(kAlice)));
  };
  EXPECT_EQ(ask(), "token: Jwt verification fails");
  world.key_sets[uri] = std::make_shared<const std::string>(KeyA().KeySet());
  EXPECT_EQ(ask(), "allowed");
}

TEST(RequestAuthentication, AnIssuerThatIsNoUrlIsNotAsked) {
  WorldBuilder builder = Helloworld();
  ASSERT_TRUE(builder.Apply(Authentication("a", "{jwtRules: [{issuer: a@example.com}]}")).ok());
  EXPECT_TRUE(KeySetUris(builder.world()).empty());
}

TEST(RequestAuthentication, EachPlaceOfAToken) {
  const std::string good = KeyA().Token(kAlice), bad = KeyB().Token(kAlice);
  struct {
    const char* places;
    Call (*call)(const std::string& token);
  } rows[] = {
      {"", [](const std::string& t) { return With(t); }},
      {"", [](const std::string& t) { return Call{.path = "/a?access_token=" + t}; }},
      {"fromHeaders: [{name: x-jwt, prefix: 'T '}]",
       [](const std::string& t) { return With(t, "X-Jwt", "T "); }},
      {"fromHeaders: [{name: x-jwt}]", [](const std::string& t) { return With(t, "x-jwt", ""); }},
      {"fromParams: [my_token]",
       [](const std::string& t) { return Call{.path = "/a?b=c&my_token=" + t}; }},
      {"fromCookies: [session]",
       [](const std::string& t) { return With(t, "cookie", "a=b; session="); }},
  };
  const std::string needed =
      Policy("{rules: [{from: [{source: {requestPrincipals: ['https://a.example/alice']}}]}]}");
  for (const auto& row : rows) {
    InboundProxy proxy = ProxyOf(IssuerA(row.places) + needed);
    EXPECT_EQ(proxy.Ask(row.call(good)), "allowed") << row.places;
    EXPECT_EQ(proxy.Ask(row.call(bad)), "token: Jwt verification fails") << row.places;
    EXPECT_EQ(proxy.Ask({}), "denied: none") << row.places;
  }
  // Places of one's own replace the usual ones.
  InboundProxy proxy = ProxyOf(IssuerA("fromParams: [my_token]"));
  EXPECT_EQ(proxy.Ask(With(bad)), "allowed") << "is no token then";
}

TEST(RequestAuthentication, Audiences) {
  InboundProxy proxy = ProxyOf(IssuerA("audiences: [games, music]"));
  EXPECT_EQ(proxy.Ask(With(KeyA().Token(kAlice))), "allowed");
  EXPECT_EQ(ProxyOf(IssuerA("audiences: [games]")).Ask(With(KeyA().Token(kAlice))),
            "token: Audiences in Jwt are not allowed");
}

TEST(RequestAuthentication, WhatBecomesOfAToken) {
  const std::string token = KeyA().Token(kAlice);
  InboundProxy usual = ProxyOf(IssuerA());
  EXPECT_EQ(usual.Ask(With(token)), "allowed");
  EXPECT_EQ(Header(usual, "authorization"), "none");

  InboundProxy forwarding = ProxyOf(IssuerA("forwardOriginalToken: true"));
  EXPECT_EQ(forwarding.Ask(With(token)), "allowed");
  EXPECT_EQ(Header(forwarding, "authorization"), "Bearer " + token);

  InboundProxy payload = ProxyOf(IssuerA("outputPayloadToHeader: x-payload"));
  EXPECT_EQ(payload.Ask(With(token)), "allowed");
  EXPECT_EQ(Header(payload, "x-payload"),
            token.substr(token.find('.') + 1, token.rfind('.') - token.find('.') - 1));

  InboundProxy claims = ProxyOf(
      IssuerA("outputClaimToHeaders: [{header: x-sub, claim: sub}, {header: x-group, claim: "
              "nested.deep.group}, {header: x-none, claim: none}]"));
  EXPECT_EQ(claims.Ask(With(token)), "allowed");
  EXPECT_EQ(Header(claims, "x-sub"), "alice");
  EXPECT_EQ(Header(claims, "x-group"), "g1");
  EXPECT_EQ(Header(claims, "x-none"), "none");
  // Nobody else may say them.
  EXPECT_EQ(claims.Ask({.headers = {{"x-sub", "root"}}}), "allowed");
  EXPECT_EQ(Header(claims, "x-sub"), "none");
}

TEST(RequestAuthentication, EachAttributeOfATokenInAPolicy) {
  struct {
    const char* rule;
    bool matches;
  } rows[] = {
      {"from: [{source: {requestPrincipals: ['*']}}]", true},
      {"from: [{source: {requestPrincipals: ['https://a.example/alice']}}]", true},
      {"from: [{source: {requestPrincipals: ['https://a.example/bob']}}]", false},
      {"from: [{source: {requestPrincipals: ['https://a.example/*']}}]", true},
      {"from: [{source: {requestPrincipals: ['https://a.example/al*']}}]", true},
      {"from: [{source: {requestPrincipals: ['https:/*']}}]", false},
      {"from: [{source: {requestPrincipals: ['https:*']}}]", true},
      {"from: [{source: {requestPrincipals: ['*/alice']}}]", true},
      {"from: [{source: {requestPrincipals: ['*.example/alice']}}]", true},
      {"from: [{source: {requestPrincipals: ['*ice']}}]", true},
      {"from: [{source: {requestPrincipals: [alice]}}]", false},
      {"from: [{source: {notRequestPrincipals: ['*']}}]", false},
      {"from: [{source: {notRequestPrincipals: ['*/bob']}}]", true},
      {"when: [{key: request.auth.principal, values: ['https://a.example/alice']}]", true},
      {"when: [{key: request.auth.principal, notValues: ['*/alice']}]", false},
      {"when: [{key: request.auth.audiences, values: [music]}]", true},
      {"when: [{key: request.auth.audiences, values: [games]}]", false},
      {"when: [{key: request.auth.presenter, values: [shop]}]", true},
      {"when: [{key: request.auth.presenter, notValues: ['sh*']}]", false},
      {"when: [{key: 'request.auth.claims[groups]', values: [staff]}]", true},
      {"when: [{key: 'request.auth.claims[groups]', values: ['*ff', x]}]", true},
      {"when: [{key: 'request.auth.claims[groups]', notValues: [book]}]", false},
      {"when: [{key: 'request.auth.claims[name]', values: [Alice Smith]}]", true},
      {"when: [{key: 'request.auth.claims[name]', values: [Alice]}]", false},
      {"when: [{key: 'request.auth.claims[scope]', values: [write]}]", true},
      {"when: [{key: 'request.auth.claims[roles]', values: [ops]}]", true},  // spaceDelimitedClaims
      {"when: [{key: 'request.auth.claims[nested][deep][group]', values: [g1]}]", true},
      {"when: [{key: 'request.auth.claims[nested][group]', values: ['*']}]", false},
      {"when: [{key: 'request.auth.claims[iss]', values: ['https://*']}]", true},
      {"when: [{key: 'request.auth.claims[none]', values: ['*']}]", false},
  };
  const Call alice = With(KeyA().Token(kAlice));
  for (const auto& row : rows) {
    const std::string rule = absl::StrCat("rules: [{", row.rule, "}]}");
    const std::string issuer = IssuerA("spaceDelimitedClaims: [roles]");
    EXPECT_EQ(ProxyOf(issuer + Policy("{" + rule)).Ask(alice) == "allowed", row.matches)
        << "ALLOW " << row.rule;
    EXPECT_EQ(ProxyOf(issuer + Policy("{action: DENY, " + rule)).Ask(alice) != "allowed",
              row.matches)
        << "DENY " << row.rule;
  }
}

// Istio's way of demanding a token: deny whoever has no principal of one.
TEST(RequestAuthentication, AuthorizationDemandsTokens) {
  InboundProxy proxy =
      ProxyOf(IssuerA() + Policy("{action: DENY, rules: [{from: [{source: {notRequestPrincipals: "
                                 "['*']}}], to: [{operation: {paths: ['/private*']}}]}]}"));
  EXPECT_EQ(proxy.Ask({.path = "/public"}), "allowed");
  EXPECT_EQ(proxy.Ask({.path = "/private"}), "denied: ns[default]-policy[p]-rule[0]");
  Call call = With(KeyA().Token(kAlice));
  call.path = "/private";
  EXPECT_EQ(proxy.Ask(call), "allowed");
}

TEST(RequestAuthentication, APreflightNeedsNoToken) {
  InboundProxy proxy = ProxyOf(IssuerA());
  Call call = With("x.y.z");
  call.method = "OPTIONS";
  call.headers.insert(call.headers.end(),
                      {{"origin", "https://web"}, {"access-control-request-method", "GET"}});
  EXPECT_EQ(proxy.Ask(call), "allowed");
}

TEST(RequestAuthentication, Row63UnsignedAndConfusedTokensAreRefused) {
  InboundProxy proxy = ProxyOf(IssuerA());
  const std::string good = KeyA().Token(kAlice);
  for (const std::string& token : {KeyA().TokenWithHeader(R"({"alg":"none"})", kAlice),
                                   KeyA().TokenWithHeader(R"({"alg":"HS256"})", kAlice),
                                   good.substr(0, good.rfind('.') + 1), good + "=", good + "AA"}) {
    EXPECT_EQ(proxy.Ask(With(token)).substr(0, 6), "token:") << token;
  }
}

TEST(RequestAuthentication, Row64WithoutKeysNoTokenIsGood) {
  for (const char* more : {"jwksUri: 'https://a.example/keys'", "forwardOriginalToken: true"}) {
    const std::string rule = Authentication(
        "a", absl::StrCat("{jwtRules: [{issuer: 'https://a.example', ", more, "}]}"));
    InboundProxy proxy = ProxyOf(rule);
    EXPECT_EQ(proxy.Ask(With(KeyA().Token(kAlice))).substr(0, 6), "token:") << more;
    EXPECT_EQ(proxy.Ask(With(KeyA().Token(kAlice, R"("kid":"weft-no-keys")"))).substr(0, 6),
              "token:");
    EXPECT_EQ(proxy.Ask({}), "allowed");
  }
}

TEST(RequestAuthentication, KeysThatWereFetchedCount) {
  const char* uri = "https://a.example/keys";
  const std::string rule = Authentication(
      "a", absl::StrCat("{jwtRules: [{issuer: 'https://a.example', jwksUri: '", uri, "'}]}"));
  InboundProxy proxy = ProxyOf(rule, Helloworld().KeySet(uri, KeyA().KeySet()));
  EXPECT_EQ(proxy.Ask(With(KeyA().Token(kAlice))), "allowed");
  EXPECT_EQ(proxy.Ask(With(KeyB().Token(kAlice))), "token: Jwt verification fails");
}

}  // namespace
}  // namespace weft
