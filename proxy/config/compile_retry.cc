#include "proxy/config/compile_retry.h"

#include <algorithm>

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
  return to;
}

}  // namespace weft
