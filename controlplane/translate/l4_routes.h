// A VirtualService's routes for connections, by where they go and by the server name of their TLS,
// as filter chains of the listener that takes a service's connections.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_L4_ROUTES_H_
#define WEFT_CONTROLPLANE_TRANSLATE_L4_ROUTES_H_

#include <string>
#include <vector>

#include "controlplane/translate/destinations.h"

namespace envoy::config::listener::v3 {
class Filter;
class FilterChain;
class Listener;
}  // namespace envoy::config::listener::v3
namespace google::protobuf {
template <typename Element>
class RepeatedPtrField;
}  // namespace google::protobuf
namespace istio::networking::v1alpha3 {
class RouteDestination;
}  // namespace istio::networking::v1alpha3

namespace weft {

// The chains for connections to an address, as those to the port: `tls` routes where it carries
// TLS, then `tcp` routes, then all else to cluster `own`. No two match the same. A share that leads
// nowhere goes to the black hole.
std::vector<envoy::config::listener::v3::FilterChain> ConnectionChains(const RouteContext& context,
                                                                       const Service& service,
                                                                       const ServicePort& port,
                                                                       const std::string& own,
                                                                       const std::string& address);

// What carries connections to the destinations of one route of an object of this namespace; `port`
// is the one that was dialed, `of_several` the policy of connections where there is more than one
// destination. A share that leads nowhere goes to the black hole.
envoy::config::listener::v3::Filter TcpRouteFilter(
    const RouteContext& context,
    const google::protobuf::RepeatedPtrField<istio::networking::v1alpha3::RouteDestination>&
        destinations,
    absl::string_view object_namespace, uint16_t port, const std::string& stat_prefix,
    const Policy& of_several);

// Has the listener look for TLS and its server name: what chains of `tls` routes match by.
void InspectTls(envoy::config::listener::v3::Listener& listener);

// Adds the chains for the listener's address.
void AddConnectionRoutes(const RouteContext& context, const Service& service,
                         const ServicePort& port, const std::string& own,
                         envoy::config::listener::v3::Listener& listener);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_L4_ROUTES_H_
