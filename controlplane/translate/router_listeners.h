// Listeners of a router: one for each port; for TLS with a filter chain for each server, or for
// each route by server name where TLS passes through.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_ROUTER_LISTENERS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_ROUTER_LISTENERS_H_

#include "controlplane/translate/destinations.h"
#include "controlplane/translate/resources.h"
#include "controlplane/translate/router_plan.h"

namespace weft {

// A port without a chain (TCP that nothing routes) has no listener.
EncodedResources RouterListeners(const RouteContext& context, const ProxyView& view,
                                 const RouterPlan& plan);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_ROUTER_LISTENERS_H_
