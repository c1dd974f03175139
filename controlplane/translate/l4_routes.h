// A VirtualService's routes for connections, by where they go and by the server name of their TLS,
// as filter chains of the listener that takes a service's connections.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_L4_ROUTES_H_
#define WEFT_CONTROLPLANE_TRANSLATE_L4_ROUTES_H_

#include <string>
#include <vector>

#include "controlplane/translate/destinations.h"

namespace envoy::config::listener::v3 {
class FilterChain;
class Listener;
}  // namespace envoy::config::listener::v3

namespace weft {

// The chains for connections to an address, as those to the port: `tls` routes where it carries TLS,
// then `tcp` routes, then all else to cluster `own`. No two match the same. A share that leads
// nowhere goes to the black hole.
std::vector<envoy::config::listener::v3::FilterChain> ConnectionChains(const RouteContext& context,
                                                                       const Service& service,
                                                                       const ServicePort& port,
                                                                       const std::string& own,
                                                                       const std::string& address);

// Has the listener look for TLS and its server name: what chains of `tls` routes match by.
void InspectTls(envoy::config::listener::v3::Listener& listener);

// Adds the chains for the listener's address.
void AddConnectionRoutes(const RouteContext& context, const Service& service,
                         const ServicePort& port, const std::string& own,
                         envoy::config::listener::v3::Listener& listener);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_L4_ROUTES_H_
