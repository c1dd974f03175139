// The subsets of a cluster: which endpoints have which values of the keys that its selectors name.
// Pure; made again with each set of endpoints.
#ifndef WEFT_PROXY_CONFIG_SUBSETS_H_
#define WEFT_PROXY_CONFIG_SUBSETS_H_

#include <memory>

#include "proxy/config/cluster_config.h"

namespace weft {

// `cluster` has subsets.
std::shared_ptr<const Subsets> MakeSubsets(const ClusterConfig& cluster, const EndpointSet& set);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_SUBSETS_H_
