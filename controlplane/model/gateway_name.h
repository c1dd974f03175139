// What VirtualServices call a Gateway by.
#ifndef WEFT_CONTROLPLANE_MODEL_GATEWAY_NAME_H_
#define WEFT_CONTROLPLANE_MODEL_GATEWAY_NAME_H_

#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace weft {

// Not a Gateway, but all sidecars.
inline constexpr absl::string_view kMeshGateway = "mesh";

// Namespace and name: "name" is of the object's namespace, "namespace/name" and
// "name.namespace.svc.cluster.local" of the one they state.
inline std::pair<std::string, std::string> GatewayNameOf(absl::string_view reference,
                                                         absl::string_view object_namespace) {
  constexpr absl::string_view kSuffix = ".svc.cluster.local";
  const size_t slash = reference.find('/');
  if (slash != absl::string_view::npos) {
    return {std::string(reference.substr(0, slash)), std::string(reference.substr(slash + 1))};
  }
  const size_t dot = reference.find('.');
  if (dot != absl::string_view::npos && reference.size() > dot + 1 + kSuffix.size() &&
      reference.substr(reference.size() - kSuffix.size()) == kSuffix) {
    const size_t length = reference.size() - kSuffix.size() - dot - 1;
    return {std::string(reference.substr(dot + 1, length)), std::string(reference.substr(0, dot))};
  }
  return {std::string(object_namespace), std::string(reference)};
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_GATEWAY_NAME_H_
