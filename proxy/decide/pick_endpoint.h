// Which endpoint of a cluster a request goes to. Pure but for the round robin's turn in
// ClusterLoad: time and randomness are arguments.
//
// Endpoints are ranked by what is known of them: stated healthy and reachable; stated unhealthy;
// already tried by this request; not reached lately (ClusterLoad). Only the best rank there is in
// any priority is considered, so a retry goes to another endpoint, in another priority if need be,
// and one that cannot be reached is skipped as long as any other is left.
//
// Among those of the best rank, as Envoy: the share of a priority is its healthy percentage times
// the overprovisioning factor, the rest spills over to the next; when no priority has enough and
// less than the panic threshold of one is stated healthy, the statements are disregarded there;
// localities share by weight if the cluster says so; then the cluster's policy. An endpoint of
// weight w gets w shares under every policy. A gateway counts as the pods behind it (fanout).
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
};

// The index in cluster.endpoints->endpoints, and in `load` (which adopts these endpoints first).
// nullopt: the cluster has no endpoint, or all are stated unhealthy and it must not panic.
// Not for kOriginalDst, which goes where the client wanted to.
std::optional<size_t> PickEndpoint(const ClusterConfig& cluster, ClusterLoad& load,
                                   const PickFacts& facts);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_PICK_ENDPOINT_H_
