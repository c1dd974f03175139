#include "controlplane/translate/check_gateways.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/gateway_api_name.h"
#include "controlplane/translate/clusters.h"
#include "controlplane/translate/router_plan.h"
#include "controlplane/translate/sidecar_scope.h"

namespace weft {
namespace {

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

// The routers, and the sidecars that a rule selects to give them a Secret; one of each kind, as
// replicas are alike.
std::vector<ProxyView> ClientsWithSecrets(const TranslationIndex& index) {
  std::map<std::tuple<std::string, std::string, Labels>, ProxyView> clients;
  VisitWorkloads(index.world(), [&](const std::string& cluster, const Workload& workload) {
    const bool router = IsSelectedByGateway(index, workload);
    if (!router && !index.HasCredentialRule(workload.namespace_, workload.labels)) return;
    const auto [client, is_new] =
        clients.try_emplace({cluster, workload.namespace_, workload.labels});
    if (!is_new) return;
    ProxyView& view = client->second;
    view.role = router ? ProxyRole::kRouter : ProxyRole::kSidecar;
    view.cluster = cluster;
    view.namespace_ = workload.namespace_;
    view.address = workload.address;
    view.other_address = workload.other_address;
    view.labels = workload.labels;
    view.identified = true;
  });
  std::vector<ProxyView> views;
  for (auto& [key, view] : clients) views.push_back(std::move(view));
  return views;
}

template <typename Visit>
void VisitCredentials(const TranslationIndex& index, const ProxyView& client, Visit visit) {
  const OutboundScope scope =
      client.role == ProxyRole::kRouter ? RouterScopeOf(index, client) : index.ScopeOf(client);
  const VisibleServices services(index, scope);
  for (const OutboundCluster& cluster :
       ListOutboundClusters(services, RulesFor(index, scope, services))) {
    if (cluster.takes_credentials(scope)) visit(cluster);
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

void AddServersSecrets(const TranslationIndex& index, const ProxyView& router,
                       std::set<SecretName>& names) {
  for (const auto* gateway : index.GatewaysFor(router)) {
    for (const auto& server : gateway->spec->servers()) {
      if (TerminatesTls(server)) AddSecretsNamed(server.tls(), router.namespace_, names);
    }
  }
}

}  // namespace

bool MayNeedSecrets(const TranslationIndex& index, const Workload& workload) {
  return IsSelectedByGateway(index, workload) ||
         index.HasCredentialRule(workload.namespace_, workload.labels);
}

std::vector<Problem> CheckGateways(const TranslationIndex& index) {
  std::vector<Problem> problems;
  const auto add = [&](Problem problem) {
    if (std::find(problems.begin(), problems.end(), problem) == problems.end()) {
      problems.push_back(std::move(problem));
    }
  };
  for (const ProxyView& client : ClientsWithSecrets(index)) {
    if (client.role == ProxyRole::kRouter) {
      for (Problem& problem : PlanRouter(index, client).problems) add(std::move(problem));
    }
    VisitCredentials(index, client, [&](const OutboundCluster& cluster) {
      const auto found = CredentialsOf(index.world(), *cluster.policy.tls, client.namespace_);
      if (!found.ok()) add(MissingFor(index, cluster, found.status().message()));
    });
  }
  return problems;
}

std::set<SecretName> SecretsNamed(const TranslationIndex& index) {
  std::set<SecretName> names;
  for (const ProxyView& client : ClientsWithSecrets(index)) {
    if (client.role == ProxyRole::kRouter) AddServersSecrets(index, client, names);
    VisitCredentials(index, client, [&](const OutboundCluster& cluster) {
      AddSecretsNamed(*cluster.policy.tls, client.namespace_, names);
    });
  }
  return names;
}

}  // namespace weft
