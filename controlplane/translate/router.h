// Resources of a router: a proxy of its own at the edge of the mesh, which takes what Gateways say
// it takes, and sends it where VirtualServices that are bound to them say.
//
// Clusters and assignments depend on the scope (RouterScopeOf) and are shared by routers alike; the
// listeners, routes and credentials are a router's own. Names are Istio's: listeners
// "0.0.0.0_PORT", route tables "http.PORT" and "https.PORT.NAME.GATEWAY.NAMESPACE".
#ifndef WEFT_CONTROLPLANE_TRANSLATE_ROUTER_H_
#define WEFT_CONTROLPLANE_TRANSLATE_ROUTER_H_

#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace weft {

Resources RouterSharedResources(const TranslationIndex& index, const OutboundScope& scope);
// `scope` is RouterScopeOf(index, view).
Resources RouterOwnResources(const TranslationIndex& index, const ProxyView& view,
                             const OutboundScope& scope);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_ROUTER_H_
