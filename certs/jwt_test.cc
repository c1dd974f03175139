#include "certs/jwt.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "certs/jose.h"
#include "certs/test_jwt.h"

namespace weft::certs {
namespace {

constexpr char kPayload[] = R"({"iss":"https://issuer","sub":"alice","aud":"books"})";

// Making RSA keys takes long, so there is one for all tests.
const TestJwtKey& RsaKey() {
  static const auto* key = new TestJwtKey("RS256");
  return *key;
}

std::shared_ptr<const Jwks> Keys(const std::string& text) {
  auto keys = Jwks::Parse(text);
  EXPECT_TRUE(keys.ok()) << keys.status() << " " << text;
  return keys.ok() ? *keys : nullptr;
}

JwtStatus Check(const std::string& token, const std::string& key_set) {
  Jwt jwt;
  const JwtStatus parsed = ParseJwt(token, jwt);
  return parsed != JwtStatus::kOk ? parsed : VerifyJwt(jwt, *Keys(key_set));
}

JwtStatus Parse(const std::string& token) {
  Jwt jwt;
  return ParseJwt(token, jwt);
}

TEST(Jwt, EachAlgorithmVerifies) {
  for (const char* algorithm : {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256",
                                "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}) {
    const TestJwtKey key(algorithm);
    const std::string token = key.Token(kPayload);
    EXPECT_EQ(Check(token, key.KeySet()), JwtStatus::kOk) << algorithm;
    EXPECT_EQ(Check(token, key.KeySet(absl::StrCat(R"("alg":")", algorithm, "\""))), JwtStatus::kOk)
        << algorithm;
    // Any other text.
    const std::string other = key.Token(R"({"iss":"https://issuer","sub":"bob"})");
    const std::string forged = token.substr(0, token.rfind('.')) + other.substr(other.rfind('.'));
    EXPECT_EQ(Check(forged, key.KeySet()), JwtStatus::kBadSignature) << algorithm;
    // Any other length.
    const std::string shorter =
        token.substr(0, token.rfind('.') + 1) + EncodeBase64Url(key.Sign("x").substr(1));
    EXPECT_EQ(Check(shorter, key.KeySet()), JwtStatus::kBadSignature) << algorithm;
    EXPECT_EQ(Check(token.substr(0, token.rfind('.') + 1), key.KeySet()), JwtStatus::kBadSignature)
        << algorithm << " without a signature";
  }
}

TEST(Jwt, ReadsTheClaims) {
  const std::string payload = R"({"iss":"i","sub":"s","aud":["a","b"],"iat":1,"nbf":2.5,"exp":3})";
  Jwt jwt;
  ASSERT_EQ(ParseJwt(RsaKey().Token(payload, R"("kid":"k")"), jwt), JwtStatus::kOk);
  EXPECT_EQ(jwt.issuer, "i");
  EXPECT_EQ(jwt.subject, "s");
  EXPECT_EQ(jwt.audiences, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(jwt.issued_at, 1);
  EXPECT_EQ(jwt.not_before, 2);
  EXPECT_EQ(jwt.expiry, 3);
  EXPECT_EQ(jwt.key_id, "k");
  EXPECT_EQ(DecodeBase64Url(jwt.encoded_payload()), payload);
}

TEST(Jwt, Row63NoneIsNoAlgorithm) {
  for (const char* alg : {"none", "None", "NONE", "nOnE", "", "RS1", "rs256", "HS256 "}) {
    const std::string text =
        EncodeBase64Url(absl::StrCat(R"({"alg":")", alg, "\"}")) + "." + EncodeBase64Url(kPayload);
    EXPECT_EQ(Parse(text + "."), JwtStatus::kUnknownAlgorithm) << alg;
    EXPECT_EQ(Parse(text + ".AAAA"), JwtStatus::kUnknownAlgorithm) << alg;
  }
  EXPECT_EQ(Parse(RsaKey().TokenWithHeader(R"({"typ":"JWT"})", kPayload)),
            JwtStatus::kBadAlgorithm);
  EXPECT_EQ(Parse(RsaKey().TokenWithHeader(R"({"alg":["RS256"]})", kPayload)),
            JwtStatus::kBadAlgorithm);
}

TEST(Jwt, Row63AnAlgorithmOfAnotherKeyTypeFindsNoKey) {
  const TestJwtKey hmac("HS256"), ec("ES256");
  const std::string header = R"({"alg":"HS256","kid":"a"})";
  const std::string id = R"("kid":"a")";
  // The classic: the public key, which everybody has, taken for the secret of an HMAC.
  EXPECT_EQ(Check(RsaKey().TokenWithHeader(header, kPayload), RsaKey().KeySet(id)),
            JwtStatus::kNoSuchKey);
  EXPECT_EQ(Check(hmac.TokenWithHeader(header, kPayload), RsaKey().KeySet(id)),
            JwtStatus::kNoSuchKey);
  EXPECT_EQ(Check(ec.Token(kPayload), RsaKey().KeySet()), JwtStatus::kNoSuchKey);
  EXPECT_EQ(Check(RsaKey().Token(kPayload), ec.KeySet()), JwtStatus::kNoSuchKey);
  EXPECT_EQ(Check(ec.TokenWithHeader(R"({"alg":"ES384"})", kPayload), ec.KeySet()),
            JwtStatus::kNoSuchKey)
      << "a curve goes with one algorithm";
  EXPECT_EQ(Check(RsaKey().Token(kPayload), RsaKey().KeySet(R"("alg":"RS512")")),
            JwtStatus::kNoSuchKey)
      << "a key that states its algorithm is for no other";
  EXPECT_EQ(Check(RsaKey().TokenWithHeader(R"({"alg":"PS256"})", kPayload), RsaKey().KeySet()),
            JwtStatus::kBadSignature);
}

TEST(Jwt, Row63OneSpellingOnly) {
  const TestJwtKey key("ES256");
  const std::string token = key.Token(kPayload);
  ASSERT_EQ(Check(token, key.KeySet()), JwtStatus::kOk);
  EXPECT_EQ(Parse(token + "="), JwtStatus::kSignatureNotBase64);
  EXPECT_EQ(Parse(token + "=="), JwtStatus::kSignatureNotBase64);
  EXPECT_EQ(Parse(token + "\n"), JwtStatus::kSignatureNotBase64);
  EXPECT_EQ(Parse(token + " "), JwtStatus::kSignatureNotBase64);
  // 64 bytes leave four bits of the last character unused: other values decode to the same bytes.
  std::string altered = token;
  altered.back() = altered.back() == 'A' ? 'B' : static_cast<char>(altered.back() + 1);
  EXPECT_EQ(Parse(altered), JwtStatus::kSignatureNotBase64);
  // The alphabet of ordinary base64.
  std::string other = token;
  other[other.rfind('.') + 1] = '+';
  EXPECT_EQ(Parse(other), JwtStatus::kSignatureNotBase64);
}

TEST(Jwt, Row63NoNameTwice) {
  const TestJwtKey key("ES256");
  EXPECT_EQ(Parse(key.TokenWithHeader(R"({"alg":"ES256","alg":"ES256"})", kPayload)),
            JwtStatus::kHeaderNotJson);
  EXPECT_EQ(Parse(key.Token(R"({"sub":"alice","sub":"bob"})")), JwtStatus::kPayloadNotJson);
  EXPECT_EQ(Parse(key.Token(R"({"a":{"b":1,"\u0062":2}})")), JwtStatus::kPayloadNotJson);
  EXPECT_EQ(Parse(key.Token(R"({"a":{"b":1},"c":{"b":1}})")), JwtStatus::kOk);
}

TEST(Jwt, Row63MalformedTokensAreRefused) {
  const TestJwtKey key("ES256");
  const std::string good = key.Token(kPayload);
  const std::string head = good.substr(0, good.find('.'));
  const std::string deep = std::string(40, '[') + std::string(40, ']');
  const std::pair<std::string, JwtStatus> cases[] = {
      {"", JwtStatus::kBadFormat},
      {".", JwtStatus::kBadFormat},
      {"a.b", JwtStatus::kBadFormat},
      {good + ".x", JwtStatus::kBadFormat},
      {"..", JwtStatus::kHeaderNotJson},
      {"!." + EncodeBase64Url(kPayload) + ".", JwtStatus::kHeaderNotBase64},
      {EncodeBase64Url("[]") + ".e30.", JwtStatus::kHeaderNotJson},
      {key.TokenWithHeader(R"({"alg":"ES256","kid":7})", kPayload), JwtStatus::kBadKeyId},
      {key.Token(kPayload, R"("crit":["exp"])"), JwtStatus::kCritical},
      {key.Token(kPayload, R"("crit":null)"), JwtStatus::kCritical},
      {head + ".!.", JwtStatus::kPayloadNotBase64},
      {key.Token("null"), JwtStatus::kPayloadNotJson},
      {key.Token("{\"a\":\"\xff\"}"), JwtStatus::kPayloadNotJson},
      {key.Token(R"({"a":1e999})"), JwtStatus::kPayloadNotJson},
      {key.Token(R"({"a":1} )"
                 "x"),
       JwtStatus::kPayloadNotJson},
      {key.Token(R"({"a":)" + deep + "}"), JwtStatus::kPayloadNotJson},
      {key.Token(R"({"iss":1})"), JwtStatus::kBadIssuer},
      {key.Token(R"({"sub":["a"]})"), JwtStatus::kBadSubject},
      {key.Token(R"({"iat":"1"})"), JwtStatus::kBadIssuedAt},
      {key.Token(R"({"nbf":-1})"), JwtStatus::kBadNotBefore},
      {key.Token(R"({"exp":1e30})"), JwtStatus::kBadExpiry},
      {key.Token(R"({"exp":null})"), JwtStatus::kBadExpiry},
      {key.Token(R"({"exp":18446744073709551615})"), JwtStatus::kBadExpiry},
      {key.Token(R"({"aud":1})"), JwtStatus::kBadAudience},
      {key.Token(R"({"aud":["a",1]})"), JwtStatus::kBadAudience},
      {key.Token(absl::StrCat(R"({"a":")", std::string(kMaxJwtBytes, 'x'), "\"}")),
       JwtStatus::kTooLong},
  };
  for (const auto& [token, status] : cases) {
    EXPECT_EQ(JwtStatusText(Parse(token)), JwtStatusText(status)) << token.substr(0, 200);
  }
}

TEST(Jwt, TimesHaveATolerance) {
  const absl::Time now = absl::FromUnixSeconds(1'000'000);
  const auto check = [&](const std::string& payload) {
    Jwt jwt;
    EXPECT_EQ(ParseJwt(RsaKey().Token(payload), jwt), JwtStatus::kOk);
    return CheckJwtTimes(jwt, now, absl::Seconds(60));
  };
  EXPECT_EQ(check("{}"), JwtStatus::kOk);
  EXPECT_EQ(check(R"({"exp":1000001})"), JwtStatus::kOk);
  EXPECT_EQ(check(R"({"exp":999941})"), JwtStatus::kOk);
  EXPECT_EQ(check(R"({"exp":999940})"), JwtStatus::kExpired);
  EXPECT_EQ(check(R"({"nbf":1000060})"), JwtStatus::kOk);
  EXPECT_EQ(check(R"({"nbf":1000061})"), JwtStatus::kNotYetValid);
  EXPECT_EQ(check(R"({"exp":253402300799})"), JwtStatus::kOk);
}

TEST(Jwks, AKeyIdChooses) {
  const TestJwtKey first("ES256"), second("ES256");
  const std::string both = absl::StrCat(R"({"keys":[)", first.Jwk(R"("kid":"1")"), ",",
                                        second.Jwk(R"("kid":"2")"), "]}");
  EXPECT_EQ(Check(second.Token(kPayload, R"("kid":"2")"), both), JwtStatus::kOk);
  EXPECT_EQ(Check(second.Token(kPayload), both), JwtStatus::kOk) << "any of them";
  EXPECT_EQ(Check(second.Token(kPayload, R"("kid":"1")"), both), JwtStatus::kBadSignature);
  EXPECT_EQ(Check(second.Token(kPayload, R"("kid":"3")"), both), JwtStatus::kNoSuchKey);
  EXPECT_EQ(Check(second.Token(kPayload, R"("kid":"3")"), second.KeySet()), JwtStatus::kOk)
      << "a key without an id";
}

TEST(Jwks, SkipsKeysThatCannotVerify) {
  const TestJwtKey key("ES256");
  const std::string good = key.Jwk(R"("use":"sig","key_ops":["verify"])");
  for (const std::string& bad :
       {std::string("{}"), std::string("7"), std::string(R"({"kty":"new"})"),
        std::string(R"({"kty":"RSA","n":"AQAB","e":"AQAB"})"),           // 24 bits
        std::string(R"({"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"})"),  // not on the curve
        std::string(R"({"kty":"EC","crv":"secp256k1","x":"AQ","y":"AQ"})"),
        std::string(R"({"kty":"OKP","crv":"Ed25519","x":"AQ"})"),
        std::string(R"({"kty":"OKP","crv":"X25519","x":"AQ"})"), std::string(R"({"kty":"oct"})"),
        key.Jwk(R"("use":"enc")"), key.Jwk(R"("key_ops":["sign"])"), key.Jwk(R"("key_ops":7)"),
        key.Jwk(R"("alg":"none")")}) {
    EXPECT_FALSE(Jwks::Parse(absl::StrCat(R"({"keys":[)", bad, "]}")).ok()) << bad;
    const auto keys = Jwks::Parse(absl::StrCat(R"({"keys":[)", bad, ",", good, "]}"));
    ASSERT_TRUE(keys.ok()) << bad;
    EXPECT_EQ((*keys)->size(), 1u) << bad;
  }
}

TEST(Jwks, AShortSecretVerifiesNothing) {
  const auto keys = Jwks::Parse(R"({"keys":[{"kty":"oct","k":"c2VjcmV0"}]})");
  ASSERT_TRUE(keys.ok());
  EXPECT_EQ((*keys)->Verify(JwtAlgorithm::kHs256, "", "x", "y"), Jwks::Result::kNoKey);
}

TEST(Jwks, RefusesWhatIsNoKeySet) {
  std::string many = R"({"keys":[)";
  for (int i = 0; i < 101; ++i) absl::StrAppend(&many, i == 0 ? "" : ",", "{}");
  many += "]}";
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), std::string(R"({"keys":7})"),
        std::string(R"({"keys":[]})"), std::string(R"({"keys":[],"keys":[]})"), many,
        std::string(Jwks::kMaxBytes + 1, ' ')}) {
    EXPECT_FALSE(Jwks::Parse(text).ok()) << text.substr(0, 80);
  }
}

TEST(Base64Url, HasOneSpellingForEachByteString) {
  EXPECT_EQ(DecodeBase64Url(""), "");
  EXPECT_EQ(DecodeBase64Url("Zg"), "f");
  EXPECT_EQ(DecodeBase64Url("Zm8"), "fo");
  EXPECT_EQ(DecodeBase64Url("Zm9v"), "foo");
  EXPECT_EQ(DecodeBase64Url("_-8"), "\xff\xef");
  for (const char* bad : {"Z", "Zh", "Zm9", "Zg==", "Zg=", "Z g", "/+8", "Zm9vZ", "Zg\n"}) {
    EXPECT_EQ(DecodeBase64Url(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace weft::certs
