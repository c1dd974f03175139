#include "proxy/decide/jwt_auth.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "api/envoy/jwt_authn.pb.h"
#include "certs/test_jwt.h"
#include "proxy/config/compile_jwt.h"

namespace weft {
namespace {

using certs::JwtStatus;
using Message = envoy::extensions::filters::http::jwt_authn::v3::JwtAuthentication;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);
constexpr char kAlice[] = R"({"iss":"a","sub":"alice","aud":"books","exp":1700000600})";

const certs::TestJwtKey& KeyA() {
  static const auto* key = new certs::TestJwtKey("ES256");
  return *key;
}
const certs::TestJwtKey& KeyB() {
  static const auto* key = new certs::TestJwtKey("ES256");
  return *key;
}

std::string LocalKeys(const certs::TestJwtKey& key) {
  return "local_jwks { inline_string: \"" + absl::CEscape(key.KeySet()) + "\" } ";
}

// Provider "a" of issuer "a" with KeyA, "b" of "b" with KeyB.
std::string Providers(const std::string& more_of_a = "", const std::string& more_of_b = "") {
  return "providers { key: 'a' value { issuer: 'a' " + LocalKeys(KeyA()) + more_of_a + " } } " +
         "providers { key: 'b' value { issuer: 'b' " + LocalKeys(KeyB()) + more_of_b + " } } ";
}

std::string Rule(const std::string& requirement) {
  return "rules { match { prefix: '/' } required { " + requirement + " } } ";
}

absl::StatusOr<std::shared_ptr<const JwtAuthnConfig>> TryCompile(const std::string& text) {
  Message message;
  if (!google::protobuf::TextFormat::ParseFromString(text, &message)) {
    return absl::InternalError("the test's own text is broken: " + text);
  }
  Secrets secrets;
  secrets.read_file = [](const std::string& path) -> absl::StatusOr<std::string> {
    if (path == "/keys") return KeyA().KeySet();
    return absl::NotFoundError("no such file");
  };
  return CompileJwtAuthn(message, secrets);
}

class JwtAuthTest : public ::testing::Test {
 protected:
  JwtAuthTest() {
    head_.method = "GET";
    head_.authority = "shop.example";
    head_.path = "/books?id=7";
  }

  void Configure(const std::string& text) {
    auto config = TryCompile(text);
    ASSERT_TRUE(config.ok()) << config.status() << "\n" << text;
    config_ = *config;
  }
  void Bearer(const std::string& token) { head_.headers.Add("Authorization", "Bearer " + token); }
  JwtStatus Ask() {
    bool problem = false;
    const JwtRequirement* requirement =
        RequirementFor(*config_, route_ ? &*route_ : nullptr, head_, 0, &problem);
    EXPECT_FALSE(problem);
    if (requirement == nullptr) return JwtStatus::kOk;
    verdict_ = VerifyTokens(*config_, *requirement, head_, {keys_, now_, cache_});
    return verdict_.status;
  }
  // Of a request with just this token.
  JwtStatus AskWith(const std::string& token) {
    head_.headers.Clear();
    Bearer(token);
    return Ask();
  }

  std::shared_ptr<const JwtAuthnConfig> config_;
  std::optional<JwtRouteConfig> route_;
  RequestHead head_;
  KeySets keys_;
  JwtCache cache_;
  absl::Time now_ = kNow;
  JwtVerdict verdict_;
};

TEST_F(JwtAuthTest, EachFailureHasItsReason) {
  Configure(Providers("audiences: 'books' subjects { prefix: 'al' } require_expiration: true "
                      "max_lifetime { seconds: 3600 } clock_skew_seconds: 10") +
            Rule("provider_name: 'a'"));
  EXPECT_EQ(Ask(), JwtStatus::kMissing);
  const std::pair<std::string, JwtStatus> cases[] = {
      {KeyA().Token(kAlice), JwtStatus::kOk},
      {"", JwtStatus::kBadFormat},
      {"x.y", JwtStatus::kBadFormat},
      {KeyB().Token(kAlice), JwtStatus::kBadSignature},
      {KeyA().Token(R"({"iss":"b","sub":"alice","aud":"books","exp":1700000600})"),
       JwtStatus::kUnknownIssuer},
      {KeyA().Token(R"({"sub":"alice","aud":"books","exp":1700000600})"),
       JwtStatus::kUnknownIssuer},
      {KeyA().Token(R"({"iss":"a","sub":"bob","aud":"books","exp":1700000600})"),
       JwtStatus::kSubjectNotAllowed},
      {KeyA().Token(R"({"iss":"a","sub":"alice","aud":["x"],"exp":1700000600})"),
       JwtStatus::kAudienceNotAllowed},
      {KeyA().Token(R"({"iss":"a","sub":"alice","exp":1700000600})"),
       JwtStatus::kAudienceNotAllowed},
      {KeyA().Token(R"({"iss":"a","sub":"alice","aud":"books"})"), JwtStatus::kWithoutExpiry},
      {KeyA().Token(R"({"iss":"a","sub":"alice","aud":"books","exp":1699999990})"),
       JwtStatus::kExpired},
      {KeyA().Token(R"({"iss":"a","sub":"alice","aud":"books","exp":1700000600,"nbf":1700000011})"),
       JwtStatus::kNotYetValid},
      {KeyA().Token(R"({"iss":"a","sub":"alice","aud":"books","exp":1700003601})"),
       JwtStatus::kLivesTooLong},
      {KeyA().Token(kAlice, R"("kid":"x","crit":["exp"])"), JwtStatus::kCritical},
      {KeyA().TokenWithHeader(R"({"alg":"none"})", kAlice), JwtStatus::kUnknownAlgorithm},
  };
  for (const auto& [token, status] : cases) {
    EXPECT_EQ(certs::JwtStatusText(AskWith(token)), certs::JwtStatusText(status)) << token;
    EXPECT_EQ(verdict_.tokens.size(), status == JwtStatus::kOk ? 1u : 0u);
  }
}

TEST_F(JwtAuthTest, LooksWhereItIsTold) {
  const std::string token = KeyA().Token(kAlice);
  Configure(Providers("from_headers { name: 'X-Token' value_prefix: 'jwt=' } from_params: 't' "
                      "from_cookies: 'session'") +
            Rule("provider_name: 'a'"));
  Bearer(token);
  EXPECT_EQ(Ask(), JwtStatus::kMissing) << "the usual place does not count";
  head_.headers.Clear();
  head_.headers.Add("x-token", token);
  EXPECT_EQ(Ask(), JwtStatus::kMissing) << "without its prefix";
  head_.headers.Set("x-token", "jwt=" + token);
  EXPECT_EQ(Ask(), JwtStatus::kOk);
  head_.headers.Clear();
  head_.path = "/books?t=" + token;
  EXPECT_EQ(Ask(), JwtStatus::kOk);
  head_.path = "/books";
  head_.headers.Add("cookie", "a=b; session=" + token);
  EXPECT_EQ(Ask(), JwtStatus::kOk);

  Configure(Providers() + Rule("provider_name: 'a'"));
  head_.headers.Clear();
  head_.path = "/books?access_token=" + token;
  EXPECT_EQ(Ask(), JwtStatus::kOk);
  head_.path = "/books";
  head_.headers.Add("authorization", "bearer " + token);
  EXPECT_EQ(Ask(), JwtStatus::kOk);
}

TEST_F(JwtAuthTest, Row61ABadTokenIsNotMadeGoodByAnother) {
  Configure(Providers() + Rule("provider_name: 'a'"));
  Bearer(KeyA().Token(kAlice));
  Bearer(KeyB().Token(kAlice));
  EXPECT_EQ(Ask(), JwtStatus::kBadSignature);
  head_.headers.Clear();
  for (int i = 0; i < 9; ++i) Bearer(KeyA().Token(kAlice));  // ECDSA: each another one
  EXPECT_EQ(Ask(), JwtStatus::kMultiple);
}

TEST_F(JwtAuthTest, RequirementsCombine) {
  const std::string a = KeyA().Token(R"({"iss":"a"})");
  const std::string b = KeyB().Token(R"({"iss":"b"})");
  const std::string bad = KeyB().Token(R"({"iss":"a"})");
  const std::string b_at_x = "from_headers { name: 'x-b' }";
  const std::string any =
      "requires_any { requirements { provider_name: 'a' } requirements { "
      "provider_name: 'b' } ";
  const std::string all =
      "requires_all { requirements { provider_name: 'a' } requirements { "
      "provider_name: 'b' } }";

  Configure(Providers() + Rule(any + "}"));
  EXPECT_EQ(Ask(), JwtStatus::kMissing);
  EXPECT_EQ(AskWith(a), JwtStatus::kOk);
  EXPECT_EQ(AskWith(b), JwtStatus::kOk);
  EXPECT_EQ(AskWith(bad), JwtStatus::kBadSignature) << "rather than that b does not know it";
  EXPECT_EQ(AskWith(KeyA().Token(R"({"iss":"c"})")), JwtStatus::kUnknownIssuer);

  Configure(Providers() + Rule(any + "requirements { allow_missing {} } }"));
  head_.headers.Clear();
  EXPECT_EQ(Ask(), JwtStatus::kOk);
  EXPECT_EQ(AskWith(bad), JwtStatus::kBadSignature);
  EXPECT_EQ(AskWith(KeyA().Token(R"({"iss":"c"})")), JwtStatus::kUnknownIssuer);

  Configure(Providers() + Rule(any + "requirements { allow_missing_or_failed {} } }"));
  EXPECT_EQ(AskWith(bad), JwtStatus::kOk);
  EXPECT_TRUE(verdict_.tokens.empty());

  Configure(Providers("", b_at_x) + Rule(all));
  EXPECT_EQ(AskWith(a), JwtStatus::kMissing);
  EXPECT_TRUE(verdict_.tokens.empty()) << "half of what is needed counts for nothing";
  head_.headers.Add("x-b", b);
  EXPECT_EQ(Ask(), JwtStatus::kOk);
  EXPECT_EQ(verdict_.tokens.size(), 2u);

  Configure(Providers("audiences: 'none'") +
            Rule("provider_and_audiences { provider_name: 'a' audiences: 'books' }"));
  EXPECT_EQ(AskWith(KeyA().Token(kAlice)), JwtStatus::kOk) << "instead of the provider's own";
}

TEST_F(JwtAuthTest, AllowMissingStillWantsWhatIsThereToBeGood) {
  Configure(Providers() + Rule("allow_missing {}"));
  EXPECT_EQ(Ask(), JwtStatus::kOk);
  EXPECT_EQ(AskWith(KeyB().Token(R"({"iss":"b","sub":"x"})")), JwtStatus::kOk);
  EXPECT_EQ(verdict_.tokens.size(), 1u);
  EXPECT_EQ(AskWith(KeyB().Token(R"({"iss":"a"})")), JwtStatus::kBadSignature);
  EXPECT_EQ(AskWith(KeyB().Token(R"({"iss":"c"})")), JwtStatus::kUnknownIssuer);
  EXPECT_EQ(AskWith("junk"), JwtStatus::kBadFormat);

  Configure(Providers() + Rule("allow_missing_or_failed {}"));
  EXPECT_EQ(AskWith("junk"), JwtStatus::kOk);
  EXPECT_EQ(AskWith(KeyA().Token(kAlice)), JwtStatus::kOk);
  EXPECT_EQ(verdict_.tokens.size(), 1u) << "a good one counts";
}

TEST_F(JwtAuthTest, TheFirstRuleThatMatchesCounts) {
  Configure(Providers() + "rules { match { path: '/health' } } " + Rule("provider_name: 'a'"));
  head_.path = "/health";
  EXPECT_EQ(Ask(), JwtStatus::kOk);
  head_.path = "/healthy";
  EXPECT_EQ(Ask(), JwtStatus::kMissing);
}

TEST_F(JwtAuthTest, ARouteMayAskForSomethingElse) {
  Configure(Providers() + Rule("provider_name: 'a'") +
            "requirement_map { key: 'b' value { provider_name: 'b' } }");
  route_ = JwtRouteConfig{.disabled = true, .requirement_name = ""};
  EXPECT_EQ(Ask(), JwtStatus::kOk);
  route_ = JwtRouteConfig{.disabled = false, .requirement_name = "b"};
  EXPECT_EQ(AskWith(KeyA().Token(kAlice)), JwtStatus::kUnknownIssuer);
  EXPECT_EQ(AskWith(KeyB().Token(R"({"iss":"b"})")), JwtStatus::kOk);
  bool problem = false;
  const JwtRouteConfig unknown{.disabled = false, .requirement_name = "c"};
  EXPECT_EQ(RequirementFor(*config_, &unknown, head_, 0, &problem), nullptr);
  EXPECT_TRUE(problem) << "must not pass for 'nothing is required'";
}

TEST_F(JwtAuthTest, APreflightBringsNoToken) {
  const std::string text = Providers() + Rule("provider_name: 'a'");
  head_.method = "OPTIONS";
  head_.headers.Add("origin", "https://x");
  head_.headers.Add("access-control-request-method", "GET");
  Configure(text);
  EXPECT_EQ(Ask(), JwtStatus::kMissing);
  Configure(text + "bypass_cors_preflight: true");
  EXPECT_EQ(Ask(), JwtStatus::kOk);
  head_.method = "GET";
  EXPECT_EQ(Ask(), JwtStatus::kMissing);
}

TEST_F(JwtAuthTest, Row64WithoutKeysNobodyPasses) {
  Configure(
      "providers { key: 'a' value { issuer: 'a' remote_jwks { http_uri { uri: "
      "'https://keys.example/jwks?v=1' cluster: 'keys' timeout { seconds: 1 } } } } } " +
      Rule("provider_name: 'a'"));
  const JwksSource& source = *config_->providers[0].remote;
  EXPECT_EQ(source.cluster, "keys");
  EXPECT_EQ(source.authority, "keys.example");
  EXPECT_EQ(source.path, "/jwks?v=1");
  EXPECT_EQ(AskWith(KeyA().Token(kAlice)), JwtStatus::kNoKeys);
  keys_[source] = *certs::Jwks::Parse(KeyA().KeySet());
  EXPECT_EQ(Ask(), JwtStatus::kOk);
  keys_[source] = *certs::Jwks::Parse(KeyB().KeySet());
  EXPECT_EQ(Ask(), JwtStatus::kBadSignature) << "after a rotation";
}

TEST_F(JwtAuthTest, ARememberedTokenIsStillHeldAgainstTimeAndKeys) {
  Configure(
      "providers { key: 'a' value { issuer: 'a' jwt_cache_config {} remote_jwks { http_uri { "
      "uri: 'http://keys/' cluster: 'keys' timeout { seconds: 1 } } } } } " +
      Rule("provider_name: 'a'"));
  const JwksSource& source = *config_->providers[0].remote;
  keys_[source] = *certs::Jwks::Parse(KeyA().KeySet());
  const std::string token = KeyA().Token(kAlice);
  EXPECT_EQ(AskWith(token), JwtStatus::kOk);
  const auto first = verdict_.tokens[0].jwt;
  EXPECT_EQ(AskWith(token), JwtStatus::kOk);
  EXPECT_EQ(verdict_.tokens[0].jwt, first) << "it was not read again";
  EXPECT_EQ(AskWith(token.substr(0, token.size() - 4) + "AAAA"), JwtStatus::kBadSignature);
  now_ = kNow + absl::Hours(1);
  EXPECT_EQ(AskWith(token), JwtStatus::kExpired);
  now_ = kNow;
  keys_[source] = *certs::Jwks::Parse(KeyB().KeySet());
  EXPECT_EQ(AskWith(token), JwtStatus::kBadSignature);
}

TEST_F(JwtAuthTest, ClaimsGoUpstreamAndTheTokenDoesNot) {
  const std::string token = KeyA().Token(
      R"({"iss":"a","sub":"alice","n":7,"ok":true,"list":[1],"in":{"deep":"x"},"bad":"a\nb"})");
  Configure(Providers("forward_payload_header: 'x-payload' "
                      "claim_to_headers { header_name: 'X-Sub' claim_name: 'sub' } "
                      "claim_to_headers { header_name: 'x-n' claim_name: 'n' } "
                      "claim_to_headers { header_name: 'x-ok' claim_name: 'ok' } "
                      "claim_to_headers { header_name: 'x-list' claim_name: 'list' } "
                      "claim_to_headers { header_name: 'x-deep' claim_name: 'in.deep' } "
                      "claim_to_headers { header_name: 'x-bad' claim_name: 'bad' } "
                      "claim_to_headers { header_name: 'x-none' claim_name: 'none' }") +
            Rule("provider_name: 'a'"));
  head_.headers.Add("x-none", "forged");
  head_.headers.Add("x-payload", "forged");
  head_.headers.Add("X-SUB", "forged");
  Bearer(token);
  head_.headers.Add("authorization", "Basic abc");
  head_.path = "/books?access_token=" + token + "&id=7";
  RemoveForged(*config_, head_.headers);
  ASSERT_EQ(Ask(), JwtStatus::kOk);
  ApplyTokens(verdict_.tokens, head_);
  EXPECT_EQ(head_.headers.Get("x-sub"), "alice");
  EXPECT_EQ(head_.headers.Get("x-n"), "7");
  EXPECT_EQ(head_.headers.Get("x-ok"), "true");
  EXPECT_EQ(head_.headers.Get("x-list"), "WzFd");
  EXPECT_EQ(head_.headers.Get("x-deep"), "x");
  EXPECT_FALSE(head_.headers.Has("x-bad"));
  EXPECT_FALSE(head_.headers.Has("x-none"));
  EXPECT_EQ(head_.headers.Get("x-payload"), verdict_.tokens[0].jwt->encoded_payload());
  EXPECT_EQ(head_.headers.GetAll("authorization").size(), 1u) << "only the token goes";
  EXPECT_EQ(head_.path, "/books?id=7");

  Configure(Providers("forward: true") + Rule("provider_name: 'a'"));
  EXPECT_EQ(AskWith(token), JwtStatus::kOk);
  ApplyTokens(verdict_.tokens, head_);
  EXPECT_TRUE(head_.headers.Has("authorization"));
}

TEST_F(JwtAuthTest, PoliciesSeeWhatConfigPutsIntoMetadata) {
  Configure(Providers("payload_in_metadata: 'p' header_in_metadata: 'h' "
                      "normalize_payload_in_metadata { space_delimited_claims: 'scope' }") +
            Rule("provider_name: 'a'"));
  ASSERT_EQ(AskWith(KeyA().Token(R"({"iss":"a","scope":"read write"})", R"("kid":"k")")),
            JwtStatus::kOk);
  const std::vector<TokenMetadata> metadata = MetadataOf(verdict_.tokens);
  ASSERT_EQ(metadata.size(), 2u);
  EXPECT_EQ(metadata[0].key, "p");
  EXPECT_EQ((*metadata[0].value)["scope"], nlohmann::json::array({"read", "write"}));
  EXPECT_EQ(metadata[1].key, "h");
  EXPECT_EQ((*metadata[1].value)["kid"], "k");
}

TEST(JwtRefusal, TellsTheClientAndTheLog) {
  RequestHead head;
  head.authority = "shop.example";
  head.path = "/a\"b?q=1";
  EXPECT_EQ(JwtDetails(JwtStatus::kMissing), "jwt_authn_access_denied{Jwt_is_missing}");
  EXPECT_EQ(Challenge(JwtStatus::kMissing, head, "http"),
            "Bearer realm=\"http://shop.example/a_b\"");
  EXPECT_EQ(Challenge(JwtStatus::kExpired, head, "https"),
            "Bearer realm=\"https://shop.example/a_b\", error=\"invalid_token\"");
  EXPECT_EQ(StatusCodeOf(JwtStatus::kMissing), 401);
  EXPECT_EQ(StatusCodeOf(JwtStatus::kBadSignature), 401);
  EXPECT_EQ(StatusCodeOf(JwtStatus::kAudienceNotAllowed), 403);
}

TEST(CompileJwt, ReadsKeysOutOfAFile) {
  EXPECT_TRUE(TryCompile("providers { key: 'a' value { local_jwks { filename: '/keys' } } }").ok());
}

TEST(CompileJwt, RefusesWhatItWouldNotDo) {
  const auto provider = [](const std::string& fields) {
    return "providers { key: 'a' value { " + fields + " } } ";
  };
  const auto remote = [&](const std::string& fields) {
    return provider("remote_jwks { " + fields + " }");
  };
  const std::string keys = LocalKeys(KeyA());
  const std::string uri = "http_uri { uri: 'https://k/' cluster: 'k' } ";
  std::string deep = "provider_name: 'a'";
  for (int i = 0; i < 20; ++i) deep = "requires_any { requirements { " + deep + " } }";
  const std::pair<std::string, const char*> cases[] = {
      {provider(""), "providers['a']: needs one of remote_jwks, local_jwks"},
      {provider("local_jwks { inline_string: '{}' }"), "providers['a'].local_jwks: key set"},
      {provider("local_jwks { filename: '/none' }"), "local_jwks.filename: no such file"},
      {provider("local_jwks { environment_variable: 'X' }"), "local_jwks: needs one of"},
      {remote(""), "remote_jwks.http_uri.uri: must start with"},
      {remote("http_uri { uri: 'https://' cluster: 'k' }"), "must name a host"},
      {remote("http_uri { uri: 'https://u@k/' cluster: 'k' }"), "must name a host"},
      {remote("http_uri { uri: 'https://k/a b' cluster: 'k' }"), "uri: must not hold spaces"},
      {remote("http_uri { uri: 'https://k/' }"), "http_uri.cluster: must not be empty"},
      {remote(uri + "cache_duration {}"), "cache_duration: must be above 0"},
      {remote(uri + "retry_policy { retry_back_off {} }"), "retry_policy.retry_back_off"},
      {provider(keys + "failed_status_in_metadata: 'x'"), "failed_status_in_metadata: is not"},
      {provider(keys + "clear_route_cache: true"), "clear_route_cache: is not supported"},
      {provider(keys + "forward_payload_header: 'host'"), "forward_payload_header: 'host'"},
      {provider(keys + "claim_to_headers { header_name: 'Content-Length' claim_name: 'a' }"),
       "claim_to_headers[0].header_name"},
      {provider(keys + "claim_to_headers { header_name: 'a' }"), "claim_name: must not be empty"},
      {provider(keys) + Rule("provider_name: 'b'"),
       "rules[0].requires.provider_name: there is no provider 'b'"},
      {provider(keys) + Rule("requires_any {}"), "requires_any.requirements: must not be empty"},
      {provider(keys) + Rule("extract_only_without_validation {}"),
       "extract_only_without_validation"},
      {provider(keys) + Rule(deep), "is nested deeper than 16"},
      {"rules { match { prefix: '/' } requirement_name: 'x' }", "'x' is not in requirement_map"},
      {"rules { match { } }", "rules[0].match: needs one of"},
      {"filter_state_rules {}", "filter_state_rules: is not supported"},
  };
  for (const auto& [text, error] : cases) {
    const auto config = TryCompile(text);
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_NE(config.status().message().find(error), absl::string_view::npos)
        << config.status() << "\n"
        << text;
  }
}

}  // namespace
}  // namespace weft
