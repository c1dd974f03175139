// Route tables of a router: one for each port of plain HTTP, one for each server that ends HTTPS.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_ROUTER_ROUTES_H_
#define WEFT_CONTROLPLANE_TRANSLATE_ROUTER_ROUTES_H_

#include <string>

#include "controlplane/translate/destinations.h"
#include "controlplane/translate/resources.h"
#include "controlplane/translate/router_plan.h"

namespace weft {

// The table of a port of plain HTTP ("http.8080"), and of a server behind TLS.
std::string RouteTableOf(const RouterPort& port);
std::string RouteTableOf(const RouterPort& port, const RouterServer& server);

EncodedResources RouterRoutes(const RouteContext& context, const RouterPlan& plan);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_ROUTER_ROUTES_H_
