// What an API server is asked about a token, and what it says: TokenReview of
// authentication.k8s.io/v1. Pure.
#ifndef WEFT_CONTROLPLANE_CA_TOKEN_REVIEW_H_
#define WEFT_CONTROLPLANE_CA_TOKEN_REVIEW_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controlplane/ca/authority.h"

namespace weft {

inline constexpr char kTokenReviewPath[] = "/apis/authentication.k8s.io/v1/tokenreviews";

// Whether to ask at all: base64url with dots, as every JWT is, and no longer than 16 KiB. What
// strangers send goes no further otherwise.
bool MayBeReviewed(absl::string_view token);

// The review to create. `token` is one that MayBeReviewed.
std::string TokenReviewOf(absl::string_view token, absl::string_view audience);

// The verdict in the review as it was answered. Unauthenticated: the token is no good, is for
// another audience (servers that do not know of audiences leave them out), or is nobody's who could
// be a workload. Unavailable: this is no TokenReview, so nothing is known.
absl::StatusOr<Caller> ReadTokenReview(std::string review, absl::string_view audience);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CA_TOKEN_REVIEW_H_
