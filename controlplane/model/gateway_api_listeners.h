// The listeners of our Gateways: which of them serve, and as what. A part of gateway_api.h. For .cc
// files only: it includes generated headers.
#ifndef WEFT_CONTROLPLANE_MODEL_GATEWAY_API_LISTENERS_H_
#define WEFT_CONTROLPLANE_MODEL_GATEWAY_API_LISTENERS_H_

#include <memory>
#include <string>
#include <vector>

#include "api/istio/networking.pb.h"
#include "api/kubernetes/gateway.pb.h"
#include "controlplane/model/gateway_api_rules.h"
#include "controlplane/model/gateway_api_status.h"
#include "controlplane/model/world.h"

namespace weft {

using GatewayApiGateway = Config<kubernetes::GatewaySpec>;

struct ConvertedListener {
  const GatewayApiGateway* gateway;
  const kubernetes::GatewayListener* listener;
  std::vector<std::string> kinds;  // of routes that may be attached
  // Null: it is invalid, and serves nobody.
  std::shared_ptr<istio::networking::v1alpha3::Server> server;
  ListenerStatus status;

  // Of the Gateway of Istio's that it becomes: "NAME~LISTENER", which is no name of Kubernetes'.
  std::string name() const { return gateway->key.name + "~" + listener->name(); }
  // "*" if it has none.
  std::string hostname() const { return listener->hostname().empty() ? "*" : listener->hostname(); }
};

// Those of one Gateway, in its order.
std::vector<ConvertedListener> ConvertListeners(const World& world, const Backends& references,
                                                const GatewayApiGateway& gateway);

// Whether routes of the namespace may be attached.
bool AdmitsNamespace(const World& world, const ConvertedListener& listener,
                     const std::string& route_namespace);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_GATEWAY_API_LISTENERS_H_
