#include "controlplane/translate/translate.h"

#include "controlplane/translate/clusters.h"
#include "controlplane/translate/destination_rule.h"
#include "controlplane/translate/endpoints.h"
#include "controlplane/translate/gateway.h"
#include "controlplane/translate/listeners_inbound.h"
#include "controlplane/translate/listeners_outbound.h"
#include "controlplane/translate/names.h"
#include "controlplane/translate/proxyless.h"
#include "controlplane/translate/router.h"
#include "controlplane/translate/router_plan.h"
#include "controlplane/translate/routes.h"
#include "controlplane/translate/secrets.h"
#include "controlplane/translate/sidecar_scope.h"

namespace weft {

Resources OutboundResources(const TranslationIndex& index, const OutboundScope& scope) {
  const VisibleServices services(index, scope);
  const AppliedRules rules = RulesFor(index, scope, services);
  const std::vector<OutboundCluster> clusters = ListOutboundClusters(services, rules);
  const RouteContext context{index, scope, rules, services};
  Resources resources;
  resources.clusters = OutboundClusters(index, scope, clusters);
  resources.endpoints = OutboundEndpoints(index, scope, clusters);
  resources.listeners = OutboundListeners(context);
  resources.routes = OutboundRoutes(context);
  resources.secrets = TrustSecrets(index.world());
  AddCredentials(index, scope, clusters, resources.secrets);
  resources.name_table = NameTableFor(index, scope, services);
  return resources;
}

Resources InboundResources(const TranslationIndex& index, const ProxyView& view) {
  Resources resources;
  resources.clusters = InboundClusters(index, view);
  resources.listeners = InboundListeners(index, view);
  return resources;
}

void AddResources(const Resources& more, Resources& to) {
  for (auto type : kAllResources) {
    if ((to.*type).empty()) {
      to.*type = more.*type;
    } else {
      (to.*type).insert((more.*type).begin(), (more.*type).end());
    }
  }
}

Resources Translate(const TranslationIndex& index, const ProxyView& view) {
  if (view.role == ProxyRole::kGateway) {
    return GatewayResources(index, GatewayScopeOf(index, view));
  }
  if (view.role == ProxyRole::kProxyless) return ProxylessResources(index, index.ScopeOf(view));
  if (view.role == ProxyRole::kRouter) {
    const OutboundScope scope = RouterScopeOf(index, view);
    Resources resources = RouterSharedResources(index, scope);
    AddResources(RouterOwnResources(index, view, scope), resources);
    return resources;
  }
  Resources resources = OutboundResources(index, index.ScopeOf(view));
  AddResources(InboundResources(index, view), resources);
  return resources;
}

Resources Translate(const World& world, const ProxyView& view) {
  return Translate(TranslationIndex(world), view);
}

}  // namespace weft
