#include "certs/token.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace weft::certs {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

TokenClaims Web() {
  TokenClaims claims;
  claims.namespace_ = "default";
  claims.service_account = "web";
  claims.pod = "web-1";
  claims.cluster = "east";
  claims.expiry = kNow + absl::Hours(1);
  return claims;
}

TEST(Token, BringsItsClaimsBack) {
  const std::string key = NewTokenKey();
  absl::StatusOr<TokenClaims> claims = VerifyToken(key, *SignToken(key, Web()), kNow);
  ASSERT_TRUE(claims.ok()) << claims.status();
  EXPECT_EQ(claims->namespace_, "default");
  EXPECT_EQ(claims->service_account, "web");
  EXPECT_EQ(claims->pod, "web-1");
  EXPECT_EQ(claims->cluster, "east");
  EXPECT_EQ(claims->expiry, kNow + absl::Hours(1));
}

TEST(Token, IsForOneKeyOneAudienceAndAWhile) {
  const std::string key = NewTokenKey();
  const std::string token = *SignToken(key, Web());
  EXPECT_FALSE(VerifyToken(NewTokenKey(), token, kNow).ok());
  EXPECT_FALSE(VerifyToken(key, token, kNow, "other").ok());
  EXPECT_TRUE(VerifyToken(key, token, kNow + absl::Minutes(59)).ok());
  EXPECT_FALSE(VerifyToken(key, token, kNow + absl::Hours(1)).ok());
  EXPECT_FALSE(SignToken("short", Web()).ok());
  EXPECT_FALSE(VerifyToken("", token, kNow).ok());
}

TEST(Token, IsKnownByItsHeader) {
  EXPECT_TRUE(IsSandboxToken(*SignToken(NewTokenKey(), Web())));
  EXPECT_FALSE(IsSandboxToken(""));
  EXPECT_FALSE(IsSandboxToken(absl::WebSafeBase64Escape(R"({"alg":"HS256","typ":"JWT"})")));
  EXPECT_FALSE(
      IsSandboxToken(absl::StrCat(absl::WebSafeBase64Escape(R"({"alg":"RS256"})"), ".e30.x")));
}

TEST(Token, HashesDiffer) {
  EXPECT_EQ(TokenHash("a"), TokenHash("a"));
  EXPECT_NE(TokenHash("a"), TokenHash("b"));
  EXPECT_EQ(TokenHash("").size(), 32u);
}

TEST(Token, Row63RefusesAlgorithmNone) {
  const std::string key = NewTokenKey();
  const std::string token = *SignToken(key, Web());
  const size_t first = token.find('.');
  const size_t last = token.rfind('.');
  const std::string payload = token.substr(first + 1, last - first - 1);
  for (absl::string_view header :
       {R"({"alg":"none"})", R"({"alg":"None","typ":"JWT"})", R"({"alg":"RS256","typ":"JWT"})"}) {
    const std::string signed_part = absl::StrCat(absl::WebSafeBase64Escape(header), ".", payload);
    EXPECT_FALSE(VerifyToken(key, signed_part + ".", kNow).ok());
    EXPECT_FALSE(VerifyToken(key, signed_part + token.substr(last), kNow).ok());
  }
}

TEST(Token, Row63RefusesEveryAlteredByte) {
  const std::string key = NewTokenKey();
  const std::string token = *SignToken(key, Web());
  for (size_t i = 0; i < token.size(); ++i) {
    std::string altered = token;
    altered[i] = altered[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(VerifyToken(key, altered, kNow).ok()) << i;
  }
  // The last character of a 32-byte MAC has two bits that decode to nothing.
  for (const std::string& altered : {token + "=", token + "==", token + "\n", " " + token,
                                     token.substr(0, token.size() - 1), token + "A"}) {
    EXPECT_FALSE(VerifyToken(key, altered, kNow).ok()) << altered;
  }
  for (const char* nonsense : {"", ".", "..", "a.b.c"}) {
    EXPECT_FALSE(VerifyToken(key, nonsense, kNow).ok()) << nonsense;
  }
}

TEST(Token, NamesThatAreNotUtf8DoNotCrash) {
  const std::string key = NewTokenKey();
  TokenClaims claims = Web();
  claims.pod = "\xff\xfe";
  EXPECT_TRUE(VerifyToken(key, *SignToken(key, claims), kNow).ok());
}

}  // namespace
}  // namespace weft::certs
