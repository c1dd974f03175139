// From a ClusterLoadAssignment to an EndpointSet. Only compile_*.cc include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_ENDPOINTS_H_
#define WEFT_PROXY_CONFIG_COMPILE_ENDPOINTS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "api/envoy/endpoint.pb.h"
#include "proxy/config/cluster_config.h"

namespace weft {

// `cluster` says of which type the addresses are and which transport socket each endpoint gets.
absl::StatusOr<std::shared_ptr<EndpointSet>> CompileEndpoints(
    const envoy::config::endpoint::v3::ClusterLoadAssignment& from, const ClusterConfig& cluster);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_ENDPOINTS_H_
