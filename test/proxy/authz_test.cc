// Who may do what, through the running proxy: the RBAC and JWT filters, alone and one behind the
// other, and what clients try to get round them.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <fstream>
#include <mutex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/jose.h"
#include "certs/key.h"
#include "certs/test_jwt.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

constexpr char kTypes[] = "type.googleapis.com/envoy.extensions.";

std::string Typed(const std::string& type, const std::string& config) {
  return absl::StrCat("{\"@type\": ", kTypes, "filters.http.", type, config.empty() ? "" : ", ",
                      config, "}");
}

std::string Filter(const std::string& name, const std::string& type, const std::string& config) {
  return absl::StrCat("{name: ", name, ", typed_config: ", Typed(type, config), "}");
}

std::string Rbac(const std::string& config) { return Filter("rbac", "rbac.v3.RBAC", config); }

std::string Jwt(const std::string& config) {
  return Filter("jwt", "jwt_authn.v3.JwtAuthentication", config);
}

struct ListenerText {
  std::vector<std::string> filters;
  std::string routes = RouteTo("up");
  std::string more_of_manager = {};
  std::string more_of_chain = {};
};

std::string Listener(int port, const ListenerText& text) {
  std::vector<std::string> filters = text.filters;
  filters.push_back(Filter("router", "router.v3.Router", ""));
  return absl::StrCat(
      "{name: in, address: {socket_address: {address: 127.0.0.1, port_value: ", port,
      "}}, filter_chains: [{", text.more_of_chain,
      " filters: [{name: http, typed_config: {\"@type\": ", kTypes,
      "filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: in, ",
      text.more_of_manager,
      " route_config: {name: r, virtual_hosts: [{name: all, domains: [\"*\"], routes: [",
      text.routes, "]}]}, http_filters: [", absl::StrJoin(filters, ", "), "]}}]}]}");
}

// The listener "in" before an upstream that echoes.
struct Guarded {
  explicit Guarded(const ListenerText& text, const std::vector<std::string>& more_clusters = {})
      : proxy({Listener(port, text)}, Clusters(more_clusters)) {}

  std::vector<std::string> Clusters(std::vector<std::string> more) const {
    more.push_back(Cluster("up", {upstream.port()}));
    return more;
  }
  int StatusOf(const std::string& request) { return Ask(port, request).status(); }

  Upstream upstream{Echo};
  const int port = FreePort();
  ProxyProcess proxy;
};

// ---- RBAC.

std::string Rules(const std::string& action, const std::string& permission,
                  const std::string& principal, const std::string& policy = "p") {
  return absl::StrCat("{action: ", action, ", policies: {", policy, ": {permissions: [", permission,
                      "], principals: [", principal, "]}}}");
}

constexpr char kAny[] = "{any: true}";

std::string PathIs(const std::string& match) {
  return absl::StrCat("{url_path: {path: {", match, "}}}");
}

std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string AccessLog(const std::string& path) {
  return absl::StrCat("access_log: [{name: f, typed_config: {\"@type\": ", kTypes,
                      "access_loggers.file.v3.FileAccessLog, path: \"", path,
                      "\", log_format: {text_format_source: {inline_string: \"%RESPONSE_CODE% "
                      "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\\n\"}}}}], ");
}

TEST(Rbac, AllowsWhatAPolicyMatchesAndNothingElse) {
  const std::string log = WriteTestFile("access.log", "");
  const std::string read = absl::StrCat(
      "{and_rules: {rules: [{header: {name: \":method\", string_match: {exact: GET}}}, ",
      PathIs("prefix: /books"), "]}}");
  Guarded s({.filters = {Rbac("rules: " + Rules("ALLOW", read, kAny))},
             .more_of_manager = AccessLog(log)});
  EXPECT_EQ(s.StatusOf(Get("/books/1?q=/x")), 200);
  const Message denied = Ask(s.port, "DELETE /books/1 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(denied.status(), 403);
  EXPECT_EQ(denied.body, "RBAC: access denied");
  EXPECT_EQ(denied.Field("content-type"), "text/plain");
  EXPECT_EQ(s.StatusOf(Get("/other?q=/books")), 403);
  EXPECT_EQ(s.upstream.connections(), 1);
  EXPECT_EQ(s.proxy.Stat("http.in.rbac.allowed"), 1);
  EXPECT_EQ(s.proxy.Stat("http.in.rbac.denied"), 2);
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(Contents(log),
                             "200 - via_upstream\n403 - rbac_access_denied_matched_policy[none]\n");
  })) << Contents(log);
}

TEST(Rbac, ADenialNamesItsPolicyAndAnswersGrpcInKind) {
  const std::string log = WriteTestFile("access.log", "");
  Guarded s(
      {.filters = {Rbac("rules: " + Rules("DENY", PathIs("prefix: /admin"), kAny, "\"no admin\"") +
                        ", track_per_rule_stats: true")},
       .more_of_manager = AccessLog(log)});
  EXPECT_EQ(s.StatusOf(Get("/")), 200);
  const Message grpc = Ask(s.port, Get("/admin.Keys/Get", "Content-Type: application/grpc\r\n"));
  EXPECT_EQ(grpc.status(), 200);
  EXPECT_EQ(grpc.Field("grpc-status"), "7");
  EXPECT_EQ(grpc.Field("grpc-message"), "RBAC: access denied");
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(Contents(log), "rbac_access_denied_matched_policy[no_admin]\n");
  })) << Contents(log);
  EXPECT_EQ(s.proxy.Stat("http.in.rbac.policy.no admin.denied"), 1);
}

TEST(Rbac, AsksEverythingThatAConnectionAndARequestShow) {
  const int port = FreePort();
  struct Case {
    const char* name;
    std::string permission;
    std::string principal;
    std::string fields;
    bool allowed;
  };
  const Case kCases[] = {
      {"header", kAny, "{header: {name: x-role, string_match: {exact: admin}}}",
       "x-role: admin\r\n", true},
      {"other header", kAny, "{header: {name: x-role, string_match: {exact: admin}}}",
       "x-role: guest\r\n", false},
      {"source", kAny, "{source_ip: {address_prefix: 127.0.0.0, prefix_len: 8}}", "", true},
      {"other source", kAny, "{source_ip: {address_prefix: 10.0.0.0, prefix_len: 8}}", "", false},
      {"direct", kAny, "{direct_remote_ip: {address_prefix: 127.0.0.1, prefix_len: 32}}",
       "x-forwarded-for: 8.8.8.8\r\n", true},
      {"client behind a proxy", kAny, "{remote_ip: {address_prefix: 8.8.8.0, prefix_len: 24}}",
       "x-forwarded-for: 7.7.7.7\r\nx-forwarded-for: 8.8.8.8\r\n", true},
      {"not who came before", kAny, "{remote_ip: {address_prefix: 7.7.7.0, prefix_len: 24}}",
       "x-forwarded-for: 7.7.7.7, 8.8.8.8\r\n", false},
      {"nonsense is nobody", kAny,
       "{not_id: {remote_ip: {address_prefix: 127.0.0.0, prefix_len: 8}}}",
       "x-forwarded-for: nonsense\r\n", false},
      {"port", absl::StrCat("{destination_port: ", port, "}"), kAny, "", true},
      {"other port", absl::StrCat("{destination_port: ", port + 1, "}"), kAny, "", false},
      {"destination", "{destination_ip: {address_prefix: 127.0.0.1, prefix_len: 32}}", kAny, "",
       true},
      {"nobody is authenticated", kAny, "{authenticated: {}}", "", false},
  };
  Upstream upstream(Echo);
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.name);
    ProxyProcess proxy(
        {Listener(port,
                  {.filters = {Rbac("rules: " + Rules("ALLOW", one.permission, one.principal))},
                   .more_of_manager = "use_remote_address: true, xff_num_trusted_hops: 1, "})},
        {Cluster("up", {upstream.port()})});
    EXPECT_EQ(Ask(port, Get("/", one.fields)).status(), one.allowed ? 200 : 403);
  }
}

TEST(Rbac, ShadowRulesOnlyCount) {
  Guarded s({.filters = {Rbac(absl::StrCat(
                 "rules: ", Rules("ALLOW", kAny, kAny), ", shadow_rules: ",
                 Rules("DENY", PathIs("exact: /a"), kAny), ", shadow_rules_stat_prefix: dry_"))}});
  EXPECT_EQ(s.StatusOf(Get("/a")), 200);
  EXPECT_EQ(s.StatusOf(Get("/b")), 200);
  EXPECT_EQ(s.proxy.Stat("http.in.rbac.dry_shadow_denied"), 1);
  EXPECT_EQ(s.proxy.Stat("http.in.rbac.dry_shadow_allowed"), 1);
  EXPECT_EQ(s.proxy.Stat("http.in.rbac.allowed"), 2);
}

std::string Route(const std::string& prefix, const std::string& overrides) {
  return absl::StrCat("{match: {prefix: ", prefix, "}, route: {cluster: up}",
                      overrides.empty() ? "" : ", typed_per_filter_config: {", overrides,
                      overrides.empty() ? "" : "}", "}");
}

TEST(Rbac, RoutesOverrideAndDisable) {
  const std::string nobody = "rules: {action: ALLOW}";
  const std::string own = Typed(
      "rbac.v3.RBACPerRoute", "rbac: {rules: " + Rules("ALLOW", PathIs("suffix: /ok"), kAny) + "}");
  const std::vector<std::string> routes = {
      Route("/open", "rbac: " + Typed("rbac.v3.RBACPerRoute", "")),
      Route("/off",
            "rbac: {\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, "
            "disabled: true}"),
      Route("/own", "rbac: " + own),
      // Meant for another kind of filter: it must not switch this one off.
      Route("/cors", "rbac: " + Typed("cors.v3.CorsPolicy", "")),
      Route("/other", "elsewhere: " + own),
      Route("/", ""),
  };
  Guarded s({.filters = {Rbac(nobody)}, .routes = absl::StrJoin(routes, ", ")});
  const std::pair<const char*, int> kCases[] = {
      {"/open", 200}, {"/off", 200},   {"/own/ok", 200}, {"/own/no", 403},
      {"/cors", 403}, {"/other", 403}, {"/", 403},
  };
  for (const auto& [path, status] : kCases) EXPECT_EQ(s.StatusOf(Get(path)), status) << path;
  // Of the filter, whoever's rules they were; nothing where there are none.
  EXPECT_EQ(s.proxy.Stat("http.in.rbac.allowed"), 1);
  EXPECT_EQ(s.proxy.Stat("http.in.rbac.denied"), 4);
}

TEST(Rbac, AWeightedClusterOverridesItsRoute) {
  const std::string open = "rbac: " + Typed("rbac.v3.RBACPerRoute", "");
  Guarded s({.filters = {Rbac("rules: {action: ALLOW}")},
             .routes = absl::StrCat(
                 "{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: up, weight: "
                 "1, typed_per_filter_config: {",
                 open, "}}]}}}")});
  EXPECT_EQ(s.StatusOf(Get("/")), 200);
}

TEST(Rbac, Row58EverySpellingOfAPathIsOne) {
  Guarded s({.filters = {Rbac("rules: " + Rules("DENY", PathIs("exact: /admin/keys"), kAny))},
             .more_of_manager = "normalize_path: true, merge_slashes: true, "
                                "path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD, "});
  for (const char* path :
       {"/admin/keys", "//admin//keys", "/admin/./keys", "/x/../admin/keys", "/admin%2Fkeys",
        "/admin%5ckeys", "/%61dmin/keys", "/x%2f..%2fadmin/keys", "/admin/%2e%2e/admin/keys",
        "/admin;v=1/keys", "/admin/keys;v=1?q", "/admin/keys?q"}) {
    EXPECT_EQ(s.StatusOf(Get(path)), 403) << path;
  }
  EXPECT_GE(s.StatusOf(Get("/admin\\keys")), 400);
  EXPECT_EQ(s.upstream.connections(), 0);
  // Decoded once, so it is another path, and that is what goes on.
  const Message twice = Ask(s.port, Get("/%2561dmin/keys"));
  EXPECT_TRUE(absl::StartsWith(twice.body, "GET /%2561dmin/keys HTTP/1.1\r\n")) << twice.body;
  EXPECT_TRUE(absl::StartsWith(Ask(s.port, Get("/a/../b%2Fc")).body, "GET /b/c HTTP/1.1\r\n"));
}

TEST(Rbac, Row59AFragmentHidesNothing) {
  Guarded s({.filters = {Rbac("rules: " + Rules("DENY", PathIs("exact: /admin"), kAny))}});
  EXPECT_EQ(s.StatusOf(Get("/admin#/public")), 400);
  EXPECT_EQ(s.upstream.connections(), 0);
}

TEST(Rbac, Row60TheHostIsOneInEverySpelling) {
  const std::string host = "{header: {name: \":authority\", string_match: {exact: admin.example}}}";
  Guarded s({.filters = {Rbac("rules: " + Rules("DENY", host, kAny))}});
  for (const char* name : {"admin.example", "ADMIN.Example", "admin.example:80", "admin.example.",
                           "Admin.example.:8080"}) {
    EXPECT_EQ(s.StatusOf(absl::StrCat("GET / HTTP/1.1\r\nHost: ", name, "\r\n\r\n")), 403) << name;
    EXPECT_EQ(
        s.StatusOf(absl::StrCat("GET http://", name, "/ HTTP/1.1\r\nHost: ", name, "\r\n\r\n")),
        403)
        << name;
  }
  EXPECT_EQ(s.StatusOf("GET / HTTP/1.1\r\nHost: notadmin.example\r\n\r\n"), 200);
}

TEST(Rbac, Row61EveryValueOfARepeatedHeaderCounts) {
  const std::string admin = "{header: {name: x-role, string_match: {exact: admin}}}";
  const std::string guest = "{header: {name: x-role, string_match: {exact: guest}}}";
  Guarded deny({.filters = {Rbac("rules: " + Rules("DENY", admin, kAny))}});
  EXPECT_EQ(deny.StatusOf(Get("/", "x-role: guest\r\nX-Role: admin\r\n")), 403);
  EXPECT_EQ(deny.StatusOf(Get("/", "x-role: admin\r\nx-role: guest\r\n")), 403);
  EXPECT_EQ(deny.StatusOf(Get("/", "x-role: guest\r\n")), 200);
  Guarded allow({.filters = {Rbac("rules: " + Rules("ALLOW", guest, kAny))}});
  EXPECT_EQ(allow.StatusOf(Get("/", "x-role: guest\r\nx-role: admin\r\n")), 403);
  EXPECT_EQ(allow.StatusOf(Get("/", "x-role: guest\r\nx-role: guest\r\n")), 200);
}

TEST(Rbac, Row66AForgedAddressIsNotBelieved) {
  const std::string inner = "{remote_ip: {address_prefix: 10.0.0.0, prefix_len: 8}}";
  Guarded s({.filters = {Rbac("rules: " + Rules("ALLOW", kAny, inner))},
             .more_of_manager = "use_remote_address: true, "});
  EXPECT_EQ(s.StatusOf(Get("/", "x-forwarded-for: 10.0.0.1\r\n")), 403);
  EXPECT_EQ(s.StatusOf(Get("/", "x-forwarded-for: 10.0.0.1, 10.0.0.2\r\nx-real-ip: 10.0.0.1\r\n")),
            403);
}

// ---- Who a certificate says it is. The proxy is its own client: plain listeners originate TLS.

std::string Files(const certs::Issuer& issuer, const std::string& uri) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  const auto chain = issuer.Issue(key.public_key(), *certs::SpiffeId::Parse(uri),
                                  certs::kLeafValidity, absl::Now());
  return absl::StrCat("tls_certificates: [{certificate_chain: {filename: ",
                      WriteTestFile("chain.pem", absl::StrJoin(*chain, "")),
                      "}, private_key: {filename: ", WriteTestFile("key.pem", key.ToPem()), "}}]");
}

TEST(Rbac, Row62ACertificatesNameIsLiteral) {
  const certs::Issuer issuer = *certs::Issuer::CreateRoot("east", absl::Now());
  const std::string root = WriteTestFile("root.pem", issuer.root().ToPem());
  const auto tls = [&](const std::string& kind, const std::string& uri, const std::string& more) {
    return absl::StrCat("transport_socket: {name: tls, typed_config: {\"@type\": ", kTypes,
                        "transport_sockets.tls.v3.", kind, ", ", more, "common_tls_context: {",
                        Files(issuer, uri), ", validation_context: {trusted_ca: {filename: ", root,
                        "}}}}}, ");
  };
  const std::string named =
      "{authenticated: {principal_name: {exact: \"spiffe://east/ns/a/sa/front.end\"}}}";
  Upstream upstream(Echo);
  const int port = FreePort();
  const int dotted = FreePort();
  const int other = FreePort();
  ProxyProcess proxy(
      {Listener(port, {.filters = {Rbac("rules: " + Rules("ALLOW", kAny, named))},
                       .more_of_chain = tls("DownstreamTlsContext", "spiffe://east/ns/a/sa/server",
                                            "require_client_certificate: true, ")}),
       HttpListener("dotted", dotted, RouteTo("dotted")),
       HttpListener("other", other, RouteTo("other"))},
      {Cluster("up", {upstream.port()}),
       Cluster("dotted", {port},
               tls("UpstreamTlsContext", "spiffe://east/ns/a/sa/front.end", "sni: h, ")),
       Cluster("other", {port},
               tls("UpstreamTlsContext", "spiffe://east/ns/a/sa/frontXend", "sni: h, "))});
  EXPECT_EQ(Ask(dotted, Get("/")).status(), 200) << proxy.Output();
  const Message refused = Ask(other, Get("/"));
  EXPECT_EQ(refused.status(), 403);
  EXPECT_EQ(refused.body, "RBAC: access denied");
}

// ---- JWT.

const certs::TestJwtKey& Key() {
  static const auto* key = new certs::TestJwtKey("ES256");
  return *key;
}

const certs::TestJwtKey& OtherKey() {
  static const auto* key = new certs::TestJwtKey("ES256");
  return *key;
}

int64_t In(absl::Duration duration) { return absl::ToUnixSeconds(absl::Now() + duration); }

// Of alice, by the issuer "a"; `more` is further claims.
std::string Payload(const std::string& more = "") {
  return absl::StrCat(R"({"iss":"a","sub":"alice","aud":"books","exp":)", In(absl::Hours(1)),
                      more.empty() ? "" : ",", more, "}");
}

std::string Bearer(const std::string& token) {
  return absl::StrCat("Authorization: Bearer ", token, "\r\n");
}

std::string LocalKeys(const certs::TestJwtKey& key) {
  return absl::StrCat("local_jwks: {inline_string: '", key.KeySet(), "'}");
}

std::string Provider(const std::string& keys, const std::string& more = "") {
  return absl::StrCat("providers: {a: {issuer: a, audiences: [books], ", keys,
                      more.empty() ? "" : ", ", more, "}}");
}

constexpr char kEverywhere[] = "rules: [{match: {prefix: /}, requires: {provider_name: a}}]";

std::string RequireLocal(const std::string& more_of_provider = "", const std::string& more = "") {
  return Jwt(absl::StrCat(Provider(LocalKeys(Key()), more_of_provider), ", ", kEverywhere,
                          more.empty() ? "" : ", ", more));
}

TEST(Jwt, AVerifiedTokenPassesAndItsClaimsGoUpstream) {
  Guarded s({.filters = {RequireLocal("forward_payload_header: x-payload, claim_to_headers: "
                                      "[{header_name: x-sub, claim_name: sub}]")}});
  const std::string token = Key().Token(Payload());
  const Message answer =
      Ask(s.port, Get("/", Bearer(token) + "x-sub: forged\r\nX-Payload: forged\r\n"));
  ASSERT_EQ(answer.status(), 200) << answer.body;
  EXPECT_TRUE(absl::StrContains(answer.body, "\r\nx-sub: alice\r\n")) << answer.body;
  EXPECT_TRUE(absl::StrContains(
      answer.body, absl::StrCat("\r\nx-payload: ", certs::EncodeBase64Url(Payload()), "\r\n")))
      << answer.body;
  EXPECT_FALSE(absl::StrContains(answer.body, "forged"));
  EXPECT_FALSE(absl::StrContains(absl::AsciiStrToLower(answer.body), "authorization"));
  const Message in_query = Ask(s.port, Get("/a?x=1&access_token=" + token + "&y=2"));
  EXPECT_TRUE(absl::StartsWith(in_query.body, "GET /a?x=1&y=2 HTTP/1.1\r\n")) << in_query.body;
  EXPECT_EQ(s.proxy.Stat("http.in.jwt_authn.allowed"), 2);
  EXPECT_EQ(s.proxy.Stat("http.in.jwt_authn.denied"), 0);
}

TEST(Jwt, AForwardedTokenStays) {
  Guarded s({.filters = {RequireLocal("forward: true")}});
  const std::string token = Key().Token(Payload());
  EXPECT_TRUE(absl::StrContains(Ask(s.port, Get("/", Bearer(token))).body, token));
}

TEST(Jwt, WithoutATokenTheClientIsChallenged) {
  const std::string log = WriteTestFile("access.log", "");
  Guarded s({.filters = {RequireLocal()}, .more_of_manager = AccessLog(log)});
  const Message answer = Ask(s.port, Get("/a?b"));
  EXPECT_EQ(answer.status(), 401);
  EXPECT_EQ(answer.body, "Jwt is missing");
  EXPECT_EQ(answer.Field("www-authenticate"), "Bearer realm=\"http://test/a\"");
  const Message bad = Ask(s.port, Get("/", Bearer("x")));
  EXPECT_EQ(bad.Field("www-authenticate"),
            "Bearer realm=\"http://test/\", error=\"invalid_token\"");
  const Message grpc = Ask(s.port, Get("/", "Content-Type: application/grpc\r\n"));
  EXPECT_EQ(grpc.Field("grpc-status"), "16");
  EXPECT_EQ(s.upstream.connections(), 0);
  EXPECT_EQ(s.proxy.Stat("http.in.jwt_authn.denied"), 3);
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(Contents(log), "401 - jwt_authn_access_denied{Jwt_is_missing}\n");
  })) << Contents(log);
}

TEST(Jwt, TheFailureCanBeKeptFromTheClient) {
  Guarded s({.filters = {RequireLocal("", "strip_failure_response: true")}});
  const Message answer = Ask(s.port, Get("/"));
  EXPECT_EQ(answer.status(), 401);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(answer.Field("www-authenticate"), "");
}

// The issuer's public keys taken for the secret of an HMAC.
std::string Confused() {
  const std::string text = absl::StrCat(certs::EncodeBase64Url(R"({"alg":"HS256"})"), ".",
                                        certs::EncodeBase64Url(Payload()));
  const std::string secret = Key().KeySet();
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), secret.size(), reinterpret_cast<const uint8_t*>(text.data()),
       text.size(), mac, &size);
  return absl::StrCat(
      text, ".",
      certs::EncodeBase64Url(absl::string_view(reinterpret_cast<const char*>(mac), size)));
}

TEST(Jwt, Row63WhatIsNoTokenOfTheIssuerIsRefused) {
  Guarded s({.filters = {RequireLocal()}});
  const std::string good = Key().Token(Payload());
  const std::string unsigned_text = good.substr(0, good.rfind('.') + 1);
  const std::string none = absl::StrCat(certs::EncodeBase64Url(R"({"alg":"none"})"), ".",
                                        certs::EncodeBase64Url(Payload()), ".");
  const auto claims = [](const std::string& payload) { return Key().Token(payload); };
  const std::string exp = absl::StrCat(R"("exp":)", In(absl::Hours(1)));
  struct Case {
    const char* name;
    std::string token;
    int status;
    const char* body;
  };
  const Case kCases[] = {
      {"empty", "", 401, "Jwt is missing"},
      {"no token", "abc", 401, "Jwt is not in the form of"},
      {"four parts", good + ".x", 401, "Jwt is not in the form of"},
      {"none", none, 401, "Jwt header [alg] is not supported"},
      {"none, signed", none + good.substr(good.rfind('.') + 1), 401,
       "Jwt header [alg] is not supported"},
      {"None", absl::StrCat(certs::EncodeBase64Url(R"({"alg":"None"})"), ".", Payload(), "."), 401,
       "Jwt header [alg] is not supported"},
      {"confused", Confused(), 401, "Jwks doesn't have key to match kid or alg from Jwt"},
      {"without its signature", unsigned_text, 401, "Jwt verification fails"},
      {"another's signature", OtherKey().Token(Payload()), 401, "Jwt verification fails"},
      {"padded", good + "=", 401, "Jwt signature is an invalid Base64url encoded"},
      {"padded twice", good + "==", 401, "Jwt signature is an invalid Base64url encoded"},
      {"another alphabet", "+/" + good, 401, "Jwt header is an invalid"},
      {"payload no base64", "eyJhbGciOiJFUzI1NiJ9.a*b.c", 401,
       "Jwt payload is an invalid Base64url encoded"},
      {"payload no JSON", Key().Token("{"), 401, "Jwt payload is an invalid JSON"},
      {"a header twice", Key().TokenWithHeader(R"({"alg":"none","alg":"ES256"})", Payload()), 401,
       "Jwt header is an invalid JSON"},
      {"a claim twice", claims(R"({"iss":"b","iss":"a","aud":"books",)" + exp + "}"), 401,
       "Jwt payload is an invalid JSON"},
      {"too long", Key().Token(Payload(absl::StrCat(R"("x":")", std::string(17'000, 'x'), "\""))),
       401, "Jwt is too long"},
      {"expired",
       claims(absl::StrCat(R"({"iss":"a","aud":"books","exp":)", In(-absl::Hours(1)), "}")), 401,
       "Jwt is expired"},
      {"not yet", claims(Payload(absl::StrCat(R"("nbf":)", In(absl::Hours(1))))), 401,
       "Jwt not yet valid"},
      {"another issuer", claims(R"({"iss":"b","aud":"books",)" + exp + "}"), 401,
       "Jwt issuer is not configured"},
      {"another audience", claims(R"({"iss":"a","aud":"music",)" + exp + "}"), 403,
       "Audiences in Jwt are not allowed"},
      {"a critical extension", Key().Token(Payload(), R"("crit":["b64"],"b64":false)"), 401,
       "Jwt header [crit]"},
  };
  for (const Case& one : kCases) {
    const Message answer = Ask(s.port, Get("/", Bearer(one.token)));
    EXPECT_EQ(answer.status(), one.status) << one.name;
    EXPECT_TRUE(absl::StartsWith(answer.body, one.body)) << one.name << ": " << answer.body;
  }
  EXPECT_EQ(s.upstream.connections(), 0);
  EXPECT_EQ(s.StatusOf(Get("/", Bearer(good))), 200) << "the case that they vary";
}

TEST(Jwt, Row61ABadTokenIsNotMadeGoodByAnother) {
  Guarded s({.filters = {RequireLocal()}});
  const std::string good = Key().Token(Payload());
  const std::string bad = OtherKey().Token(Payload());
  EXPECT_EQ(s.StatusOf(Get("/", Bearer(good) + Bearer(bad))), 401);
  EXPECT_EQ(s.StatusOf(Get("/", Bearer(bad) + Bearer(good))), 401);
  EXPECT_EQ(s.StatusOf(Get("/?access_token=" + bad, Bearer(good))), 401);
  EXPECT_EQ(s.StatusOf(Get("/", Bearer(good) + Bearer(good))), 200);
  std::string many;
  for (int i = 0; i < 20; ++i) absl::StrAppend(&many, Bearer(absl::StrCat("x", i)));
  EXPECT_EQ(Ask(s.port, Get("/", many)).body, "Found multiple Jwt tokens");
}

TEST(Jwt, Row58ARuleSeesTheNormalPath) {
  Guarded s({.filters = {Jwt(absl::StrCat(
                 Provider(LocalKeys(Key())),
                 ", rules: [{match: {prefix: /private}, requires: {provider_name: a}}]"))},
             .more_of_manager = "normalize_path: true, merge_slashes: true, "});
  for (const char* path :
       {"/private", "//private", "/x/../private", "/%70rivate", "/./private/x"}) {
    EXPECT_EQ(s.StatusOf(Get(path)), 401) << path;
  }
  EXPECT_EQ(s.StatusOf(Get("/public")), 200);
}

TEST(Jwt, RoutesAskForSomethingElse) {
  const auto route = [](const std::string& config) {
    return "jwt: " + Typed("jwt_authn.v3.PerRouteConfig", config);
  };
  const std::vector<std::string> routes = {
      Route("/open", route("disabled: true")),
      Route("/guest", route("requirement_name: guests")),
      Route("/wrong", route("requirement_name: nobody")),
      Route("/", ""),
  };
  Guarded s({.filters = {RequireLocal("claim_to_headers: [{header_name: x-sub, claim_name: sub}]",
                                      "requirement_map: {guests: {allow_missing: {}}}")},
             .routes = absl::StrJoin(routes, ", ")});
  const Message open = Ask(s.port, Get("/open", "x-sub: forged\r\n"));
  EXPECT_EQ(open.status(), 200);
  EXPECT_FALSE(absl::StrContains(open.body, "forged")) << "also where nothing is asked for";
  EXPECT_EQ(s.StatusOf(Get("/guest")), 200);
  EXPECT_EQ(s.StatusOf(Get("/guest", Bearer("bad"))), 401);
  EXPECT_EQ(s.StatusOf(Get("/")), 401);
  const Message wrong = Ask(s.port, Get("/wrong", Bearer(Key().Token(Payload()))));
  EXPECT_EQ(wrong.status(), 403);
  EXPECT_EQ(wrong.body, "Failed JWT authentication: Wrong requirement_name: nobody");
}

TEST(Jwt, APreflightMayComeWithoutAToken) {
  Guarded s({.filters = {RequireLocal("", "bypass_cors_preflight: true")}});
  const std::string preflight =
      "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://a\r\nAccess-Control-Request-Method: "
      "GET\r\n\r\n";
  EXPECT_EQ(s.StatusOf(preflight), 200);
  EXPECT_EQ(s.StatusOf("OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n"), 401);
  EXPECT_EQ(s.proxy.Stat("http.in.jwt_authn.cors_preflight_bypassed"), 1);
}

TEST(Jwt, ARememberedTokenIsCounted) {
  Guarded s({.filters = {RequireLocal("jwt_cache_config: {}")}});
  const std::string token = Key().Token(Payload());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(s.StatusOf(Get("/", Bearer(token))), 200);
  EXPECT_EQ(s.proxy.Stat("http.in.jwt_authn.jwt_cache_miss"), 1);
  EXPECT_EQ(s.proxy.Stat("http.in.jwt_authn.jwt_cache_hit"), 2);
}

TEST(Jwt, ItsClaimsDecideInTheFilterBehindIt) {
  const std::string role =
      "{metadata: {filter: envoy.filters.http.jwt_authn, path: [{key: token}, {key: role}], value: "
      "{string_match: {exact: admin}}}}";
  const std::string istio =
      "{metadata: {filter: istio_authn, path: [{key: request.auth.principal}], value: "
      "{string_match: {exact: a/alice}}}}";
  Guarded s(
      {.filters = {RequireLocal("payload_in_metadata: token"),
                   Rbac("rules: " + Rules("ALLOW", kAny, role)),
                   Filter("second", "rbac.v3.RBAC", "rules: " + Rules("ALLOW", kAny, istio))}});
  const auto with = [&](const std::string& claims) {
    return s.StatusOf(Get("/", Bearer(Key().Token(Payload(claims)))));
  };
  EXPECT_EQ(with(R"("role":"admin")"), 200);
  EXPECT_EQ(with(R"("role":"guest")"), 403);
  EXPECT_EQ(with(R"("role":["admin"])"), 403);
  EXPECT_EQ(with(""), 403);
  EXPECT_EQ(s.StatusOf(Get("/", "token: {\"role\":\"admin\"}\r\n")), 401);
}

TEST(Jwt, TheOrderOfTheFiltersIsTheirs) {
  const std::string claim =
      "{metadata: {filter: istio_authn, path: [{key: request.auth.principal}], value: "
      "{present_match: true}}}";
  Guarded s({.filters = {Rbac("rules: " + Rules("ALLOW", kAny, claim)), RequireLocal()}});
  EXPECT_EQ(s.StatusOf(Get("/", Bearer(Key().Token(Payload())))), 403) << "not verified yet";
}

// ---- Keys that have to be fetched.

// A server of key sets. While it has no answer, it is silent.
class Issuer {
 public:
  explicit Issuer(const std::string& answer) : answer_(answer) {}
  ~Issuer() { Answer("gone"); }

  void Answer(const std::string& answer) {
    const std::lock_guard<std::mutex> lock(mutex_);
    answer_ = answer;
  }
  std::string request() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return request_;
  }
  int port() const { return server_.port(); }
  int fetches() const { return server_.connections(); }

 private:
  std::string answer() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return answer_;
  }
  void Serve(Socket& socket) {
    const Message request = socket.ReadRequest();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      request_ = request.head;
    }
    Eventually([this] { return !answer().empty(); });
    socket.Send(answer());
  }

  std::mutex mutex_;
  std::string answer_;
  std::string request_;
  Upstream server_{[this](Socket& socket, int) { Serve(socket); }};
};

std::string Ok(const std::string& body) {
  return absl::StrCat("HTTP/1.1 200 OK\r\ncontent-length: ", body.size(), "\r\n\r\n", body);
}

std::string RequireRemote(const std::string& more, const std::string& timeout = "1s") {
  return Jwt(absl::StrCat(
      Provider(absl::StrCat("remote_jwks: {http_uri: {uri: \"https://issuer.example/keys?v=1\", "
                            "cluster: issuer, timeout: ",
                            timeout, "}, ", more, "}")),
      ", ", kEverywhere));
}

TEST(RemoteJwks, AreThereBeforeTheFirstRequest) {
  Issuer issuer(Ok(Key().KeySet()));
  Guarded s({.filters = {RequireRemote("cache_duration: 600s")}},
            {Cluster("issuer", {issuer.port()})});
  EXPECT_EQ(s.StatusOf(Get("/", Bearer(Key().Token(Payload())))), 200) << s.proxy.Output();
  EXPECT_EQ(s.StatusOf(Get("/", Bearer(OtherKey().Token(Payload())))), 401);
  EXPECT_EQ(issuer.fetches(), 1);
  EXPECT_TRUE(absl::StartsWith(issuer.request(), "GET /keys?v=1 HTTP/1.1\r\n"));
  EXPECT_TRUE(
      absl::StrContains(absl::AsciiStrToLower(issuer.request()), "host: issuer.example\r\n"));
  EXPECT_EQ(s.proxy.Stat("jwt_authn.jwks_fetch_success"), 1);
}

TEST(RemoteJwks, ARotationIsFollowed) {
  Issuer issuer(Ok(Key().KeySet()));
  Guarded s({.filters = {RequireRemote("cache_duration: 0.05s")}},
            {Cluster("issuer", {issuer.port()})});
  // One connection through it all.
  Socket client = Socket::Connect(s.port);
  const auto status = [&](const certs::TestJwtKey& key) {
    client.Send(Get("/", Bearer(key.Token(Payload()))));
    return client.ReadResponse().status();
  };
  EXPECT_EQ(status(Key()), 200);
  EXPECT_EQ(status(OtherKey()), 401);
  issuer.Answer(Ok(OtherKey().KeySet()));
  EXPECT_TRUE(Eventually([&] { return status(OtherKey()) == 200; }));
  EXPECT_EQ(status(Key()), 401);
}

TEST(RemoteJwks, Row64WithoutKeysNobodyPassesAndThenTheyDo) {
  for (const std::string& answer : {std::string("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"),
                                    Ok("not JSON"), Ok(R"({"keys":[]})"), std::string()}) {
    SCOPED_TRACE(answer);
    Issuer issuer(answer);
    Guarded s({.filters = {RequireRemote("async_fetch: {failed_refetch_duration: 0.1s}")}},
              {Cluster("issuer", {issuer.port()})});
    const std::string request = Get("/", Bearer(Key().Token(Payload())));
    const Message refused = Ask(s.port, request);
    EXPECT_EQ(refused.status(), 401);
    EXPECT_EQ(refused.body, "Jwks remote fetch is failed");
    EXPECT_EQ(s.StatusOf(Get("/", Bearer(OtherKey().Token(Payload())))), 401);
    EXPECT_GE(s.proxy.Stat("jwt_authn.jwks_fetch_failed"), 1);
    issuer.Answer(Ok(Key().KeySet()));
    EXPECT_TRUE(Eventually([&] { return s.StatusOf(request) == 200; }));
  }
}

TEST(RemoteJwks, Row64AnIssuerThatIsAwayForAWhileLocksNobodyOut) {
  Issuer issuer(Ok(Key().KeySet()));
  Guarded s({.filters = {RequireRemote("cache_duration: 0.05s")}},
            {Cluster("issuer", {issuer.port()})});
  issuer.Answer("HTTP/1.1 503 Away\r\ncontent-length: 0\r\n\r\n");
  EXPECT_TRUE(Eventually([&] { return s.proxy.Stat("jwt_authn.jwks_fetch_failed") >= 1; }));
  EXPECT_EQ(s.StatusOf(Get("/", Bearer(Key().Token(Payload())))), 200);
}

TEST(RemoteJwks, AFastListenerDoesNotWait) {
  Issuer issuer("");
  Guarded s({.filters = {RequireRemote("async_fetch: {fast_listener: true}", "20s")}},
            {Cluster("issuer", {issuer.port()})});
  const std::string request = Get("/", Bearer(Key().Token(Payload())));
  EXPECT_EQ(s.StatusOf(request), 401);
  EXPECT_EQ(s.proxy.Stat("jwt_authn.jwks_fetch_failed"), 0) << "the attempt is still under way";
  issuer.Answer(Ok(Key().KeySet()));
  EXPECT_TRUE(Eventually([&] { return s.StatusOf(request) == 200; }));
}

TEST(RemoteJwks, AClusterThatIsNotThereIsAnError) {
  const std::string config = WriteTestFile(
      "bootstrap.yaml",
      Bootstrap(FreePort(),
                {Listener(FreePort(), {.filters = {RequireRemote("cache_duration: 600s")}})},
                {Cluster("up", {FreePort()})}));
  const RunResult result = RunProxy({"-c", config});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_TRUE(absl::StrContains(result.output, "cluster 'issuer': not found")) << result.output;
}

}  // namespace
}  // namespace weft::test
