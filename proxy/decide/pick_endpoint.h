// Which endpoint of a cluster a request goes to. Pure but for what ClusterLoad keeps: time and
// randomness are arguments.
//
// As Envoy, in this order. The subset, if the cluster has any (choose_subset.h). The priority: its
// share is its healthy percentage times the overprovisioning factor, the rest spills over to the
// next; degraded endpoints get what the healthy ones of all priorities cannot carry. When all
// together have not enough and less than the panic threshold of a priority is healthy, health is
// disregarded there. The locality, by weight or by zone, if the cluster says so. Then the cluster's
// policy; an endpoint of weight w gets w shares under every policy. A gateway counts as the pods
// behind it (fanout).
//
// Beyond Envoy: an endpoint that this worker could not reach lately is passed by as long as any
// other is well, in whatever priority; and a retry goes to one that was not tried, in another
// priority if need be, as long as one is well.
//
// kLeastRequest is the power of two choices: of two that are drawn the one that is expected to be
// done sooner, by how long it takes lately (PeakEwma) and how many it has under way.
//
// What depends on all endpoints is in the PickTable, made when something changes. A pick itself
// costs the same for two endpoints and, but for a binary search over weights, for a thousand.
#ifndef WEFT_PROXY_DECIDE_PICK_ENDPOINT_H_
#define WEFT_PROXY_DECIDE_PICK_ENDPOINT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "proxy/config/cluster_config.h"
#include "proxy/decide/cluster_load.h"

namespace weft {

struct PickFacts {
  uint64_t random = 0;
  absl::Duration now = absl::ZeroDuration();  // MonotonicTime
  std::optional<uint64_t> hash =
      std::nullopt;  // of the route's hash policies, if any of them gave one
  // The loads of the endpoints that earlier attempts of the request took.
  absl::Span<const std::shared_ptr<EndpointLoad>> tried = {};
  const SubsetCriteria* subset = nullptr;  // what the route wants; null: nothing
  const LocalZones* zones = nullptr;       // null: not known
};

struct PickedEndpoint {
  // In cluster.endpoints->endpoints, and in `load`. None: the cluster (or subset) has no endpoint,
  // or all are unhealthy and it must not panic.
  std::optional<size_t> index;
  bool panic = false;  // health was disregarded
  enum class Subset : uint8_t { kNone, kSelected, kFallback } subset = Subset::kNone;
};

// `load` adopts the endpoints first, and judges outliers if it is time. Not for kOriginalDst, which
// goes where the client wanted to.
PickedEndpoint PickEndpointWithReason(const ClusterConfig& cluster, ClusterLoad& load,
                                      const PickFacts& facts);

inline std::optional<size_t> PickEndpoint(const ClusterConfig& cluster, ClusterLoad& load,
                                          const PickFacts& facts) {
  return PickEndpointWithReason(cluster, load, facts).index;
}

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_PICK_ENDPOINT_H_
