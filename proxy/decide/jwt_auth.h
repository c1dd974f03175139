// Whether a request brings the tokens that it needs, and what they say. Pure but for the cache that
// it is given: keys and time are arguments.
//
// Every token that a request shows where a provider looks counts, each line and parameter: one bad
// token is not made good by another beside it.
#ifndef WEFT_PROXY_DECIDE_JWT_AUTH_H_
#define WEFT_PROXY_DECIDE_JWT_AUTH_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certs/jwt.h"
#include "proxy/config/jwt_config.h"
#include "proxy/decide/authorize.h"
#include "proxy/http/head.h"

namespace weft {

// Tokens whose signature was found good, so that the next request with the same one costs no
// arithmetic. Times and audiences are looked at again each time, and another key set counts as
// another token. One worker's; bounded by its slots, of which a new token takes one over.
class JwtCache {
 public:
  struct Uses {
    uint64_t hits = 0;
    uint64_t misses = 0;
  };

  // Null: not known as signed by one of `keys`.
  std::shared_ptr<const certs::Jwt> Find(absl::string_view token,
                                         const std::shared_ptr<const certs::Jwks>& keys);
  void Add(std::shared_ptr<const certs::Jwt> jwt, std::shared_ptr<const certs::Jwks> keys);
  const Uses& uses() const { return uses_; }

 private:
  // With config's limit for a token, at most 4 MiB in the worst case, and nothing without tokens.
  static constexpr size_t kSlots = 256;  // a power of two

  struct Slot {
    std::shared_ptr<const certs::Jwt> jwt;
    std::shared_ptr<const certs::Jwks> keys;  // held, so that its address is not used again
  };
  static size_t SlotOf(absl::string_view token);

  std::vector<Slot> slots_;  // empty until the first token
  Uses uses_;
};

struct VerifiedToken {
  const JwtProvider* provider;
  std::shared_ptr<const certs::Jwt> jwt;
  // The payload with its lists of words as lists, where the provider asks for that; else null.
  std::shared_ptr<const nlohmann::json> spaced;

  const nlohmann::json& metadata() const { return spaced != nullptr ? *spaced : jwt->payload; }
};

struct JwtVerdict {
  certs::JwtStatus status = certs::JwtStatus::kOk;  // kOk: the request may go on
  std::vector<VerifiedToken> tokens;                // those that count
};

struct JwtSurroundings {
  const KeySets& keys;
  absl::Time now;
  JwtCache& cache;
};

// A browser's question ahead of a request, which brings no token, where config lets those through.
bool IsExemptPreflight(const JwtAuthnConfig& config, const RequestHead& head);

// What the rules, or the route, ask of this request; null: nothing. `problem` is set if the route
// names a requirement that the filter does not have: then the request must not go on.
const JwtRequirement* RequirementFor(const JwtAuthnConfig& config, const JwtRouteConfig* route,
                                     const RequestHead& head, uint64_t random, bool* problem);

JwtVerdict VerifyTokens(const JwtAuthnConfig& config, const JwtRequirement& requirement,
                        const RequestHead& head, const JwtSurroundings& around);

// Removes what only this proxy may say: the headers that providers put claims and payloads into.
// Before anything is verified, also where nothing is required.
void RemoveForged(const JwtAuthnConfig& config, Headers& headers);

// What verified tokens change in the request: claims into headers; the token itself goes unless its
// provider forwards it.
void ApplyTokens(const std::vector<VerifiedToken>& tokens, RequestHead& head);

// What RBAC sees of the tokens; points into `tokens`.
std::vector<TokenMetadata> MetadataOf(const std::vector<VerifiedToken>& tokens);

// Of a refusal. 401, but 403 for who is known and meant for another audience, as Envoy has it.
int StatusCodeOf(certs::JwtStatus status);
// "jwt_authn_access_denied{Jwt_is_missing}", for the access log.
std::string JwtDetails(certs::JwtStatus status);
// RFC 6750, section 3.
std::string Challenge(certs::JwtStatus status, const RequestHead& head, absl::string_view scheme);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_JWT_AUTH_H_
