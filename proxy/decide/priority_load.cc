#include "proxy/decide/priority_load.h"

#include <algorithm>

namespace weft {

PriorityLoad SharePriorities(absl::Span<const PriorityHealth> health,
                             uint32_t overprovisioning_factor) {
  absl::InlinedVector<uint64_t, 4> capacity;  // percent of all requests that it could carry
  uint64_t total = 0;
  for (const PriorityHealth& one : health) {
    const uint64_t percent =
        one.total == 0 ? 0
                       : std::min<uint64_t>(100, one.healthy * overprovisioning_factor / one.total);
    capacity.push_back(percent);
    total += percent;
  }
  PriorityLoad load;
  load.percent.resize(health.size(), 0);
  load.short_of_health = total < 100;
  if (total == 0) return load;
  // If all together carry less than everything, each takes more than its capacity, in proportion.
  const uint64_t norm = std::min<uint64_t>(total, 100);
  uint32_t left = 100;
  size_t first = health.size();
  for (size_t i = 0; i < capacity.size(); ++i) {
    const auto share = static_cast<uint32_t>(std::min<uint64_t>(left, capacity[i] * 100 / norm));
    load.percent[i] = share;
    left -= share;
    if (share > 0 && first == health.size()) first = i;
  }
  if (first < health.size()) load.percent[first] += left;  // what rounding left over
  return load;
}

}  // namespace weft
