// Route configurations of a sidecar's outbound listeners: one per HTTP port, a virtual host per
// service on it.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_ROUTES_H_
#define WEFT_CONTROLPLANE_TRANSLATE_ROUTES_H_

#include "controlplane/translate/destinations.h"
#include "controlplane/translate/resources.h"

namespace weft {

EncodedResources OutboundRoutes(const RouteContext& context);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_ROUTES_H_
