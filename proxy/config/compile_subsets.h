// From lb_subset_config to a SubsetConfig. Only compile_*.cc include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_SUBSETS_H_
#define WEFT_PROXY_CONFIG_COMPILE_SUBSETS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "api/envoy/cluster.pb.h"
#include "proxy/config/cluster_config.h"

namespace weft {

absl::StatusOr<std::shared_ptr<const SubsetConfig>> CompileSubsets(
    const envoy::config::cluster::v3::Cluster::LbSubsetConfig& from);

// The "envoy.lb" metadata of each, the most specific first (that of a weighted cluster, then that
// of its route): of two values of one key the first counts.
SubsetCriteria CompileSubsetCriteria(
    absl::Span<const envoy::config::core::v3::Metadata* const> metadata);

// The "envoy.lb" metadata of an endpoint; null if it has none.
std::shared_ptr<const EndpointLabels> CompileLabels(
    const envoy::config::core::v3::Metadata& metadata, const SubsetConfig& subsets);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_SUBSETS_H_
