#include "controlplane/status/gateway_api_body.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/model/gateway_api_name.h"
#include "controlplane/status/conditions.h"
#include "controlplane/status/gateway_api_claim.h"
#include "proxy/net/address.h"

namespace weft {
namespace {

using Json = nlohmann::json;

// Of a reference: where the API has defaults, what it means.
std::string GroupOf(const RouteParentStatus& parent) {
  return parent.group.empty() && parent.kind != "Service" ? std::string(kGatewayApiGroup)
                                                          : parent.group;
}

Json ReferenceOf(const RouteParentStatus& parent) {
  Json reference = {{"group", GroupOf(parent)},
                    {"kind", parent.kind.empty() ? "Gateway" : parent.kind},
                    {"name", parent.name}};
  if (!parent.namespace_.empty()) reference["namespace"] = parent.namespace_;
  if (!parent.section_name.empty()) reference["sectionName"] = parent.section_name;
  if (parent.port != 0) reference["port"] = parent.port;
  return reference;
}

Json FieldOf(const Json& object, const char* field) {
  const auto found = object.is_object() ? object.find(field) : object.end();
  return found == object.end() ? Json() : *found;
}

Json ParentOf(const RouteParentStatus& parent, const Json& before, int64_t generation,
              absl::Time now) {
  return {{"parentRef", ReferenceOf(parent)},
          {"controllerName", kGatewayController},
          {"conditions",
           WithConditions(FieldOf(before, "conditions"), parent.conditions, generation, now)}};
}

Json ParentsOf(const Json& present, const GatewayApiStatus& wanted, absl::Time now) {
  Json parents = Json::array();
  std::vector<const RouteParentStatus*> left;
  for (const RouteParentStatus& parent : wanted.parents) left.push_back(&parent);
  const Json list = present.is_array() ? present : Json::array();
  for (const Json& one : list) {
    if (TextOf(one, "controllerName") != kGatewayController) {
      parents.push_back(one);
      continue;
    }
    const Json reference = FieldOf(one, "parentRef");
    const auto found = std::find_if(left.begin(), left.end(), [&](const auto* parent) {
      return reference == ReferenceOf(*parent);
    });
    if (found == left.end()) continue;  // the route does not name it any more
    parents.push_back(ParentOf(**found, one, wanted.generation, now));
    left.erase(found);
  }
  for (const RouteParentStatus* parent : left) {
    parents.push_back(ParentOf(*parent, Json(), wanted.generation, now));
  }
  return parents;
}

Json ListenersOf(const Json& present, const GatewayApiStatus& wanted, absl::Time now) {
  Json listeners = Json::array();
  const Json list = present.is_array() ? present : Json::array();
  for (const ListenerStatus& listener : wanted.listeners) {
    const auto before = std::find_if(list.begin(), list.end(), [&](const Json& one) {
      return TextOf(one, "name") == listener.name;
    });
    Json kinds = Json::array();
    for (const std::string& kind : listener.supported_kinds) {
      kinds.push_back({{"group", std::string(kGatewayApiGroup)}, {"kind", kind}});
    }
    const Json conditions = before == list.end() ? Json() : FieldOf(*before, "conditions");
    listeners.push_back(
        {{"name", listener.name},
         {"supportedKinds", std::move(kinds)},
         {"attachedRoutes", listener.attached_routes},
         {"conditions", WithConditions(conditions, listener.conditions, wanted.generation, now)}});
  }
  return listeners;
}

Json AddressesOf(const GatewayApiStatus& wanted) {
  Json addresses = Json::array();
  for (const std::string& address : wanted.addresses) {
    const bool ip = Address::Ip(address, 0).ok();
    addresses.push_back({{"type", ip ? "IPAddress" : "Hostname"}, {"value", address}});
  }
  return addresses;
}

}  // namespace

Json GatewayApiBody(const Json& present, const GatewayApiStatus& wanted, absl::Time now) {
  if (IsGatewayApiRoute(wanted.key.kind)) {
    return {{"parents", ParentsOf(FieldOf(present, "parents"), wanted, now)}};
  }
  Json body = {{"conditions", WithConditions(FieldOf(present, "conditions"), wanted.conditions,
                                             wanted.generation, now)}};
  if (wanted.key.kind == kGatewayApiGateway) {
    body["addresses"] = AddressesOf(wanted);
    body["listeners"] = ListenersOf(FieldOf(present, "listeners"), wanted, now);
  }
  return body;
}

}  // namespace weft
