// The type URLs of the xDS resources that Weft speaks.
#ifndef WEFT_API_ENVOY_TYPE_URLS_H_
#define WEFT_API_ENVOY_TYPE_URLS_H_

#include "absl/strings/string_view.h"

namespace weft {

inline constexpr absl::string_view kClusterType =
    "type.googleapis.com/envoy.config.cluster.v3.Cluster";
inline constexpr absl::string_view kEndpointType =
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
inline constexpr absl::string_view kListenerType =
    "type.googleapis.com/envoy.config.listener.v3.Listener";
inline constexpr absl::string_view kRouteType =
    "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
inline constexpr absl::string_view kSecretType =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
inline constexpr absl::string_view kNameTableType =
    "type.googleapis.com/istio.networking.nds.v1.NameTable";

}  // namespace weft

#endif  // WEFT_API_ENVOY_TYPE_URLS_H_
