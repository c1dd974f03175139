#include "proxy/decide/authorize.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "api/envoy/http_rbac.pb.h"
#include "proxy/config/compile_rbac.h"

namespace weft {
namespace {

using Message = envoy::extensions::filters::http::rbac::v3::RBAC;

absl::StatusOr<std::shared_ptr<const RbacConfig>> Compile(const std::string& text) {
  Message message;
  if (!google::protobuf::TextFormat::ParseFromString(text, &message)) {
    return absl::InternalError("the test's own text is broken: " + text);
  }
  return CompileHttpRbac(message);
}

std::string Rules(const std::string& action, const std::string& permission,
                  const std::string& principal) {
  return "rules { action: " + action + " policies { key: 'p' value { permissions { " + permission +
         " } principals { " + principal + " } } } }";
}

Verdict Ask(const std::string& text, const RequestFacts& facts) {
  static std::vector<std::shared_ptr<const RbacConfig>> kept;  // verdicts point into them
  auto config = Compile(text);
  EXPECT_TRUE(config.ok()) << config.status() << "\n" << text;
  if (!config.ok()) return {.allowed = false};
  kept.push_back(*config);
  return Authorize(*kept.back()->rules, facts);
}

std::string Bytes(absl::string_view ip) { return std::string(Address::Ip(ip, 0)->ip_bytes()); }

// One request of which every kind of rule can ask something.
class AuthorizeTest : public ::testing::Test {
 protected:
  AuthorizeTest() {
    head_.method = "GET";
    head_.scheme = "https";
    head_.authority = "Reviews.Example:8080";
    head_.path = "/v1/books?id=7";
    head_.headers.Add("x-role", "guest");
    head_.headers.Add("x-count", "12");
    facts_.head = &head_;
    facts_.destination_ip = destination_;
    facts_.destination_port = 8080;
    facts_.source_ip = source_;
    facts_.direct_remote_ip = direct_;
    facts_.remote_ip = remote_;
    facts_.server_name = "reviews.example";
    facts_.authenticated = true;
    facts_.peer_uris = uris_;
    facts_.peer_dns_names = dns_names_;
    facts_.peer_subject = "CN=shop";
    facts_.metadata = metadata_;
    facts_.claims = &claims_;
  }

  bool Allowed(const std::string& permission, const std::string& principal) {
    return Ask(Rules("ALLOW", permission, principal), facts_).allowed;
  }
  bool Denied(const std::string& permission, const std::string& principal) {
    return !Ask(Rules("DENY", permission, principal), facts_).allowed;
  }

  const std::string destination_ = Bytes("10.0.0.9");
  const std::string source_ = Bytes("10.1.0.1");
  const std::string direct_ = Bytes("::ffff:10.2.0.1");
  const std::string remote_ = Bytes("192.0.2.7");
  const std::vector<std::string> uris_ = {"spiffe://east/ns/shop/sa/front.end"};
  const std::vector<std::string> dns_names_ = {"front.shop.example"};
  const nlohmann::json claims_ = {{"iss", "https://issuer"},
                                  {"sub", "alice"},
                                  {"aud", {"books", "music"}},
                                  {"scope", "read write"},
                                  {"groups", {"staff", "book"}},
                                  {"level", 3},
                                  {"admin", false},
                                  {"nothing", nullptr},
                                  {"nested", {{"deep", "yes"}}}};
  const std::vector<TokenMetadata> metadata_ = {{"payload", &claims_}};
  RequestHead head_;
  RequestFacts facts_;
};

std::string Claim(const std::string& path, const std::string& value) {
  return "metadata { filter: 'envoy.filters.http.jwt_authn' path { key: 'payload' } " + path +
         " value { " + value + " } }";
}

std::string Istio(const std::string& path, const std::string& value) {
  return "metadata { filter: 'istio_authn' " + path + " value { " + value + " } }";
}

struct Case {
  const char* name;
  std::string rule;
  bool matches;
};

TEST_F(AuthorizeTest, EachKindOfPermission) {
  const Case cases[] = {
      {"any", "any: true", true},
      {"and", "and_rules { rules { any: true } rules { destination_port: 1 } }", false},
      {"and of both", "and_rules { rules { any: true } rules { destination_port: 8080 } }", true},
      {"or", "or_rules { rules { destination_port: 1 } rules { any: true } }", true},
      {"or of neither", "or_rules { rules { destination_port: 1 } }", false},
      {"not", "not_rule { destination_port: 1 }", true},
      {"not what is", "not_rule { any: true }", false},
      {"url_path", "url_path { path { exact: '/v1/books' } }", true},
      {"url_path has no query", "url_path { path { suffix: 'id=7' } }", false},
      {"url_path regex", "url_path { path { safe_regex { regex: '/v[0-9]/books' } } }", true},
      {"destination_ip", "destination_ip { address_prefix: '10.0.0.0' prefix_len { value: 8 } }",
       true},
      {"destination_ip of another",
       "destination_ip { address_prefix: '11.0.0.0' prefix_len { value: 8 } }", false},
      {"destination_port", "destination_port: 8080", true},
      {"destination_port of another", "destination_port: 8081", false},
      {"range", "destination_port_range { start: 8080 end: 8081 }", true},
      {"range without its end", "destination_port_range { start: 80 end: 8080 }", false},
      {"requested_server_name", "requested_server_name { exact: 'reviews.example' }", true},
      {"requested_server_name of another", "requested_server_name { exact: 'other' }", false},
      {"header exact", "header { name: 'X-Role' string_match { exact: 'guest' } }", true},
      {"header prefix", "header { name: 'x-role' string_match { prefix: 'gu' } }", true},
      {"header suffix", "header { name: 'x-role' string_match { suffix: 'st' } }", true},
      {"header contains", "header { name: 'x-role' string_match { contains: 'ues' } }", true},
      {"header regex", "header { name: 'x-role' string_match { safe_regex { regex: 'g.*t' } } }",
       true},
      {"header in any case",
       "header { name: 'x-role' string_match { exact: 'GUEST' ignore_case: true } }", true},
      {"header in the old spelling", "header { name: 'x-role' exact_match: 'guest' }", true},
      {"header range", "header { name: 'x-count' range_match { start: 10 end: 13 } }", true},
      {"header beyond range", "header { name: 'x-count' range_match { start: 10 end: 12 } }",
       false},
      {"header present", "header { name: 'x-role' present_match: true }", true},
      {"header absent", "header { name: 'x-none' present_match: true }", false},
      {"header inverted",
       "header { name: 'x-role' string_match { exact: 'admin' } invert_match: true }", true},
      {"method", "header { name: ':method' string_match { exact: 'GET' } }", true},
      {"scheme", "header { name: ':scheme' string_match { exact: 'https' } }", true},
      {"claim", Claim("path { key: 'sub' }", "string_match { exact: 'alice' }"), true},
      {"claim of another", Claim("path { key: 'sub' }", "string_match { exact: 'bob' }"), false},
      {"sourced claim",
       "sourced_metadata { metadata_matcher { filter: 'envoy.filters.http.jwt_authn' path { key: "
       "'payload' } path { key: 'sub' } value { string_match { exact: 'alice' } } } }",
       true},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Allowed(c.rule, "any: true"), c.matches) << c.name;
    EXPECT_EQ(Denied(c.rule, "any: true"), c.matches) << c.name;
  }
}

TEST_F(AuthorizeTest, EachKindOfPrincipal) {
  const auto ip = [](const std::string& field, const std::string& prefix) {
    return field + " { address_prefix: '" + prefix + "' prefix_len { value: 24 } }";
  };
  const auto name = [](const std::string& match) {
    return "authenticated { principal_name { " + match + " } }";
  };
  const Case cases[] = {
      {"any", "any: true", true},
      {"and", "and_ids { ids { any: true } ids { not_id { any: true } } }", false},
      {"or", "or_ids { ids { not_id { any: true } } ids { any: true } }", true},
      {"not", "not_id { any: true }", false},
      {"authenticated", "authenticated {}", true},
      {"URI", name("exact: 'spiffe://east/ns/shop/sa/front.end'"), true},
      {"URI of another domain", name("exact: 'spiffe://west/ns/shop/sa/front.end'"), false},
      {"DNS name", name("exact: 'front.shop.example'"), true},
      {"subject", name("exact: 'CN=shop'"), true},
      {"source_ip", ip("source_ip", "10.1.0.0"), true},
      {"source_ip is not the remote", ip("source_ip", "192.0.2.0"), false},
      {"direct_remote_ip, mapped into IPv6", ip("direct_remote_ip", "10.2.0.0"), true},
      {"remote_ip", ip("remote_ip", "192.0.2.0"), true},
      {"remote_ip is not the proxy before us", ip("remote_ip", "10.2.0.0"), false},
      {"header", "header { name: 'x-role' string_match { exact: 'guest' } }", true},
      {"url_path", "url_path { path { prefix: '/v2' } }", false},
      {"claim", Claim("path { key: 'sub' }", "string_match { exact: 'alice' }"), true},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Allowed("any: true", c.rule), c.matches) << c.name;
    EXPECT_EQ(Denied("any: true", c.rule), c.matches) << c.name;
  }
}

TEST_F(AuthorizeTest, EachKindOfClaim) {
  const Case cases[] = {
      {"number", Claim("path { key: 'level' }", "double_match { exact: 3 }"), true},
      {"number range", Claim("path { key: 'level' }", "double_match { range { start: 1 end: 3 } }"),
       false},
      {"bool", Claim("path { key: 'admin' }", "bool_match: false"), true},
      {"bool otherwise", Claim("path { key: 'admin' }", "bool_match: true"), false},
      {"null", Claim("path { key: 'nothing' }", "null_match {}"), true},
      {"present", Claim("path { key: 'sub' }", "present_match: true"), true},
      {"absent", Claim("path { key: 'none' }", "present_match: true"), false},
      {"nested",
       Claim("path { key: 'nested' } path { key: 'deep' }", "string_match { exact: 'yes' }"), true},
      {"list",
       Claim("path { key: 'groups' }", "list_match { one_of { string_match { exact: 'book' } } }"),
       true},
      {"list without it",
       Claim("path { key: 'groups' }", "list_match { one_of { string_match { exact: 'root' } } }"),
       false},
      {"or",
       Claim("path { key: 'groups' }",
             "or_match { value_matchers { string_match { exact: 'staff' } } value_matchers { "
             "list_match { one_of { string_match { exact: 'staff' } } } } }"),
       true},
      {"a text is no list",
       Claim("path { key: 'scope' }", "list_match { one_of { string_match { exact: 'read' } } }"),
       false},
      {"Istio's claims are words",
       Istio("path { key: 'request.auth.claims' } path { key: 'scope' }",
             "list_match { one_of { string_match { exact: 'read' } } }"),
       true},
      {"Istio's principal",
       Istio("path { key: 'request.auth.principal' }",
             "string_match { exact: 'https://issuer/alice' }"),
       true},
      {"Istio's audiences",
       Istio("path { key: 'request.auth.audiences' }",
             "list_match { one_of { string_match { exact: 'music' } } }"),
       true},
      {"Istio's presenter, absent",
       Istio("path { key: 'request.auth.presenter' }", "string_match { prefix: '' }"), false},
      {"Istio's peer",
       Istio("path { key: 'source.principal' }", "string_match { prefix: 'east/ns/shop/' }"), true},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Allowed(c.rule, "any: true"), c.matches) << c.name;
    EXPECT_EQ(Denied("any: true", c.rule), c.matches) << c.name;
  }
}

TEST_F(AuthorizeTest, WithoutATokenNoClaimMatches) {
  facts_.metadata = {};
  facts_.claims = nullptr;
  EXPECT_FALSE(Allowed(Claim("path { key: 'sub' }", "string_match { prefix: '' }"), "any: true"));
  EXPECT_FALSE(Allowed(
      Istio("path { key: 'request.auth.principal' }", "string_match { prefix: '' }"), "any: true"));
}

TEST_F(AuthorizeTest, WithoutACertificateNobodyIsAuthenticated) {
  facts_.authenticated = false;
  facts_.peer_uris = {};
  facts_.peer_dns_names = {};
  facts_.peer_subject = "";
  EXPECT_FALSE(Allowed("any: true", "authenticated {}"));
  EXPECT_FALSE(Allowed("any: true", "authenticated { principal_name { prefix: '' } }"));
  EXPECT_TRUE(Allowed("any: true", "not_id { authenticated { principal_name { prefix: '' } } }"));
}

TEST_F(AuthorizeTest, ActionsSayWhatAMatchMeans) {
  const std::string match = "destination_port: 8080";
  const std::string other = "destination_port: 1";
  EXPECT_TRUE(Ask(Rules("ALLOW", match, "any: true"), facts_).allowed);
  EXPECT_FALSE(Ask(Rules("ALLOW", other, "any: true"), facts_).allowed);
  EXPECT_FALSE(Ask(Rules("DENY", match, "any: true"), facts_).allowed);
  EXPECT_TRUE(Ask(Rules("DENY", other, "any: true"), facts_).allowed);
  EXPECT_TRUE(Ask(Rules("LOG", match, "any: true"), facts_).allowed);
  EXPECT_TRUE(Ask(Rules("LOG", other, "any: true"), facts_).allowed);
  EXPECT_FALSE(Ask("rules { action: ALLOW }", facts_).allowed);
  EXPECT_TRUE(Ask("rules { action: DENY }", facts_).allowed);
}

TEST_F(AuthorizeTest, NamesThePolicyThatDenied) {
  const std::string policy = "value { permissions { any: true } principals { any: true } } } ";
  const std::string text = "rules { action: DENY policies { key: 'z' " + policy +
                           "policies { key: 'a b' " + policy + "}";
  EXPECT_EQ(DenialDetails(Ask(text, facts_)), "rbac_access_denied_matched_policy[a_b]");
  EXPECT_EQ(DenialDetails(Ask("rules { action: ALLOW }", facts_)),
            "rbac_access_denied_matched_policy[none]");
}

TEST_F(AuthorizeTest, Row61EveryValueOfARepeatedHeaderCounts) {
  const std::string admin = "header { name: 'x-role' string_match { exact: 'admin' } }";
  const std::string joined = "header { name: 'x-role' string_match { exact: 'guest,admin' } }";
  head_.headers.Add("X-Role", "admin");  // after "guest"
  EXPECT_TRUE(Denied(admin, "any: true"));
  EXPECT_TRUE(Denied("any: true", admin));
  EXPECT_TRUE(Denied(joined, "any: true")) << "as Envoy sees it";
  EXPECT_FALSE(Allowed(admin, "any: true"));
  EXPECT_FALSE(Allowed("not_rule { " + admin + " }", "any: true"));
  EXPECT_TRUE(Denied("not_rule { " + admin + " }", "any: true"))
      << "who says both is not only an admin";
  EXPECT_TRUE(
      Allowed("not_rule { not_rule { header { name: 'x-role' string_match { safe_regex { "
              "regex: 'guest|admin' } } } } }",
              "any: true"));
  const std::string not_guest =
      "header { name: 'x-role' string_match { exact: 'guest' } invert_match: true }";
  EXPECT_FALSE(Allowed(not_guest, "any: true"));
  EXPECT_TRUE(Denied(not_guest, "any: true"));
}

TEST_F(AuthorizeTest, Row60TheHostIsOneInEverySpelling) {
  const std::string host =
      "header { name: ':authority' string_match { exact: 'reviews.example' } }";
  const std::string with_port =
      "header { name: 'host' string_match { exact: 'reviews.example:8080' } }";
  EXPECT_TRUE(Denied(host, "any: true"));
  EXPECT_TRUE(Denied(with_port, "any: true"));
  EXPECT_TRUE(Allowed(with_port, "any: true"));
  EXPECT_FALSE(Allowed(host, "any: true")) << "another port is another authority";
  head_.authority = "REVIEWS.example.";
  EXPECT_TRUE(Denied(host, "any: true"));
  head_.authority = "[2001:DB8::1]";
  EXPECT_TRUE(
      Denied("header { name: ':authority' string_match { exact: '[2001:db8::1]' } }", "any: true"));
}

TEST_F(AuthorizeTest, Row58ParametersOfAPathHideNothing) {
  const std::string admin = "url_path { path { exact: '/admin/keys' } }";
  for (const char* path : {"/admin/keys;v=1", "/admin;a;b/keys", "/admin;/keys;?q=1"}) {
    head_.path = path;
    EXPECT_TRUE(Denied(admin, "any: true")) << path;
    EXPECT_FALSE(Allowed(admin, "any: true")) << path << " may be another thing elsewhere";
    EXPECT_FALSE(Allowed("not_rule { " + admin + " }", "any: true")) << path;
  }
  head_.path = "/admin;/other";
  EXPECT_FALSE(Denied(admin, "any: true"));
  EXPECT_TRUE(Allowed("url_path { path { prefix: '/admin' } }", "any: true"));
}

TEST_F(AuthorizeTest, Row62ADotIsLiteral) {
  const std::vector<std::string> other = {"spiffe://east/ns/shop/sa/frontXend"};
  facts_.peer_uris = other;
  facts_.peer_dns_names = {};
  EXPECT_FALSE(
      Allowed("any: true",
              "authenticated { principal_name { exact: 'spiffe://east/ns/shop/sa/front.end' } }"));
  EXPECT_FALSE(
      Allowed("any: true", "authenticated { principal_name { suffix: '/ns/shop/sa/front.end' } }"));
}

TEST_F(AuthorizeTest, AConnectionHasNoHeaders) {
  facts_.head = nullptr;
  EXPECT_FALSE(Allowed("header { name: 'x-role' present_match: true }", "any: true"));
  EXPECT_FALSE(Allowed("url_path { path { prefix: '/' } }", "any: true"));
  EXPECT_TRUE(Allowed("destination_port: 8080", "authenticated {}"));
}

TEST(CompileRbac, RefusesWhatItWouldNotEvaluate) {
  const auto policy = [](const std::string& permission, const std::string& principal,
                         const std::string& more = "") {
    return "rules { policies { key: 'p' value { permissions { " + permission + " } principals { " +
           principal + " } " + more + " } } }";
  };
  std::string deep = "any: true";
  for (int i = 0; i < 40; ++i) deep = "not_rule { " + deep + " }";
  const std::pair<std::string, const char*> cases[] = {
      {"matcher {}", "matcher: is not supported"},
      {"shadow_matcher {}", "shadow_matcher: is not supported"},
      {"rules { audit_logging_options {} }", "rules.audit_logging_options"},
      {policy("any: true", "any: true", "condition {}"), "rules.policies['p'].condition"},
      {policy("any: true", "any: true", "checked_condition {}"), "checked_condition"},
      {policy("any: false", "any: true"), "permissions[0].any: must be true"},
      {policy("", "any: true"), "permissions[0]: needs a rule"},
      {policy("any: true", ""), "principals[0]: needs an identifier"},
      {policy("matcher {}", "any: true"), "permissions[0].matcher"},
      {policy("uri_template {}", "any: true"), "permissions[0].uri_template"},
      {policy("any: true", "filter_state {}"), "principals[0].filter_state"},
      {policy("any: true", "custom {}"), "principals[0].custom"},
      {policy("and_rules {}", "any: true"), "permissions[0].and_rules.rules: must not be empty"},
      {policy("any: true", "not_id { or_ids {} }"), "principals[0].not_id.or_ids.ids"},
      {policy("destination_port_range { start: 9 end: 9 }", "any: true"),
       "destination_port_range: must be a range"},
      {policy("destination_port: 70000", "any: true"), "destination_port: must be"},
      {policy("metadata { filter: 'other' path { key: 'a' } value { null_match {} } }",
              "any: true"),
       "permissions[0].metadata.filter"},
      {policy("metadata { filter: 'istio_authn' path { key: 'x' } value { null_match {} } }",
              "any: true"),
       "metadata.path[0].key"},
      {policy("metadata { filter: 'istio_authn' path { key: 'source.principal' } }", "any: true"),
       "metadata.value: needs a match"},
      {policy("any: true",
              "sourced_metadata { metadata_source: ROUTE metadata_matcher { filter: 'x' } }"),
       "sourced_metadata.metadata_source"},
      {policy("header { name: 'a' string_match { safe_regex { regex: '(' } } }", "any: true"),
       "permissions[0].header.string_match.safe_regex.regex"},
      {policy(deep, "any: true"), "is nested deeper than 32"},
      {"shadow_rules { policies { key: 'p' value { principals { any: true } } } }",
       "shadow_rules.policies['p'].permissions: must not be empty"},
  };
  for (const auto& [text, error] : cases) {
    const auto config = Compile(text);
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_NE(config.status().message().find(error), absl::string_view::npos)
        << config.status() << "\n"
        << text;
  }
}

}  // namespace
}  // namespace weft
