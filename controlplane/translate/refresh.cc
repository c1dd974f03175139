#include "controlplane/translate/refresh.h"

#include <algorithm>

#include "controlplane/translate/clusters.h"
#include "controlplane/translate/destination_rule.h"
#include "controlplane/translate/endpoints.h"
#include "controlplane/translate/gateway.h"
#include "controlplane/translate/gateway_tunnels.h"
#include "controlplane/translate/listeners_outbound.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/proxyless.h"
#include "controlplane/translate/routes.h"
#include "controlplane/translate/sidecar_scope.h"
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
                                       const std::vector<std::string>& keys) {
  std::vector<const Service*> services;
  for (const std::string& key : keys) {
    if (const Service* service = index.FindService(key)) services.push_back(service);
  }
  return services;
}

// Whether `former` has clusters of the service, or of another one of its host.
bool MayHave(const Resources& former, const Service& service) {
  for (const ServicePort& port : service.ports) {
    if (port.protocol == Protocol::kUdp) continue;
    return former.clusters.contains(OutboundClusterName(port.port, "", service.host));
  }
  return true;
}

// Those of the services that the scope's clients are led to. Of several services of one host that
// is one, and the others' clusters have the same names.
std::vector<const Service*> ReachedOf(const TranslationIndex& index, const OutboundScope& scope,
                                      const std::vector<std::string>& keys,
                                      const Resources& former) {
  std::vector<const Service*> services = ServicesOf(index, keys);
  std::erase_if(services, [&](const Service* service) { return !MayHave(former, *service); });
  const bool alone = std::all_of(services.begin(), services.end(), [&](const Service* service) {
    return index.ServicesOf(service->host).size() == 1;
  });
  if (alone) return services;
  const VisibleServices visible(index, scope);
  std::erase_if(services,
                [&](const Service* service) { return visible.Find(service->host) != service; });
  return services;
}

// The assignments of a gateway that goes by server names.
void RefreshServerNames(const TranslationIndex& index, const OutboundScope& scope,
                        const std::vector<const Service*>& services, Resources& resources) {
  for (const Service* service : services) {
    Replace(GatewayServiceResources(index, scope, *service).endpoints, resources.endpoints);
  }
}

// A peer's service that got its first pods, or lost its last ones.
void RefreshReverse(const TranslationIndex& index, const OutboundScope& scope,
                    const Service& service, Resources& resources) {
  const EncodedResources fresh = ReverseClusters(index, scope, service);
  for (const std::string& name : ReverseNames(index, service)) {
    const auto found = fresh.find(name);
    if (found == fresh.end()) {
      resources.clusters.erase(name);
    } else if (!resources.clusters.contains(name)) {
      resources.clusters.emplace(name, found->second);
    }
  }
}

// Of a headless service the pods' addresses are in more than its assignments: in the name table.
bool AnyHeadless(const std::vector<const Service*>& services) {
  return std::any_of(services.begin(), services.end(),
                     [](const Service* service) { return IsHeadless(*service); });
}

}  // namespace

Resources ShareEqual(const Resources& former, const Resources& fresh) {
  Resources shared;
  for (auto type : kAllResources) shared.*type = ShareEqual(former.*type, fresh.*type);
  return shared;
}

Resources RefreshOutbound(const TranslationIndex& index, const OutboundScope& scope,
                          const std::vector<std::string>& keys, const Resources& former) {
  const std::vector<const Service*> services = ReachedOf(index, scope, keys, former);
  if (AnyHeadless(services) && !scope.router) {
    return ShareEqual(former, OutboundResources(index, scope));
  }
  Resources resources = former;
  if (scope.by_server_name) {
    RefreshServerNames(index, scope, ServicesOf(index, keys), resources);
  }
  for (const Service* service : services) {
    const AppliedRule rule = RuleFor(index, scope, *service);
    const std::vector<OutboundCluster> clusters = ListOutboundClusters(*service, rule);
    // A cluster names the identities of its endpoints.
    Replace(OutboundClusters(index, scope, clusters), resources.clusters);
    Replace(OutboundEndpoints(index, scope, clusters), resources.endpoints);
  }
  return resources;
}

Resources RefreshOutboundRoutes(const TranslationIndex& index, const OutboundScope& scope,
                                const Resources& former) {
  // What routes lead to is part of what a Sidecar lets its clients reach.
  if (!scope.egress.empty()) return ShareEqual(former, OutboundResources(index, scope));
  const VisibleServices services(index, scope);
  const AppliedRules rules = RulesFor(index, scope, services);
  const RouteContext context{index, scope, rules, services};
  Resources resources = former;
  resources.listeners = ShareEqual(former.listeners, OutboundListeners(context));
  resources.routes = ShareEqual(former.routes, OutboundRoutes(context));
  return resources;
}

Resources RefreshGateway(const TranslationIndex& index, const OutboundScope& scope,
                         const std::vector<std::string>& keys, const Resources& former) {
  Resources resources = former;
  const std::vector<const Service*> services = ServicesOf(index, keys);
  RefreshServerNames(index, scope, services, resources);
  if (!scope.tunnels) return resources;
  for (const Service* service : services) RefreshReverse(index, scope, *service, resources);
  return resources;
}

Resources RefreshProxyless(const TranslationIndex& index, const OutboundScope& scope,
                           const std::vector<std::string>& keys, const Resources& former) {
  Resources resources = former;
  for (const Service* service : ReachedOf(index, scope, keys, former)) {
    const AppliedRule rule = RuleFor(index, scope, *service);
    Replace(PlainEndpoints(index, scope, ListOutboundClusters(*service, rule)),
            resources.endpoints);
  }
  return resources;
}

}  // namespace weft
