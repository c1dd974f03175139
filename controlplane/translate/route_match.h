// One condition block of a VirtualService's HTTP route as an xDS RouteMatch.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_ROUTE_MATCH_H_
#define WEFT_CONTROLPLANE_TRANSLATE_ROUTE_MATCH_H_

namespace envoy::config::route::v3 {
class RouteMatch;
}  // namespace envoy::config::route::v3
namespace envoy::type::matcher::v3 {
class StringMatcher;
}  // namespace envoy::type::matcher::v3
namespace istio::networking::v1alpha3 {
class HTTPMatchRequest;
class StringMatch;
}  // namespace istio::networking::v1alpha3

namespace weft {

// All conditions on the request itself; those on the client are decided before (MatchesClient).
// `whole_segments`: a prefix ends where a segment of the path does.
envoy::config::route::v3::RouteMatch RouteMatchOf(
    const istio::networking::v1alpha3::HTTPMatchRequest& match, bool whole_segments = false);

envoy::type::matcher::v3::StringMatcher StringMatcherOf(
    const istio::networking::v1alpha3::StringMatch& match);

// Matches every request.
envoy::config::route::v3::RouteMatch AnyRequest();
bool IsAnyRequest(const envoy::config::route::v3::RouteMatch& match);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_ROUTE_MATCH_H_
