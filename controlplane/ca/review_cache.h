// ReviewCache: what was found of tokens a moment ago, so that a workload that asks again and again
// does not make the API server look each time.
//
// Good and bad verdicts are kept alike, and neither for longer than kLifetime: so long a token goes
// on to work that was revoked. That the server could not be asked is no verdict and not kept. By
// the tokens' hashes: whoever reads this memory learns no token. Pure; not thread-safe.
#ifndef WEFT_CONTROLPLANE_CA_REVIEW_CACHE_H_
#define WEFT_CONTROLPLANE_CA_REVIEW_CACHE_H_

#include <deque>
#include <map>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/ca/authority.h"

namespace weft {

class ReviewCache {
 public:
  using Verdict = absl::StatusOr<Caller>;

  static constexpr absl::Duration kLifetime = absl::Seconds(10);
  // Of some hundred bytes each. Beyond that the oldest go.
  static constexpr size_t kMostEntries = 4096;

  // Null if nothing is known at `now`; good until the next call.
  const Verdict* Find(const std::string& token_hash, absl::Duration now) const;
  // Unless it is an error other than Unauthenticated.
  void Put(const std::string& token_hash, Verdict verdict, absl::Duration now);

  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Verdict verdict;
    absl::Duration expires;
  };
  void DropOldest();

  std::map<std::string, Entry> entries_;
  // In the order in which they expire. One that was put again is here twice.
  std::deque<std::pair<absl::Duration, std::string>> expiries_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CA_REVIEW_CACHE_H_
