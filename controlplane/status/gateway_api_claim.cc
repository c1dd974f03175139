#include "controlplane/status/gateway_api_claim.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace weft {
namespace {

using Statuses = std::map<ObjectKey, GatewayApiStatus>;

// A Service is everybody's: whoever has sidecars routes to it.
bool IsOurs(const RouteParentStatus& parent, const std::string& route_namespace,
            const Statuses& known) {
  if (parent.kind == "Service") return true;
  if (!parent.kind.empty() && parent.kind != "Gateway") return false;
  const std::string& name_space = parent.namespace_.empty() ? route_namespace : parent.namespace_;
  return known.contains({kGatewayApiGateway, name_space, parent.name});
}

// Sets the one of its type.
void SetCondition(GatewayApiCondition condition, GatewayApiConditions& conditions) {
  const auto found = std::find_if(conditions.begin(), conditions.end(),
                                  [&](const auto& one) { return one.type == condition.type; });
  if (found == conditions.end()) {
    conditions.push_back(std::move(condition));
  } else {
    *found = std::move(condition);
  }
}

}  // namespace

bool IsGatewayApiRoute(const std::string& kind) {
  return absl::EndsWith(kind, "Route.gateway.networking.k8s.io");
}

GatewayApiClaim ReadGatewayApiClaim(const YamlNode& spec) {
  GatewayApiClaim claim;
  claim.controller = std::string(spec["controllerName"].Scalar());
  claim.gateway_class = std::string(spec["gatewayClassName"].Scalar());
  for (const YamlNode from : spec["parentRefs"]) {
    RouteParentStatus& parent = claim.parents.emplace_back();
    parent.group = std::string(from["group"].Scalar());
    parent.kind = std::string(from["kind"].Scalar());
    parent.namespace_ = std::string(from["namespace"].Scalar());
    parent.name = std::string(from["name"].Scalar());
    parent.section_name = std::string(from["sectionName"].Scalar());
    if (!absl::SimpleAtoi(from["port"].Scalar(), &parent.port)) parent.port = 0;
  }
  return claim;
}

GatewayApiStatus RefusedStatus(const ObjectKey& key, int64_t generation,
                               const GatewayApiClaim& claim, const Statuses& known,
                               const std::string& why) {
  GatewayApiStatus status;
  if (const auto served = known.find(key); served != known.end()) status = served->second;
  status.key = key;
  status.generation = generation;
  if (IsGatewayApiRoute(key.kind)) {
    status.parents.clear();
    for (const RouteParentStatus& parent : claim.parents) {
      if (!IsOurs(parent, key.namespace_, known)) continue;
      status.parents.push_back(parent);
      status.parents.back().conditions = {{"Accepted", false, "UnsupportedValue", why}};
    }
  } else if (key.kind == kGatewayApiClass && claim.controller == kGatewayController) {
    SetCondition({"Accepted", false, "Unsupported", why}, status.conditions);
  } else if (known.contains({kGatewayApiClass, "", claim.gateway_class})) {
    SetCondition({"Accepted", false, "Invalid", why}, status.conditions);
    if (!known.contains(key)) SetCondition({"Programmed", false, "Invalid"}, status.conditions);
  }
  return status;
}

}  // namespace weft
