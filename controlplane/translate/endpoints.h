// Assignments: which places answer for a cluster, how near they are, and how much each may take.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_ENDPOINTS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_ENDPOINTS_H_

#include <vector>

#include "controlplane/translate/clusters.h"
#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace envoy::config::endpoint::v3 {
class ClusterLoadAssignment;
}  // namespace envoy::config::endpoint::v3

namespace weft {

// The places of one cluster, for sidecars.
envoy::config::endpoint::v3::ClusterLoadAssignment AssignmentFor(const TranslationIndex& index,
                                                                 const OutboundScope& scope,
                                                                 const OutboundCluster& cluster);

// One assignment per cluster that has endpoints, also where there is none to assign.
EncodedResources OutboundEndpoints(const TranslationIndex& index, const OutboundScope& scope,
                                   const std::vector<OutboundCluster>& list);

// The same for clients that speak no mesh TLS: pods of this cluster only, each as it is, and always
// a locality, as gRPC's clients refuse an assignment without one.
EncodedResources PlainEndpoints(const TranslationIndex& index, const OutboundScope& scope,
                                const std::vector<OutboundCluster>& list);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_ENDPOINTS_H_
