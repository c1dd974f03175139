// What becomes of connections and requests to places that a client is told nothing of.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_UNKNOWN_DESTINATIONS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_UNKNOWN_DESTINATIONS_H_

#include <string>

#include "controlplane/translate/destinations.h"

namespace envoy::config::route::v3 {
class VirtualHost;
}  // namespace envoy::config::route::v3

namespace weft {

// They go on as they are, or to the Sidecar's egressProxy, or, with REGISTRY_ONLY, nowhere.
std::string UnknownCluster(const RouteContext& context);
// The virtual host for every authority that is no other's; 502 with REGISTRY_ONLY.
envoy::config::route::v3::VirtualHost UnknownHost(const RouteContext& context);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_UNKNOWN_DESTINATIONS_H_
