#include "controlplane/translate/router.h"

#include <vector>

#include "controlplane/translate/clusters.h"
#include "controlplane/translate/endpoints.h"
#include "controlplane/translate/gateway.h"
#include "controlplane/translate/router_credentials.h"
#include "controlplane/translate/router_listeners.h"
#include "controlplane/translate/router_plan.h"
#include "controlplane/translate/router_routes.h"
#include "controlplane/translate/secrets.h"
#include "controlplane/translate/sidecar_scope.h"
#include "controlplane/translate/translate.h"

namespace weft {
Resources RouterSharedResources(const TranslationIndex& index, const OutboundScope& scope) {
  const VisibleServices services(index, scope);
  const AppliedRules rules = RulesFor(index, scope, services);
  std::vector<OutboundCluster> clusters = ListOutboundClusters(services, rules);
  // Nobody dials a pod of their choice through a router.
  std::erase_if(clusters, [](const OutboundCluster& cluster) { return cluster.own_choice; });
  Resources resources;
  resources.clusters = OutboundClusters(index, scope, clusters);
  resources.endpoints = OutboundEndpoints(index, scope, clusters);
  resources.secrets = TrustSecrets(index.world());
  AddCredentials(index, scope, clusters, resources.secrets);
  if (!scope.by_server_name) return resources;
  for (const auto& [key, service] : index.world().services) {
    AddResources(GatewayServiceResources(index, scope, *service), resources);
  }
  return resources;
}

Resources RouterOwnResources(const TranslationIndex& index, const ProxyView& view,
                             const OutboundScope& scope) {
  const VisibleServices services(index, scope);
  const AppliedRules rules = RulesFor(index, scope, services);
  const RouteContext context{index, scope, rules, services};
  const RouterPlan plan = PlanRouter(index, view);
  Resources resources;
  resources.listeners = RouterListeners(context, view, plan);
  resources.routes = RouterRoutes(context, plan);
  for (const RouterPort& port : plan.ports) {
    for (const RouterServer& server : port.servers) {
      AddSecrets(index.world(), server.credentials, resources.secrets);
    }
  }
  return resources;
}

}  // namespace weft
