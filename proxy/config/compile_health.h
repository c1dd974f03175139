// What a Cluster says of the health of its endpoints: checks and outliers. Only compile_*.cc
// include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_HEALTH_H_
#define WEFT_PROXY_CONFIG_COMPILE_HEALTH_H_

#include <memory>

#include "absl/status/statusor.h"
#include "api/envoy/cluster.pb.h"
#include "proxy/config/cluster_config.h"

namespace weft {

absl::StatusOr<std::shared_ptr<const OutlierConfig>> CompileOutlier(
    const envoy::config::cluster::v3::OutlierDetection& from);

absl::StatusOr<std::shared_ptr<const HealthCheckConfig>> CompileHealthCheck(
    const envoy::config::core::v3::HealthCheck& from);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_HEALTH_H_
