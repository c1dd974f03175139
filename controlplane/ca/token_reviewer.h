// TokenReviewer: asks an API server whose a token is, on the loop.
//
// Its service account needs `create` of tokenreviews (the ClusterRole system:auth-delegator has
// it). One loop, one thread.
#ifndef WEFT_CONTROLPLANE_CA_TOKEN_REVIEWER_H_
#define WEFT_CONTROLPLANE_CA_TOKEN_REVIEWER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/ca/authority.h"
#include "controlplane/ca/review_cache.h"
#include "controlplane/sources/kubernetes/client.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft {

class TokenReviewer {
 public:
  // Well within the 10 s that a proxy waits for its certificate.
  static constexpr absl::Duration kTimeout = absl::Seconds(5);
  // Anybody may show us tokens: so many at once are passed on to the API server.
  static constexpr size_t kMostAtOnce = 32;

  // `client` must outlive this, and this the tasks of Review(). `audience`: what the tokens have to
  // be meant for.
  TokenReviewer(EventLoop& loop, KubernetesClient& client, std::string audience);
  TokenReviewer(const TokenReviewer&) = delete;
  TokenReviewer& operator=(const TokenReviewer&) = delete;

  // Unauthenticated: it is no good. Unavailable: that cannot be said now; ask again later.
  Task<absl::StatusOr<Caller>> Review(std::string token);

 private:
  Task<absl::StatusOr<Caller>> Ask(std::string token);
  void Tell(absl::string_view trouble);

  EventLoop& loop_;
  KubernetesClient& client_;
  const std::string audience_;
  ReviewCache cache_;
  size_t asking_ = 0;
  std::string told_trouble_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CA_TOKEN_REVIEWER_H_
