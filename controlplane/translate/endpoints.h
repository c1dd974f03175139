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

envoy::config::endpoint::v3::ClusterLoadAssignment AssignmentFor(const TranslationIndex& index,
                                                                 const Locality& client,
                                                                 const OutboundCluster& cluster);

// One assignment per cluster that has endpoints, also where there is none to assign.
EncodedResources OutboundEndpoints(const TranslationIndex& index, const Locality& client,
                                   const std::vector<OutboundCluster>& list);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_ENDPOINTS_H_
