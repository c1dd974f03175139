#include "certs/token.h"

#include <openssl/digest.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace weft::certs {
namespace {

using Json = nlohmann::json;

constexpr absl::string_view kHeader = R"({"alg":"HS256","typ":"JWT"})";
constexpr absl::string_view kIssuer = "weft-sandbox";
constexpr size_t kKeyBytes = 32;    // RFC 7518 section 3.2: no shorter than the hash
constexpr size_t kMaxToken = 4096;  // ours are 500 bytes

absl::Status Refused(absl::string_view why) {
  return absl::UnauthenticatedError(absl::StrCat("workload token: ", why));
}

std::string Signature(absl::string_view key, absl::string_view signed_part) {
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), key.size(), reinterpret_cast<const uint8_t*>(signed_part.data()),
       signed_part.size(), mac, &size);
  return absl::WebSafeBase64Escape(absl::string_view(reinterpret_cast<char*>(mac), size));
}

bool EqualInConstantTime(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// A string at `path`, empty if there is none.
std::string TextAt(const Json& claims, const char* path) {
  const Json::json_pointer at(path);
  if (!claims.contains(at) || !claims[at].is_string()) return "";
  return claims[at].get<std::string>();
}

absl::StatusOr<TokenClaims> ReadClaims(absl::string_view payload) {
  std::string text;
  if (!absl::WebSafeBase64Unescape(payload, &text)) return Refused("claims are not base64url");
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("exp") || !json["exp"].is_number_integer()) {
    return Refused("claims are not a JSON object with \"exp\"");
  }
  TokenClaims claims;
  claims.namespace_ = TextAt(json, "/kubernetes.io/namespace");
  claims.service_account = TextAt(json, "/kubernetes.io/serviceaccount/name");
  claims.pod = TextAt(json, "/kubernetes.io/pod/name");
  claims.cluster = TextAt(json, "/weft.cluster");
  claims.audience = TextAt(json, "/aud/0");
  claims.expiry = absl::FromUnixSeconds(json["exp"].get<int64_t>());
  if (claims.namespace_.empty() || claims.service_account.empty()) {
    return Refused("claims name no namespace or no service account");
  }
  return claims;
}

}  // namespace

absl::StatusOr<std::string> SignToken(absl::string_view key, const TokenClaims& claims) {
  if (key.size() < kKeyBytes) return absl::InvalidArgumentError("token key: under 32 bytes");
  const std::string subject =
      absl::StrCat("system:serviceaccount:", claims.namespace_, ":", claims.service_account);
  const Json json = {
      {"iss", std::string(kIssuer)},
      {"sub", subject},
      {"aud", Json::array({claims.audience})},
      {"exp", absl::ToUnixSeconds(claims.expiry)},
      {"weft.cluster", claims.cluster},
      {"kubernetes.io",
       {{"namespace", claims.namespace_},
        {"pod", {{"name", claims.pod}}},
        {"serviceaccount", {{"name", claims.service_account}}}}},
  };
  const std::string payload =
      json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  const std::string signed_part =
      absl::StrCat(absl::WebSafeBase64Escape(kHeader), ".", absl::WebSafeBase64Escape(payload));
  return absl::StrCat(signed_part, ".", Signature(key, signed_part));
}

absl::StatusOr<TokenClaims> VerifyToken(absl::string_view key, absl::string_view token,
                                        absl::Time now, absl::string_view audience) {
  if (key.size() < kKeyBytes) return absl::InvalidArgumentError("token key: under 32 bytes");
  if (token.size() > kMaxToken) return Refused("longer than 4096 bytes");
  const size_t dot = token.rfind('.');
  if (dot == absl::string_view::npos) return Refused("not a JWT");
  const absl::string_view signed_part = token.substr(0, dot);
  // Compared as text, so that another spelling of the same bytes (padding, stray low bits) differs.
  if (!EqualInConstantTime(Signature(key, signed_part), token.substr(dot + 1))) {
    return Refused("signature does not match");
  }
  if (!IsSandboxToken(signed_part)) return Refused("header is not HS256");
  absl::StatusOr<TokenClaims> claims = ReadClaims(signed_part.substr(signed_part.find('.') + 1));
  if (!claims.ok()) return claims;
  if (claims->audience != audience) {
    return Refused(absl::StrCat("not meant for audience ", audience));
  }
  if (now >= claims->expiry) return Refused("expired");
  return claims;
}

bool IsSandboxToken(absl::string_view token) {
  return absl::StartsWith(token, absl::StrCat(absl::WebSafeBase64Escape(kHeader), "."));
}

std::string TokenHash(absl::string_view token) {
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const uint8_t*>(token.data()), token.size(),
         reinterpret_cast<uint8_t*>(hash.data()));
  return hash;
}

std::string NewTokenKey() {
  std::string key(kKeyBytes, '\0');
  RAND_bytes(reinterpret_cast<uint8_t*>(key.data()), key.size());
  return key;
}

}  // namespace weft::certs
