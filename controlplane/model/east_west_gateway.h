// Which workloads are a cluster's east-west gateways, and who they are to other clusters: one
// identity in each trust domain, so that a link needs to say nothing about it.
#ifndef WEFT_CONTROLPLANE_MODEL_EAST_WEST_GATEWAY_H_
#define WEFT_CONTROLPLANE_MODEL_EAST_WEST_GATEWAY_H_

#include <string>

#include "controlplane/model/world.h"

namespace weft {

inline constexpr char kGatewayNamespace[] = "weft-system";
inline constexpr char kGatewayServiceAccount[] = "weft-gateway";

inline bool IsEastWestGateway(const Workload& workload) {
  return workload.namespace_ == kGatewayNamespace &&
         workload.service_account == kGatewayServiceAccount;
}

// What follows the trust domain in its identity.
inline std::string GatewayPath() {
  return std::string("/ns/") + kGatewayNamespace + "/sa/" + kGatewayServiceAccount;
}

inline std::string GatewayIdentity(const std::string& trust_domain) {
  return "spiffe://" + trust_domain + GatewayPath();
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_EAST_WEST_GATEWAY_H_
