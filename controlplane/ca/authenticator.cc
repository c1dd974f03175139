#include "controlplane/ca/authenticator.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "certs/token.h"

namespace weft {

Authenticator::Authenticator(std::string token_key, std::string cluster, Review review)
    : token_key_(std::move(token_key)), cluster_(std::move(cluster)), review_(std::move(review)) {}

Task<absl::StatusOr<Caller>> Authenticator::Authenticate(std::string token, absl::Time now) const {
  const bool own = certs::IsSandboxToken(token) || review_ == nullptr;
  if (!own) co_return co_await review_(std::move(token));
  co_return VerifyOwn(token, now);
}

absl::StatusOr<Caller> Authenticator::VerifyOwn(absl::string_view token, absl::Time now) const {
  if (token_key_.empty()) {
    return absl::UnauthenticatedError("workload token: is not of an API server");
  }
  absl::StatusOr<certs::TokenClaims> claims = certs::VerifyToken(token_key_, token, now);
  if (!claims.ok()) return claims.status();
  if (!cluster_.empty() && !claims->cluster.empty() && claims->cluster != cluster_) {
    return absl::UnauthenticatedError(
        absl::StrCat("workload token: is for cluster ", claims->cluster, ", not ", cluster_));
  }
  return Caller{claims->namespace_, claims->service_account, claims->pod};
}

}  // namespace weft
