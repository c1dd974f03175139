#include "proxy/decide/priority_load.h"

#include <algorithm>

namespace weft {
namespace {

using Percents = absl::InlinedVector<uint64_t, 4>;

// Percent of all requests that so many of a priority's endpoints could carry.
uint64_t Capacity(uint64_t endpoints, uint64_t total, uint32_t overprovisioning_factor) {
  return total == 0 ? 0 : std::min<uint64_t>(100, endpoints * overprovisioning_factor / total);
}

// Gives out of `left`, nearest priority first; `norm` is what makes all capacities together 100.
void Share(const Percents& capacity, uint64_t norm, uint32_t& left,
           absl::InlinedVector<uint32_t, 4>& to) {
  for (size_t i = 0; i < capacity.size(); ++i) {
    to[i] = static_cast<uint32_t>(std::min<uint64_t>(left, capacity[i] * 100 / norm));
    left -= to[i];
  }
}

// Gives what rounding left over to the first that has something.
void GiveRest(uint32_t& left, absl::InlinedVector<uint32_t, 4>& to) {
  for (uint32_t& one : to) {
    if (one == 0) continue;
    one += left;
    left = 0;
    return;
  }
}

}  // namespace

PriorityLoad SharePriorities(absl::Span<const PriorityHealth> health,
                             uint32_t overprovisioning_factor) {
  Percents healthy;
  Percents degraded;
  uint64_t total = 0;
  for (const PriorityHealth& one : health) {
    healthy.push_back(Capacity(one.healthy, one.total, overprovisioning_factor));
    degraded.push_back(Capacity(one.degraded, one.total, overprovisioning_factor));
    total += std::min<uint64_t>(100, healthy.back() + degraded.back());
  }
  PriorityLoad load;
  load.percent.resize(health.size(), 0);
  load.degraded.resize(health.size(), 0);
  load.short_of_health = total < 100;
  if (total == 0) return load;
  // If all together carry less than everything, each takes more than its capacity, in proportion.
  const uint64_t norm = std::min<uint64_t>(total, 100);
  uint32_t left = 100;
  Share(healthy, norm, left, load.percent);
  Share(degraded, norm, left, load.degraded);
  GiveRest(left, load.percent);
  GiveRest(left, load.degraded);
  return load;
}

}  // namespace weft
