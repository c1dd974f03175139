// What a Cluster says of balancing and limits. Only compile_*.cc include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_BALANCING_H_
#define WEFT_PROXY_CONFIG_COMPILE_BALANCING_H_

#include "absl/status/status.h"
#include "api/envoy/cluster.pb.h"
#include "proxy/config/cluster_config.h"

namespace weft {

// The policy and its settings, common_lb_config and the subsets.
absl::Status CompileBalancing(const envoy::config::cluster::v3::Cluster& from, ClusterConfig& to);

absl::Status CompileCircuitBreakers(const envoy::config::cluster::v3::CircuitBreakers& from,
                                    ClusterConfig& to);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_BALANCING_H_
