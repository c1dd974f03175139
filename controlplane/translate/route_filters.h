// What a VirtualService's route injects and allows: faults and cross-origin requests. The filters
// stand in every outbound connection manager and do nothing; routes give them their orders.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_ROUTE_FILTERS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_ROUTE_FILTERS_H_

namespace envoy::config::route::v3 {
class Route;
}  // namespace envoy::config::route::v3
namespace envoy::extensions::filters::network::http_connection_manager::v3 {
class HttpConnectionManager;
}  // namespace envoy::extensions::filters::network::http_connection_manager::v3
namespace istio::networking::v1alpha3 {
class HTTPRoute;
}  // namespace istio::networking::v1alpha3

namespace weft {

// Before the router, which is there already: CORS, so that a fault's response has its headers too,
// then faults.
void AddRouteFilters(
    envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager& http);

// `fault` and `corsPolicy` of the route.
void SetRouteFilters(const istio::networking::v1alpha3::HTTPRoute& from,
                     envoy::config::route::v3::Route& to);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_ROUTE_FILTERS_H_
