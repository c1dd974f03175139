// How config that proxies get tells which object it was made of: as Istio does, whose tools show
// it, in metadata under "istio", as `config`:
//   /apis/networking.istio.io/v1alpha3/namespaces/shop/virtual-service/web
//   /apis/gateway.networking.k8s.io/v1/namespaces/shop/httproute/web
#ifndef WEFT_CONTROLPLANE_MODEL_CONFIG_PATH_H_
#define WEFT_CONTROLPLANE_MODEL_CONFIG_PATH_H_

#include <string>

#include "controlplane/model/world.h"

namespace weft {

inline constexpr char kConfigPathFilter[] = "istio";
inline constexpr char kConfigPathField[] = "config";

// Of a VirtualService, or a route of the Gateway API.
std::string ConfigPath(const ObjectKey& key);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_CONFIG_PATH_H_
