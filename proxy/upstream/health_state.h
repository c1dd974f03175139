// HealthState: what a series of checks says of one endpoint, by the thresholds of its
// HealthCheckConfig. Pure; who checks is health_checks.h.
//
// The first check decides alone, so that a start takes one round. Afterwards it takes
// unhealthy_threshold failures in a row to fall and healthy_threshold successes to rise; but an
// endpoint that answers and says it is not well falls at once.
#ifndef WEFT_PROXY_UPSTREAM_HEALTH_STATE_H_
#define WEFT_PROXY_UPSTREAM_HEALTH_STATE_H_

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"
#include "proxy/config/cluster_config.h"

namespace weft {

enum class CheckResult : uint8_t {
  kPassed,
  kDegraded,  // passed, and it asks to be spared
  kFailed,    // no answer, no connection, or an answer that may be tried again
  kRefused,   // it answers that it is not well
};

class HealthState {
 public:
  // Returns whether health() is another now; always true of the first.
  bool Note(const HealthCheckConfig& config, CheckResult result) {
    const CheckedHealth before = health_;
    const bool first = health_ == CheckedHealth::kNotChecked;
    if (result == CheckResult::kPassed || result == CheckResult::kDegraded) {
      failures_ = 0;
      ++successes_;
      const bool rises =
          before != CheckedHealth::kFailing || successes_ >= config.healthy_threshold;
      if (rises) {
        health_ =
            result == CheckResult::kPassed ? CheckedHealth::kPassing : CheckedHealth::kDegraded;
      }
    } else {
      successes_ = 0;
      ++failures_;
      const bool falls =
          first || result == CheckResult::kRefused || failures_ >= config.unhealthy_threshold;
      if (falls) health_ = CheckedHealth::kFailing;
    }
    edge_ = !first && (before == CheckedHealth::kFailing) != (health_ == CheckedHealth::kFailing);
    return health_ != before;
  }

  CheckedHealth health() const { return health_; }

  // Until the next check; `random` is from 0 to below 1.
  absl::Duration NextIn(const HealthCheckConfig& config, double random) const {
    const bool failing = health_ == CheckedHealth::kFailing;
    absl::Duration interval = failing ? config.unhealthy_interval : config.interval;
    if (edge_) interval = failing ? config.unhealthy_edge_interval : config.healthy_edge_interval;
    return interval +
           random * (config.interval_jitter + interval * (0.01 * config.interval_jitter_percent));
  }

 private:
  CheckedHealth health_ = CheckedHealth::kNotChecked;
  uint32_t successes_ = 0;  // in a row
  uint32_t failures_ = 0;
  bool edge_ = false;  // the last check changed health()
};

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_HEALTH_STATE_H_
