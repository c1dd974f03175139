// What is to be said in the status of Gateway API objects, and of ServiceExports, as values. Who
// writes it to an API server adds the times; conditions here are complete, so that what is missing
// there is to be removed.
#ifndef WEFT_CONTROLPLANE_MODEL_GATEWAY_API_STATUS_H_
#define WEFT_CONTROLPLANE_MODEL_GATEWAY_API_STATUS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/model/world.h"

namespace weft {

// In GatewayClass.spec.controllerName, and in each route's status.parents[].controllerName.
inline constexpr char kGatewayController[] = "weft.io/gateway-controller";

struct GatewayApiCondition {
  std::string type;    // Accepted, Programmed, ResolvedRefs, Conflicted; Valid, Ready, Conflict
  bool status = true;  // "True" or "False"
  std::string reason;
  std::string message = {};

  friend bool operator==(const GatewayApiCondition&, const GatewayApiCondition&) = default;
};
using GatewayApiConditions = std::vector<GatewayApiCondition>;

struct ListenerStatus {
  std::string name;
  int attached_routes = 0;
  std::vector<std::string> supported_kinds = {};  // of this API's group
  GatewayApiConditions conditions = {};

  friend bool operator==(const ListenerStatus&, const ListenerStatus&) = default;
};

// One of status.parents; the reference is as the route has it.
struct RouteParentStatus {
  std::string group;
  std::string kind;
  std::string namespace_;
  std::string name;
  std::string section_name;
  int port = 0;  // 0: none
  GatewayApiConditions conditions = {};

  friend bool operator==(const RouteParentStatus&, const RouteParentStatus&) = default;
};

struct GatewayApiStatus {
  ObjectKey key;
  int64_t generation = 0;                       // observedGeneration of each condition
  GatewayApiConditions conditions = {};         // of a GatewayClass, Gateway or ServiceExport
  std::vector<std::string> addresses = {};      // of a Gateway: IPs and host names
  std::vector<ListenerStatus> listeners = {};   // of a Gateway
  std::vector<RouteParentStatus> parents = {};  // of a route: those that are ours

  friend bool operator==(const GatewayApiStatus&, const GatewayApiStatus&) = default;
};

// "Accepted=False NoMatchingParent: …", for messages and tests.
std::string ToString(const GatewayApiCondition& condition);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_GATEWAY_API_STATUS_H_
