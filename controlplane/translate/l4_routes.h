// A VirtualService's routes for connections, by where they go and by the server name of their TLS,
// as filter chains of the listener that takes a service's connections.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_L4_ROUTES_H_
#define WEFT_CONTROLPLANE_TRANSLATE_L4_ROUTES_H_

#include <string>

#include "controlplane/translate/destinations.h"

namespace envoy::config::listener::v3 {
class Listener;
}  // namespace envoy::config::listener::v3

namespace weft {

// Adds the chains for connections to the listener's address, as those to the port: `tls` routes
// where it carries TLS, then `tcp` routes, then all else to cluster `own`. A share that leads
// nowhere goes to the black hole.
void AddConnectionRoutes(const RouteContext& context, const Service& service,
                         const ServicePort& port, const std::string& own,
                         envoy::config::listener::v3::Listener& listener);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_L4_ROUTES_H_
