// GatewayApiClaim: whose a Gateway API object is, by what it names. So much can be said of one that
// cannot be used, too, and that its status has to tell of. Pure.
#ifndef WEFT_CONTROLPLANE_STATUS_GATEWAY_API_CLAIM_H_
#define WEFT_CONTROLPLANE_STATUS_GATEWAY_API_CLAIM_H_

#include <map>
#include <string>
#include <vector>

#include "api/yaml/document.h"
#include "controlplane/model/gateway_api_status.h"

namespace weft {

// As the model names kinds.
inline constexpr char kGatewayApiClass[] = "GatewayClass";
inline constexpr char kGatewayApiGateway[] = "Gateway.gateway.networking.k8s.io";
bool IsGatewayApiRoute(const std::string& kind);

struct GatewayApiClaim {
  std::string controller;                  // of a GatewayClass
  std::string gateway_class;               // of a Gateway
  std::vector<RouteParentStatus> parents;  // of a route: what it names, and nothing else
};
GatewayApiClaim ReadGatewayApiClaim(const YamlNode& spec);

// What the status of `key` says then, by what is said of the other objects: that it is refused, to
// whoever it is ours for; nothing if it is not ours. What it served before goes on.
GatewayApiStatus RefusedStatus(const ObjectKey& key, int64_t generation,
                               const GatewayApiClaim& claim,
                               const std::map<ObjectKey, GatewayApiStatus>& known,
                               const std::string& why);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_GATEWAY_API_CLAIM_H_
