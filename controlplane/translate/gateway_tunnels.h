// The east-west gateway's part of tunnels (api/weft/tunnel.proto): what it takes on port 15008,
// what it dials where its cluster cannot be dialed, and how our own clients reach such clusters.
//
// A tunnel leads to the cluster that is named as its authority is, as SNI does at 15443, so the
// same clusters serve both, and a name without one is answered 404. Only clients of our own trust
// domain get through to other clusters: no linked cluster uses us to reach a third.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_GATEWAY_TUNNELS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_GATEWAY_TUNNELS_H_

#include <string>
#include <vector>

#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace weft {

// `scope` is the gateway's (GatewayScopeOf).
EncodedResources TunnelListeners(const TranslationIndex& index, const OutboundScope& scope);

// The service's clusters in peers that nobody can dial, where it has pods there, under the local
// name or that in the cluster set.
EncodedResources ReverseClusters(const TranslationIndex& index, const OutboundScope& scope,
                                 const Service& service);
// All names that these may have.
std::vector<std::string> ReverseNames(const TranslationIndex& index, const Service& service);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_GATEWAY_TUNNELS_H_
