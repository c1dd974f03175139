// How the requests of a cluster are shared among its priorities, by the health of each.
#ifndef WEFT_PROXY_DECIDE_PRIORITY_LOAD_H_
#define WEFT_PROXY_DECIDE_PRIORITY_LOAD_H_

#include <cstdint>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"

namespace weft {

struct PriorityHealth {
  uint64_t healthy = 0;
  uint64_t total = 0;
  uint64_t degraded = 0;
};

struct PriorityLoad {
  // By priority; together they sum to 100, or to 0 if nobody is healthy or degraded.
  absl::InlinedVector<uint32_t, 4> percent;   // to healthy endpoints
  absl::InlinedVector<uint32_t, 4> degraded;  // to degraded ones
  // All priorities together cannot carry the load: panic is possible.
  bool short_of_health = false;
};

// overprovisioning_factor in percent: at 140, a priority keeps all requests until fewer than 72% of
// its endpoints are healthy. Degraded endpoints get what all healthy ones together cannot carry.
PriorityLoad SharePriorities(absl::Span<const PriorityHealth> health,
                             uint32_t overprovisioning_factor);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_PRIORITY_LOAD_H_
