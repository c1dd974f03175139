#include "proxy/config/compile_retry.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/config/compile_matchers.h"
#include "proxy/config/fields.h"
#include "proxy/config/retry_on.h"

namespace weft {
namespace {

// Envoy's: the longest back-off is ten times the base unless it is given.
constexpr int kMaxIntervalFactor = 10;

absl::Status CompileBackOff(const envoy::config::route::v3::RetryPolicy& from, RetryPolicy& to) {
  if (!from.has_retry_back_off()) return absl::OkStatus();
  to.base_interval = ToDuration(from.retry_back_off().base_interval());
  if (to.base_interval <= absl::ZeroDuration()) {
    return Invalid("retry_back_off.base_interval", "must be above 0");
  }
  to.max_interval = from.retry_back_off().has_max_interval()
                        ? ToDuration(from.retry_back_off().max_interval())
                        : to.base_interval * kMaxIntervalFactor;
  if (to.max_interval < to.base_interval) {
    return Invalid("retry_back_off.max_interval", "must not be below base_interval");
  }
  return absl::OkStatus();
}

using envoy::config::route::v3::RetryPolicy_ResetHeader;

absl::StatusOr<ResetHeader> CompileResetHeader(const RetryPolicy_ResetHeader& from) {
  if (from.name().empty()) return Invalid("name", "must not be empty");
  return ResetHeader{absl::AsciiStrToLower(from.name()),
                     from.format() == envoy::config::route::v3::RetryPolicy::UNIX_TIMESTAMP};
}

absl::Status CompileRateLimited(const envoy::config::route::v3::RetryPolicy& from,
                                RetryPolicy& to) {
  if (!from.has_rate_limited_retry_back_off()) return absl::OkStatus();
  const auto& limited = from.rate_limited_retry_back_off();
  if (limited.has_max_interval()) to.most_reset = ToDuration(limited.max_interval());
  if (limited.reset_headers().empty()) return Invalid("reset_headers", "must not be empty");
  return CompileEach("reset_headers", limited.reset_headers(), to.reset_headers,
                     CompileResetHeader);
}

// An endpoint that was tried is avoided always; other predicates and priorities are not evaluated.
absl::Status CheckHostSelection(const envoy::config::route::v3::RetryPolicy& from) {
  if (from.has_retry_priority()) return Invalid("retry_priority", "is not supported");
  if (!from.retry_options_predicates().empty()) {
    return Invalid("retry_options_predicates", "is not supported");
  }
  for (int i = 0; i < from.retry_host_predicate_size(); ++i) {
    const auto& predicate = from.retry_host_predicate(i);
    if (absl::StrContains(predicate.name(), "previous_hosts") ||
        absl::StrContains(TypeOf(predicate.typed_config()), "previous_hosts")) {
      continue;
    }
    return Invalid(Index("retry_host_predicate", i),
                   absl::StrCat("unsupported predicate '", predicate.name(), "'"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RetryPolicy> CompileRetryPolicy(const envoy::config::route::v3::RetryPolicy& from) {
  RetryPolicy to;
  to.retry_on = ParseRetryOn(from.retry_on());
  if (from.has_num_retries()) to.num_retries = from.num_retries().value();
  if (from.has_per_try_timeout()) to.per_try_timeout = ToTimeout(from.per_try_timeout());
  if (from.has_per_try_idle_timeout()) {
    to.per_try_idle_timeout = ToTimeout(from.per_try_idle_timeout());
  }
  to.retriable_status_codes.assign(from.retriable_status_codes().begin(),
                                   from.retriable_status_codes().end());
  absl::Status status = CompileEach("retriable_headers", from.retriable_headers(),
                                    to.retriable_headers, CompileHeaderMatch);
  if (!status.ok()) return status;
  status = CompileEach("retriable_request_headers", from.retriable_request_headers(),
                       to.retriable_request_headers, CompileHeaderMatch);
  if (!status.ok()) return status;
  status = CompileBackOff(from, to);
  if (!status.ok()) return status;
  status = CompileRateLimited(from, to);
  if (!status.ok()) return Under("rate_limited_retry_back_off", status);
  status = CheckHostSelection(from);
  if (!status.ok()) return status;
  return to;
}

}  // namespace weft
