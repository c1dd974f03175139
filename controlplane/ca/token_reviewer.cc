#include "controlplane/ca/token_reviewer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "certs/token.h"
#include "controlplane/ca/token_review.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

constexpr size_t kShown = 200;  // of an answer that is an error

struct Counted {
  explicit Counted(size_t& count) : count(count) { ++count; }
  ~Counted() { --count; }
  size_t& count;
};

}  // namespace

TokenReviewer::TokenReviewer(EventLoop& loop, KubernetesClient& client, std::string audience)
    : loop_(loop), client_(client), audience_(std::move(audience)) {}

Task<absl::StatusOr<Caller>> TokenReviewer::Review(std::string token) {
  if (!MayBeReviewed(token)) co_return absl::UnauthenticatedError("workload token: not a JWT");
  const std::string hash = certs::TokenHash(token);
  if (const ReviewCache::Verdict* known = cache_.Find(hash, loop_.Now())) co_return *known;
  if (asking_ >= kMostAtOnce) {
    co_return absl::UnavailableError("workload token: too many are being looked at");
  }
  const Counted counted(asking_);
  absl::StatusOr<Caller> verdict = co_await Ask(std::move(token));
  cache_.Put(hash, verdict, loop_.Now());
  co_return verdict;
}

Task<absl::StatusOr<Caller>> TokenReviewer::Ask(std::string token) {
  KubernetesRequest request;
  request.method = "POST";
  request.path = kTokenReviewPath;
  request.body = TokenReviewOf(token, audience_);
  request.repeatable = true;
  auto answer = co_await client_.Call(std::move(request), loop_.Now() + kTimeout);
  absl::StatusOr<Caller> verdict = absl::UnavailableError("");
  if (!answer.ok()) {
    verdict = absl::UnavailableError(answer.status().message());
  } else if (answer->status != 200 && answer->status != 201) {
    verdict =
        absl::UnavailableError(absl::StrCat(answer->status, ": ", answer->body.substr(0, kShown)));
  } else {
    verdict = ReadTokenReview(std::move(answer->body), audience_);
  }
  const bool unknown = absl::IsUnavailable(verdict.status());
  Tell(unknown ? verdict.status().message() : "");
  if (unknown) co_return absl::UnavailableError("workload token: the API server cannot review it");
  co_return verdict;
}

// Once until it is another.
void TokenReviewer::Tell(absl::string_view trouble) {
  if (trouble == told_trouble_) return;
  told_trouble_ = std::string(trouble);
  if (trouble.empty()) {
    Log(LogLevel::kInfo, "token_reviews_answered", {{"server", client_.config().origin}});
    return;
  }
  Log(LogLevel::kError, "token_reviews_fail",
      {{"server", client_.config().origin},
       {"reason", told_trouble_},
       {"effect", "workloads get no certificates"}});
}

}  // namespace weft
