// Authenticator: who a workload is that has no certificate yet, by the token it shows: one of our
// own (certs/token.h), or one that an API server knows (ca/token_reviewer.h), or either.
//
// The token's header says which of the two it claims to be, so neither judges what is the other's.
// And the workload says of which cluster it is: only that one's API server is asked, as a token of
// one is a stranger's to any other. One loop, one thread.
#ifndef WEFT_CONTROLPLANE_CA_AUTHENTICATOR_H_
#define WEFT_CONTROLPLANE_CA_AUTHENTICATOR_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "controlplane/ca/authority.h"
#include "proxy/runtime/task.h"

namespace weft {

class Authenticator {
 public:
  // Errors: Unauthenticated, or Unavailable if it is not known.
  using Review = std::function<Task<absl::StatusOr<Caller>>(std::string token)>;
  // By the API server of another cluster, whose proxies we serve. Unauthenticated as well if there
  // is no such cluster. That somebody there is our control plane is not believed.
  using RemoteReview =
      std::function<Task<absl::StatusOr<Caller>>(std::string cluster, std::string token)>;

  // `token_key`: shared with whoever starts the pods; empty: no token of our own is taken.
  // `cluster` is ours: tokens of our own that name another one are refused. `review` may be null:
  // no API server is asked; so may `remote_review`: nobody of another cluster is known.
  Authenticator(std::string token_key, std::string cluster, Review review,
                RemoteReview remote_review = nullptr);

  // `cluster`: where the workload says it is; empty: here. Errors as of Review. This must outlive
  // the task.
  Task<absl::StatusOr<Caller>> Authenticate(std::string token, std::string cluster,
                                            absl::Time now) const;

 private:
  absl::Status CheckRemote(absl::string_view token, absl::string_view cluster) const;
  absl::StatusOr<Caller> VerifyOwn(absl::string_view token, absl::Time now) const;

  const std::string token_key_;
  const std::string cluster_;
  const Review review_;
  const RemoteReview remote_review_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CA_AUTHENTICATOR_H_
