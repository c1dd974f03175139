#include "proxy/serve/rate_limit_filter.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/format_input.h"

namespace weft {
namespace {

TokenBucket MakeBucket(const LocalRateLimitConfig& limit, const Worker& worker, MonotonicTime now) {
  const double workers = std::max<uint32_t>(worker.options().workers, 1);
  // A bucket in which not even one token has room would never let anything through.
  return TokenBucket(std::max(1.0, limit.max_tokens / workers), limit.tokens_per_fill / workers,
                     limit.fill_interval, now);
}

Answer Limited(Exchange& x, const LocalRateLimitConfig& limit) {
  Answer answer{
      limit.status, ResponseFlag::kRateLimited, "local_rate_limited", "local_rate_limited", {}};
  answer.grpc_status = limit.grpc_resource_exhausted ? 8 : 14;
  ApplyMutations(limit.response_headers, answer.headers, [&x] { return InputOf(x); });
  return answer;
}

}  // namespace

std::optional<Answer> RunRateLimit(Exchange& x, const ActiveFilter& active) {
  const LocalRateLimitConfig& limit = active.config<LocalRateLimitConfig>();
  if (!limit.limited || !limit.enabled.Takes(x.worker().Random())) return std::nullopt;
  enum { kEnabled, kOk, kRateLimited, kEnforced };
  FilterState& state = StateOf(x, active.shared(), [&limit] {
    return CounterNames(absl::StrCat(limit.stat_prefix, ".http_local_rate_limit"),
                        {"enabled", "ok", "rate_limited", "enforced"});
  });
  ++*state.counters[kEnabled];
  const MonotonicTime now = x.loop().Now();
  if (!state.bucket.has_value()) state.bucket = MakeBucket(limit, x.worker(), now);
  const bool ok = state.bucket->Take(now);
  if (limit.x_ratelimit_headers) {
    x.notes.limit = &limit;
    x.notes.limit_most = state.bucket->most();
    x.notes.limit_left = state.bucket->left();
    x.notes.limit_reset_s =
        static_cast<int64_t>(std::ceil(absl::ToDoubleSeconds(state.bucket->UntilFill(now))));
  }
  if (ok) {
    ++*state.counters[kOk];
    return std::nullopt;
  }
  ++*state.counters[kRateLimited];
  if (!limit.enforced.Takes(x.worker().Random())) {
    ApplyMutations(limit.request_headers, x.head.headers, [&x] { return InputOf(x); });
    return std::nullopt;
  }
  ++*state.counters[kEnforced];
  return Limited(x, limit);
}

void AddLimitToResponse(const Exchange& x, Headers& headers) {
  const FilterNotes& notes = x.notes;
  if (notes.limit == nullptr) return;
  headers.Set("x-ratelimit-limit", absl::StrCat(notes.limit_most));
  headers.Set("x-ratelimit-remaining", absl::StrCat(notes.limit_left));
  headers.Set("x-ratelimit-reset", absl::StrCat(notes.limit_reset_s));
}

}  // namespace weft
