#include "certs/jwt.h"

#include <cmath>
#include <utility>

#include "certs/jose.h"

namespace weft::certs {
namespace {

using Json = nlohmann::json;

// Seconds beyond this are no date, and arithmetic on them would overflow (about the year 10,000).
constexpr int64_t kLastSecond = 253'402'300'799;

// A member that may be missing, but not of another type.
bool ReadText(const Json& object, const char* name, std::string& to) {
  const auto it = object.find(name);
  if (it == object.end()) return true;
  if (!it->is_string()) return false;
  to = it->get<std::string>();
  return true;
}

// NumericDate (RFC 7519, section 2), which may have a fraction.
bool ReadSeconds(const Json& object, const char* name, std::optional<int64_t>& to) {
  const auto it = object.find(name);
  if (it == object.end()) return true;
  if (!it->is_number()) return false;
  const double seconds = it->get<double>();
  if (!(seconds >= 0 && seconds <= static_cast<double>(kLastSecond))) return false;
  to = static_cast<int64_t>(std::floor(seconds));
  return true;
}

bool ReadAudiences(const Json& payload, std::vector<std::string>& to) {
  const auto it = payload.find("aud");
  if (it == payload.end()) return true;
  if (it->is_string()) {
    to.push_back(it->get<std::string>());
    return true;
  }
  if (!it->is_array()) return false;
  for (const Json& one : *it) {
    if (!one.is_string()) return false;
    to.push_back(one.get<std::string>());
  }
  return true;
}

JwtStatus ReadHeader(absl::string_view encoded, Jwt& jwt) {
  const std::optional<std::string> text = DecodeBase64Url(encoded);
  if (!text) return JwtStatus::kHeaderNotBase64;
  std::optional<Json> json = ParseJsonObject(*text);
  if (!json) return JwtStatus::kHeaderNotJson;
  jwt.header = *std::move(json);
  std::string name;
  if (!jwt.header.contains("alg") || !ReadText(jwt.header, "alg", name)) {
    return JwtStatus::kBadAlgorithm;
  }
  const std::optional<JwtAlgorithm> algorithm = FindJwtAlgorithm(name);
  if (!algorithm) return JwtStatus::kUnknownAlgorithm;
  jwt.algorithm = *algorithm;
  if (!ReadText(jwt.header, "kid", jwt.key_id)) return JwtStatus::kBadKeyId;
  return jwt.header.contains("crit") ? JwtStatus::kCritical : JwtStatus::kOk;
}

JwtStatus ReadPayload(absl::string_view encoded, Jwt& jwt) {
  const std::optional<std::string> text = DecodeBase64Url(encoded);
  if (!text) return JwtStatus::kPayloadNotBase64;
  std::optional<Json> json = ParseJsonObject(*text);
  if (!json) return JwtStatus::kPayloadNotJson;
  jwt.payload = *std::move(json);
  if (!ReadText(jwt.payload, "iss", jwt.issuer)) return JwtStatus::kBadIssuer;
  if (!ReadText(jwt.payload, "sub", jwt.subject)) return JwtStatus::kBadSubject;
  if (!ReadSeconds(jwt.payload, "iat", jwt.issued_at)) return JwtStatus::kBadIssuedAt;
  if (!ReadSeconds(jwt.payload, "nbf", jwt.not_before)) return JwtStatus::kBadNotBefore;
  if (!ReadSeconds(jwt.payload, "exp", jwt.expiry)) return JwtStatus::kBadExpiry;
  return ReadAudiences(jwt.payload, jwt.audiences) ? JwtStatus::kOk : JwtStatus::kBadAudience;
}

}  // namespace

absl::string_view JwtStatusText(JwtStatus status) {
  switch (status) {
    case JwtStatus::kOk:
      return "OK";
    case JwtStatus::kMissing:
      return "Jwt is missing";
    case JwtStatus::kMultiple:
      return "Found multiple Jwt tokens";
    case JwtStatus::kTooLong:
      return "Jwt is too long";
    case JwtStatus::kBadFormat:
      return "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
    case JwtStatus::kHeaderNotBase64:
      return "Jwt header is an invalid Base64url encoded";
    case JwtStatus::kHeaderNotJson:
      return "Jwt header is an invalid JSON";
    case JwtStatus::kBadAlgorithm:
      return "Jwt header [alg] field is required and must be a string";
    case JwtStatus::kUnknownAlgorithm:
      return "Jwt header [alg] is not supported";
    case JwtStatus::kBadKeyId:
      return "Jwt header [kid] field is not a string";
    case JwtStatus::kCritical:
      return "Jwt header [crit] names extensions that are not supported";
    case JwtStatus::kPayloadNotBase64:
      return "Jwt payload is an invalid Base64url encoded";
    case JwtStatus::kPayloadNotJson:
      return "Jwt payload is an invalid JSON";
    case JwtStatus::kBadIssuer:
      return "Jwt payload [iss] field is not a string";
    case JwtStatus::kBadSubject:
      return "Jwt payload [sub] field is not a string";
    case JwtStatus::kBadIssuedAt:
      return "Jwt payload [iat] field is not an integer";
    case JwtStatus::kBadNotBefore:
      return "Jwt payload [nbf] field is not an integer";
    case JwtStatus::kBadExpiry:
      return "Jwt payload [exp] field is not an integer";
    case JwtStatus::kBadAudience:
      return "Jwt payload [aud] field is not a string or string list";
    case JwtStatus::kSignatureNotBase64:
      return "Jwt signature is an invalid Base64url encoded";
    case JwtStatus::kUnknownIssuer:
      return "Jwt issuer is not configured";
    case JwtStatus::kSubjectNotAllowed:
      return "Jwt subject is not allowed";
    case JwtStatus::kAudienceNotAllowed:
      return "Audiences in Jwt are not allowed";
    case JwtStatus::kNotYetValid:
      return "Jwt not yet valid";
    case JwtStatus::kExpired:
      return "Jwt is expired";
    case JwtStatus::kWithoutExpiry:
      return "Jwt has no expiration";
    case JwtStatus::kLivesTooLong:
      return "Jwt lifetime exceeds the maximum";
    case JwtStatus::kNoKeys:
      return "Jwks remote fetch is failed";
    case JwtStatus::kNoSuchKey:
      return "Jwks doesn't have key to match kid or alg from Jwt";
    case JwtStatus::kBadSignature:
      return "Jwt verification fails";
  }
  return "";
}

absl::string_view Jwt::signed_text() const {
  return absl::string_view(text).substr(0, text.rfind('.'));
}

absl::string_view Jwt::encoded_payload() const {
  const absl::string_view both = signed_text();
  return both.substr(both.find('.') + 1);
}

JwtStatus ParseJwt(absl::string_view text, Jwt& jwt) {
  if (text.size() > kMaxJwtBytes) return JwtStatus::kTooLong;
  const size_t first = text.find('.');
  const size_t last = text.rfind('.');
  if (first == absl::string_view::npos || first == last || text.find('.', first + 1) != last) {
    return JwtStatus::kBadFormat;
  }
  jwt = Jwt();
  JwtStatus status = ReadHeader(text.substr(0, first), jwt);
  if (status != JwtStatus::kOk) return status;
  status = ReadPayload(text.substr(first + 1, last - first - 1), jwt);
  if (status != JwtStatus::kOk) return status;
  std::optional<std::string> signature = DecodeBase64Url(text.substr(last + 1));
  if (!signature) return JwtStatus::kSignatureNotBase64;
  jwt.signature = *std::move(signature);
  jwt.text = std::string(text);
  return JwtStatus::kOk;
}

JwtStatus VerifyJwt(const Jwt& jwt, const Jwks& keys) {
  switch (keys.Verify(jwt.algorithm, jwt.key_id, jwt.signed_text(), jwt.signature)) {
    case Jwks::Result::kVerified:
      return JwtStatus::kOk;
    case Jwks::Result::kNoKey:
      return JwtStatus::kNoSuchKey;
    case Jwks::Result::kFailed:
      break;
  }
  return JwtStatus::kBadSignature;
}

JwtStatus CheckJwtTimes(const Jwt& jwt, absl::Time now, absl::Duration clock_skew) {
  if (jwt.not_before && absl::FromUnixSeconds(*jwt.not_before) > now + clock_skew) {
    return JwtStatus::kNotYetValid;
  }
  if (jwt.expiry && now >= absl::FromUnixSeconds(*jwt.expiry) + clock_skew) {
    return JwtStatus::kExpired;
  }
  return JwtStatus::kOk;
}

}  // namespace weft::certs
