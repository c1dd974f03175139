#include "controlplane/translate/check_gateways.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/gateway_api_name.h"
#include "controlplane/translate/clusters.h"
#include "controlplane/translate/router_plan.h"
#include "controlplane/translate/sidecar_scope.h"

namespace weft {
namespace {

ProxyView ViewOf(const Workload& workload) {
  ProxyView view;
  view.role = ProxyRole::kRouter;
  view.namespace_ = workload.namespace_;
  view.address = workload.address;
  view.other_address = workload.other_address;
  view.labels = workload.labels;
  view.identified = true;
  return view;
}

// One of each kind of workload that is selected: replicas are alike.
std::vector<ProxyView> Routers(const TranslationIndex& index) {
  std::map<std::pair<std::string, Labels>, ProxyView> routers;
  if (index.gateways().empty()) return {};
  for (const auto& [address, workload] : index.world().workloads) {
    if (!IsSelectedByGateway(index, *workload)) continue;
    routers.try_emplace({workload->namespace_, workload->labels}, ViewOf(*workload));
  }
  std::vector<ProxyView> views;
  for (auto& [key, view] : routers) views.push_back(std::move(view));
  return views;
}

std::vector<OutboundCluster> ClustersWithCredentials(const OutboundScope& scope,
                                                     const VisibleServices& services,
                                                     const AppliedRules& rules) {
  std::vector<OutboundCluster> clusters = ListOutboundClusters(services, rules);
  std::erase_if(clusters, [&](const OutboundCluster& cluster) {
    return !scope.credentials || !cluster.names_credentials();
  });
  return clusters;
}

template <typename Visit>
void VisitCredentials(const TranslationIndex& index, const ProxyView& router, Visit visit) {
  const OutboundScope scope = RouterScopeOf(index, router);
  const VisibleServices services(index, scope);
  const AppliedRules rules = RulesFor(index, scope, services);
  for (const OutboundCluster& cluster : ClustersWithCredentials(scope, services, rules)) {
    visit(cluster);
  }
}

Problem MissingFor(const TranslationIndex& index, const OutboundCluster& cluster,
                   absl::string_view why) {
  Problem problem{Severity::kError,
                  "",
                  {"DestinationRule", "", ""},
                  "",
                  "spec.trafficPolicy.tls.credentialName",
                  absl::StrCat(cluster.name, ": ", why, "; connections fail until it is")};
  const auto rules = index.DestinationRulesFor(cluster.service->host);
  if (rules.empty()) return problem;
  problem.key = rules.front()->key;
  problem.origin = rules.front()->origin;
  return problem;
}

}  // namespace

bool IsSelectedByGateway(const TranslationIndex& index, const Workload& workload) {
  const auto& gateways = index.gateways();
  return std::any_of(gateways.begin(), gateways.end(), [&](const auto* gateway) {
    if (IsOfGatewayApi(gateway->key)) {
      if (gateway->key.namespace_ != workload.namespace_) return false;
      if (gateway->annotations.contains(kGatewayServicesAnnotation)) return true;
    }
    return !gateway->spec->selector().empty() &&
           Selects(gateway->spec->selector(), workload.labels);
  });
}

std::vector<Problem> CheckGateways(const TranslationIndex& index) {
  std::vector<Problem> problems;
  const auto add = [&](Problem problem) {
    if (std::find(problems.begin(), problems.end(), problem) == problems.end()) {
      problems.push_back(std::move(problem));
    }
  };
  for (const ProxyView& router : Routers(index)) {
    for (Problem& problem : PlanRouter(index, router).problems) add(std::move(problem));
    VisitCredentials(index, router, [&](const OutboundCluster& cluster) {
      const auto found = CredentialsOf(index.world(), *cluster.policy.tls, router.namespace_);
      if (!found.ok()) add(MissingFor(index, cluster, found.status().message()));
    });
  }
  return problems;
}

std::set<SecretName> SecretsNamed(const TranslationIndex& index) {
  std::set<SecretName> names;
  for (const ProxyView& router : Routers(index)) {
    for (const auto* gateway : index.GatewaysFor(router)) {
      for (const auto& server : gateway->spec->servers()) {
        if (!TerminatesTls(server)) continue;
        AddSecretsNamed(server.tls(), router.namespace_, names);
      }
    }
    VisitCredentials(index, router, [&](const OutboundCluster& cluster) {
      AddSecretsNamed(*cluster.policy.tls, router.namespace_, names);
    });
  }
  return names;
}

}  // namespace weft
