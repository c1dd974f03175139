// JSON Web Tokens (RFC 7519) signed as a compact JWS (RFC 7515): read, and held against keys and
// time. Pure over bytes and an explicit time; any thread.
//
// A token is refused for anything that two readers could understand differently (jose.h), for every
// algorithm that is not a signature, and for a "crit" header, since no extension is understood
// here.
#ifndef WEFT_CERTS_JWT_H_
#define WEFT_CERTS_JWT_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certs/jwks.h"

namespace weft::certs {

// Larger ones do not fit into a head with anything beside them.
inline constexpr size_t kMaxJwtBytes = 16 * 1024;

enum class JwtStatus : uint8_t {
  kOk,
  kMissing,
  kMultiple,
  kTooLong,
  kBadFormat,
  kHeaderNotBase64,
  kHeaderNotJson,
  kBadAlgorithm,
  kUnknownAlgorithm,
  kBadKeyId,
  kCritical,
  kPayloadNotBase64,
  kPayloadNotJson,
  kBadIssuer,
  kBadSubject,
  kBadIssuedAt,
  kBadNotBefore,
  kBadExpiry,
  kBadAudience,
  kSignatureNotBase64,
  kUnknownIssuer,
  kSubjectNotAllowed,
  kAudienceNotAllowed,
  kNotYetValid,
  kExpired,
  kWithoutExpiry,
  kLivesTooLong,
  kNoKeys,     // the issuer's keys could not be fetched
  kNoSuchKey,  // they hold none with the token's key id and algorithm
  kBadSignature,
};

// What a client and the access log are told, in Envoy's words where it has any: "Jwt is expired".
absl::string_view JwtStatusText(JwtStatus status);

struct Jwt {
  std::string text;  // as it came
  nlohmann::json header;
  nlohmann::json payload;
  JwtAlgorithm algorithm = JwtAlgorithm::kRs256;
  std::string key_id;
  std::string issuer;
  std::string subject;
  std::vector<std::string> audiences;
  std::optional<int64_t> issued_at;  // these three in seconds since 1970
  std::optional<int64_t> not_before;
  std::optional<int64_t> expiry;
  std::string signature;

  absl::string_view signed_text() const;      // header and payload as they came
  absl::string_view encoded_payload() const;  // base64url
};

// Fills `jwt` from an untrusted text. Nothing in it is to be believed before VerifyJwt().
JwtStatus ParseJwt(absl::string_view text, Jwt& jwt);

JwtStatus VerifyJwt(const Jwt& jwt, const Jwks& keys);

// "exp" and "nbf" with a tolerance (RFC 7519, section 4.1).
JwtStatus CheckJwtTimes(const Jwt& jwt, absl::Time now, absl::Duration clock_skew);

}  // namespace weft::certs

#endif  // WEFT_CERTS_JWT_H_
