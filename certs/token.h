// The workload token of the sandbox: how a pod shows the CA who it is before it has a certificate.
//
// A JWT (RFC 7519) with the claims of a Kubernetes bound service-account token, signed with HS256
// by whoever starts the pods; the CA holds the same key. On a real cluster the API server's own
// tokens take its place. Pure; any thread.
#ifndef WEFT_CERTS_TOKEN_H_
#define WEFT_CERTS_TOKEN_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace weft::certs {

inline constexpr absl::string_view kCaAudience = "weft-ca";

struct TokenClaims {
  std::string namespace_;
  std::string service_account;
  std::string pod;
  std::string cluster;  // may be empty
  std::string audience = std::string(kCaAudience);
  absl::Time expiry;
};

// `key`: at least 32 bytes of randomness (RFC 7518 section 3.2).
absl::StatusOr<std::string> SignToken(absl::string_view key, const TokenClaims& claims);

// The claims of a token signed with `key`, for `audience`, not expired at `now`. Unauthenticated
// otherwise. The header has to be, byte for byte, the one SignToken writes: there is no algorithm
// to choose, so "none" and algorithm confusion have nothing to act on.
absl::StatusOr<TokenClaims> VerifyToken(absl::string_view key, absl::string_view token,
                                        absl::Time now, absl::string_view audience = kCaAudience);

// Whether its header is the one SignToken writes; says nothing of the signature. No API server
// writes it.
bool IsSandboxToken(absl::string_view token);

// SHA-256 of any token: what stands for it where it must not be kept.
std::string TokenHash(absl::string_view token);

// 32 random bytes.
std::string NewTokenKey();

}  // namespace weft::certs

#endif  // WEFT_CERTS_TOKEN_H_
