// OutlierCounters: what outlier detection found in one cluster. Names follow Envoy's statistics,
// "outlier_detection." before them.
#ifndef WEFT_PROXY_TELEMETRY_OUTLIER_COUNTERS_H_
#define WEFT_PROXY_TELEMETRY_OUTLIER_COUNTERS_H_

#include <cstdint>

namespace weft {

struct OutlierCounters {
  struct Kind {
    uint64_t detected = 0;
    uint64_t enforced = 0;

    void Add(const Kind& other) {
      detected += other.detected;
      enforced += other.enforced;
    }
  };

  // ejections_detected_X and ejections_enforced_X.
  Kind consecutive_5xx;
  Kind consecutive_gateway_failure;
  Kind consecutive_local_origin_failure;
  Kind success_rate;
  Kind local_origin_success_rate;
  Kind failure_percentage;
  Kind local_origin_failure_percentage;
  uint64_t ejections_enforced_total = 0;
  uint64_t ejections_active = 0;  // a gauge; each worker counts its own
  uint64_t ejections_overflow = 0;

  void Add(const OutlierCounters& other) {
    consecutive_5xx.Add(other.consecutive_5xx);
    consecutive_gateway_failure.Add(other.consecutive_gateway_failure);
    consecutive_local_origin_failure.Add(other.consecutive_local_origin_failure);
    success_rate.Add(other.success_rate);
    local_origin_success_rate.Add(other.local_origin_success_rate);
    failure_percentage.Add(other.failure_percentage);
    local_origin_failure_percentage.Add(other.local_origin_failure_percentage);
    ejections_enforced_total += other.ejections_enforced_total;
    ejections_active += other.ejections_active;
    ejections_overflow += other.ejections_overflow;
  }
};

}  // namespace weft

#endif  // WEFT_PROXY_TELEMETRY_OUTLIER_COUNTERS_H_
