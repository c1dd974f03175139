// Which endpoints of a cluster with subsets a request may go to, as Envoy's subset load balancer.
#ifndef WEFT_PROXY_DECIDE_CHOOSE_SUBSET_H_
#define WEFT_PROXY_DECIDE_CHOOSE_SUBSET_H_

#include <cstddef>
#include <optional>

#include "proxy/config/cluster_config.h"

namespace weft {

struct SubsetChoice {
  // 0: all endpoints; else one more than the index in the EndpointSet's subsets. None: no endpoint
  // will do.
  std::optional<size_t> view;
  bool fallback = false;  // what the request wants is not there
};

// `criteria`: what the request wants, or null. Only for clusters with subsets.
SubsetChoice ChooseSubset(const ClusterConfig& cluster, const SubsetCriteria* criteria);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_CHOOSE_SUBSET_H_
