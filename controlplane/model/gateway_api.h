// The kinds of the Gateway API as Istio's: a Gateway for each listener, a VirtualService for each
// host of it, with the rules of all routes that are attached in the order that the API demands. So
// there is one translation, of Istio's kinds.
//
// Gateways count if their class names our controller (kGatewayController). Their workloads carry
// the label gateway.networking.k8s.io/gateway-name in the Gateway's namespace, or stand behind the
// Services that spec.addresses names by Hostname. Routes whose parent is a Service are for
// sidecars. A backend that cannot be used answers 500 for its share. Pure.
#ifndef WEFT_CONTROLPLANE_MODEL_GATEWAY_API_H_
#define WEFT_CONTROLPLANE_MODEL_GATEWAY_API_H_

#include <vector>

#include "controlplane/model/gateway_api_status.h"
#include "controlplane/model/world.h"

namespace weft {

struct ConvertedGatewayApi {
  // Their keys have the kinds of what they were made of, and names that no user's object has.
  Configs<istio::networking::v1alpha3::Gateway> gateways;
  Configs<istio::networking::v1alpha3::VirtualService> virtual_services;
  // Of every object that is ours, in order of key.
  std::vector<GatewayApiStatus> statuses;
};
ConvertedGatewayApi ConvertGatewayApi(const World& world);

// Puts the Gateway API objects of one World after the other among its Gateways and VirtualServices.
// What has not changed since the World before is the same pointers.
class GatewayApiMerge {
 public:
  // Leaves world.gateway_api empty.
  void Apply(World& world);

  // Of the last World.
  const std::vector<GatewayApiStatus>& statuses() const { return converted_.statuses; }

 private:
  bool Holds(const World& world) const;

  World inputs_;  // of the last conversion, as far as it looks at them
  ConvertedGatewayApi converted_;
  Configs<istio::networking::v1alpha3::Gateway> gateways_;
  Configs<istio::networking::v1alpha3::VirtualService> virtual_services_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_GATEWAY_API_H_
