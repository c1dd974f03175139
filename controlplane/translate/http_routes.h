// A VirtualService's HTTP routes as xDS routes, for one client and one port.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_HTTP_ROUTES_H_
#define WEFT_CONTROLPLANE_TRANSLATE_HTTP_ROUTES_H_

#include <string>
#include <vector>

#include "controlplane/translate/destinations.h"

namespace envoy::config::route::v3 {
class Route;
}  // namespace envoy::config::route::v3

namespace weft {

// In order of precedence; empty if no route of it is meant for this client and port. A route whose
// destinations all lead nowhere answers 503 itself; a share that leads nowhere goes to the black
// hole, so that the other shares stay what they are.
std::vector<envoy::config::route::v3::Route> HttpRoutes(
    const RouteContext& context, const TranslationIndex::VirtualServiceConfig& virtual_service,
    uint16_t port);

// All requests to one cluster, with the mesh's defaults (no timeout, retries).
envoy::config::route::v3::Route DefaultRoute(const std::string& cluster, const Policy& policy);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_HTTP_ROUTES_H_
