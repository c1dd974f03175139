#include "controlplane/translate/refresh.h"

#include <algorithm>

#include "controlplane/translate/clusters.h"
#include "controlplane/translate/destination_rule.h"
#include "controlplane/translate/endpoints.h"
#include "controlplane/translate/gateway.h"
#include "controlplane/translate/listeners_outbound.h"
#include "controlplane/translate/proxyless.h"
#include "controlplane/translate/routes.h"
#include "controlplane/translate/translate.h"

namespace weft {
namespace {

EncodedResources ShareEqual(const EncodedResources& former, const EncodedResources& fresh) {
  EncodedResources shared = former;
  EncodedResources::Diff(former, fresh,
                         [&](const std::string& name, const auto* was, const auto* is) {
                           if (is == nullptr) {
                             shared.erase(name);
                           } else if (was == nullptr || **was != **is) {
                             shared[name] = *is;
                           }
                         });
  return shared;
}

// Replaces what `resources` has of these names and other bytes of.
void Replace(const EncodedResources& part, EncodedResources& resources) {
  for (const auto& [name, bytes] : part) {
    const auto found = resources.find(name);
    if (found != resources.end() && *found->second != *bytes) resources[name] = bytes;
  }
}

std::vector<const Service*> ServicesOf(const TranslationIndex& index,
                                       const std::vector<std::string>& hosts) {
  std::vector<const Service*> services;
  for (const std::string& host : hosts) {
    if (const Service* service = index.FindService(host)) services.push_back(service);
  }
  return services;
}

// Of a headless service the pods' addresses are in more than its assignments: in the name table.
bool AnyHeadless(const std::vector<const Service*>& services) {
  return std::any_of(services.begin(), services.end(),
                     [](const Service* service) { return service->address.empty(); });
}

}  // namespace

Resources ShareEqual(const Resources& former, const Resources& fresh) {
  Resources shared;
  for (auto type : kAllResources) shared.*type = ShareEqual(former.*type, fresh.*type);
  return shared;
}

Resources RefreshOutbound(const TranslationIndex& index, const OutboundScope& scope,
                          const std::vector<std::string>& hosts, const Resources& former) {
  const std::vector<const Service*> services = ServicesOf(index, hosts);
  if (AnyHeadless(services)) return ShareEqual(former, OutboundResources(index, scope));
  Resources resources = former;
  for (const Service* service : services) {
    const AppliedRule rule = RuleFor(index, scope, *service);
    const std::vector<OutboundCluster> clusters = ListOutboundClusters(*service, rule);
    // A cluster names the identities of its endpoints.
    Replace(OutboundClusters(index, clusters), resources.clusters);
    Replace(OutboundEndpoints(index, scope, clusters), resources.endpoints);
  }
  return resources;
}

Resources RefreshOutboundRoutes(const TranslationIndex& index, const OutboundScope& scope,
                                const Resources& former) {
  const AppliedRules rules = RulesFor(index, scope);
  const RouteContext context{index, scope, rules};
  Resources resources = former;
  resources.listeners = ShareEqual(former.listeners, OutboundListeners(context));
  resources.routes = ShareEqual(former.routes, OutboundRoutes(context));
  return resources;
}

Resources RefreshGateway(const TranslationIndex& index, const std::vector<std::string>& hosts,
                         const Resources& former) {
  Resources resources = former;
  for (const Service* service : ServicesOf(index, hosts)) {
    Replace(GatewayServiceResources(index, *service).endpoints, resources.endpoints);
  }
  return resources;
}

Resources RefreshProxyless(const TranslationIndex& index, const OutboundScope& scope,
                           const std::vector<std::string>& hosts, const Resources& former) {
  Resources resources = former;
  for (const Service* service : ServicesOf(index, hosts)) {
    const AppliedRule rule = RuleFor(index, scope, *service);
    Replace(PlainEndpoints(index, scope, ListOutboundClusters(*service, rule)),
            resources.endpoints);
  }
  return resources;
}

}  // namespace weft
