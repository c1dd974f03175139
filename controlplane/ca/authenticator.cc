#include "controlplane/ca/authenticator.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "certs/token.h"

namespace weft {

namespace {

// Names of clusters are as short as those of objects.
constexpr size_t kMaxCluster = 253;

// Who has that identity is believed by every proxy and every linked cluster. Nobody of a cluster
// without a control plane has a use for it, whatever an API server says that we do not run.
bool IsControlPlane(const Caller& caller) {
  return caller.namespace_ == "weft-system" && caller.service_account == "weftd";
}

}  // namespace

Authenticator::Authenticator(std::string token_key, std::string cluster, Review review,
                             RemoteReview remote_review)
    : token_key_(std::move(token_key)),
      cluster_(std::move(cluster)),
      review_(std::move(review)),
      remote_review_(std::move(remote_review)) {}

Task<absl::StatusOr<Caller>> Authenticator::Authenticate(std::string token, std::string cluster,
                                                         absl::Time now) const {
  if (!cluster.empty() && cluster != cluster_) {
    absl::Status checked = CheckRemote(token, cluster);
    if (!checked.ok()) co_return checked;
    absl::StatusOr<Caller> caller = co_await remote_review_(std::move(cluster), std::move(token));
    if (caller.ok() && IsControlPlane(*caller)) {
      co_return absl::UnauthenticatedError("workload token: a remote cluster has no control plane");
    }
    co_return caller;
  }
  const bool own = certs::IsSandboxToken(token) || review_ == nullptr;
  if (!own) co_return co_await review_(std::move(token));
  co_return VerifyOwn(token, now);
}

// What no other cluster is asked about.
absl::Status Authenticator::CheckRemote(absl::string_view token, absl::string_view cluster) const {
  if (cluster.size() > kMaxCluster) {
    return absl::UnauthenticatedError("workload token: the name of its cluster is too long");
  }
  if (remote_review_ == nullptr) {
    return absl::UnauthenticatedError(
        absl::StrCat("workload token: cluster '", absl::CHexEscape(cluster), "' is not known"));
  }
  // It would be good here, so nobody else is shown it.
  if (certs::IsSandboxToken(token)) {
    return absl::UnauthenticatedError(absl::StrCat(
        "workload token: is not of the API server of cluster '", absl::CHexEscape(cluster), "'"));
  }
  return absl::OkStatus();
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
