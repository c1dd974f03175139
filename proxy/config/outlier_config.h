// OutlierConfig: when an endpoint's answers, or the lack of them, take it out of balancing for a
// while. Defaults are Envoy's. Who applies it: decide/outlier.h.
#ifndef WEFT_PROXY_CONFIG_OUTLIER_CONFIG_H_
#define WEFT_PROXY_CONFIG_OUTLIER_CONFIG_H_

#include <cstdint>

#include "absl/time/time.h"

namespace weft {

// `enforcing_*` are percentages of detections that eject; 0: they are only counted.
struct OutlierConfig {
  uint32_t consecutive_5xx = 5;
  uint32_t enforcing_consecutive_5xx = 100;
  uint32_t consecutive_gateway_failure = 5;  // 502, 503 and 504
  uint32_t enforcing_consecutive_gateway_failure = 0;
  uint32_t consecutive_local_origin_failure = 5;  // only when split
  uint32_t enforcing_consecutive_local_origin_failure = 100;
  // What the proxy itself saw fail (connect, reset, timeout) is judged apart from what the endpoint
  // answered; else it counts as a 503 or 504 of the endpoint's.
  bool split_external_local_origin_errors = false;

  absl::Duration interval = absl::Seconds(10);  // of the statistics, and of letting back in
  absl::Duration base_ejection_time = absl::Seconds(30);
  absl::Duration max_ejection_time = absl::Seconds(300);
  absl::Duration max_ejection_time_jitter = absl::ZeroDuration();
  uint32_t max_ejection_percent = 10;
  bool always_eject_one_host = false;  // even if that is more than max_ejection_percent

  // An endpoint whose success rate is below mean - factor / 1000 standard deviations of all.
  uint32_t success_rate_minimum_hosts = 5;
  uint32_t success_rate_request_volume = 100;
  uint32_t success_rate_stdev_factor = 1900;
  uint32_t enforcing_success_rate = 100;
  uint32_t enforcing_local_origin_success_rate = 100;
  // One of whose requests in an interval at least this percentage failed.
  uint32_t failure_percentage_threshold = 85;
  uint32_t failure_percentage_minimum_hosts = 5;
  uint32_t failure_percentage_request_volume = 50;
  uint32_t enforcing_failure_percentage = 0;
  uint32_t enforcing_failure_percentage_local_origin = 0;
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_OUTLIER_CONFIG_H_
