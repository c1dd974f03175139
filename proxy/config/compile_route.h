// From a Route message to Route. Only compile_*.cc include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_ROUTE_H_
#define WEFT_PROXY_CONFIG_COMPILE_ROUTE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "api/envoy/route.pb.h"
#include "proxy/config/fields.h"
#include "proxy/config/route_table.h"
#include "proxy/config/secrets.h"

namespace weft {

absl::StatusOr<Route> CompileRoute(const envoy::config::route::v3::Route& from,
                                   const Secrets& secrets);

absl::StatusOr<RouteMatch> CompileRouteMatch(const envoy::config::route::v3::RouteMatch& from,
                                             const RuntimeValues& runtime);

absl::StatusOr<ForwardAction> CompileForwardAction(
    const envoy::config::route::v3::RouteAction& from, const Secrets& secrets);

absl::StatusOr<std::vector<RequestMirror>> CompileMirrors(
    const google::protobuf::RepeatedPtrField<
        envoy::config::route::v3::RouteAction::RequestMirrorPolicy>& from,
    const RuntimeValues& runtime);

// Its bytes: inline, of a file, or of an environment variable.
absl::StatusOr<std::string> CompileDataSource(const envoy::config::core::v3::DataSource& from,
                                              const Secrets& secrets);

absl::StatusOr<HeaderToAdd> CompileHeaderToAdd(
    const envoy::config::core::v3::HeaderValueOption& from);
// A name to remove, in lower case. Pseudo-headers and Host cannot be removed.
absl::StatusOr<std::string> CompileHeaderToRemove(const std::string& from);

// The mutations that routes, virtual hosts, route configurations and weighted clusters all have
// under the same names, onto the end of `request` and `response`.
template <typename Message>
absl::Status CompileHeaderMutations(const Message& from, HeaderMutations& request,
                                    HeaderMutations& response) {
  absl::Status status = CompileEach("request_headers_to_add", from.request_headers_to_add(),
                                    request.add, CompileHeaderToAdd);
  if (!status.ok()) return status;
  status = CompileEach("response_headers_to_add", from.response_headers_to_add(), response.add,
                       CompileHeaderToAdd);
  if (!status.ok()) return status;
  status = CompileEach("request_headers_to_remove", from.request_headers_to_remove(),
                       request.remove, CompileHeaderToRemove);
  if (!status.ok()) return status;
  return CompileEach("response_headers_to_remove", from.response_headers_to_remove(),
                     response.remove, CompileHeaderToRemove);
}

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_ROUTE_H_
