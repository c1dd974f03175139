#include "controlplane/translate/destination_rule.h"

#include <algorithm>
#include <iterator>

#include "api/istio/networking.pb.h"
#include "controlplane/translate/sidecar_scope.h"

namespace weft {
namespace {

using istio::networking::v1alpha3::ClientTLSSettings;
using istio::networking::v1alpha3::DestinationRule;
using istio::networking::v1alpha3::Subset;
using istio::networking::v1alpha3::TrafficPolicy;

// T is a TrafficPolicy or a PortTrafficPolicy.
template <typename T>
void Override(const T& with, Policy& policy) {
  if (with.has_load_balancer()) policy.load_balancer = &with.load_balancer();
  if (with.has_connection_pool()) policy.connection_pool = &with.connection_pool();
  if (with.has_outlier_detection()) policy.outlier_detection = &with.outlier_detection();
  if (with.has_tls()) policy.tls = &with.tls();
}

void Apply(const TrafficPolicy& traffic_policy, uint16_t port, Policy& policy) {
  Override(traffic_policy, policy);
  if (traffic_policy.has_proxy_protocol()) {
    policy.proxy_protocol = &traffic_policy.proxy_protocol();
  }
  if (traffic_policy.has_retry_budget()) policy.retry_budget = &traffic_policy.retry_budget();
  for (const auto& of_port : traffic_policy.port_level_settings()) {
    if (of_port.port().number() != port) continue;
    Policy replaced;
    replaced.proxy_protocol = policy.proxy_protocol;  // which a port cannot state
    replaced.retry_budget = policy.retry_budget;
    policy = replaced;
    Override(of_port, policy);
    return;
  }
}

bool SelectAlike(const DestinationRule& a, const DestinationRule& b) {
  const auto& one = a.workload_selector().match_labels();
  const auto& other = b.workload_selector().match_labels();
  return one.size() == other.size() && std::all_of(one.begin(), one.end(), [&](const auto& label) {
           const auto found = other.find(label.first);
           return found != other.end() && found->second == label.second;
         });
}

}  // namespace

ClientTls ClientTlsOf(const Policy& policy) {
  if (policy.tls == nullptr) return ClientTls::kMesh;
  switch (policy.tls->mode()) {
    case ClientTLSSettings::DISABLE:
      return ClientTls::kDisabled;
    case ClientTLSSettings::SIMPLE:
    case ClientTLSSettings::MUTUAL:
      return ClientTls::kOwn;
    default:
      return ClientTls::kMeshOnly;
  }
}

AppliedRule::AppliedRule(std::vector<const DestinationRule*> rules) {
  for (const DestinationRule* rule : rules) {
    if (top_ == nullptr && rule->has_traffic_policy()) top_ = &rule->traffic_policy();
    selecting_ = !rule->workload_selector().match_labels().empty();
    for (const Subset& subset : rule->subsets()) subsets_.try_emplace(subset.name(), &subset);
  }
}

const Subset* AppliedRule::FindSubset(absl::string_view name) const {
  auto found = subsets_.find(std::string(name));
  return found == subsets_.end() ? nullptr : found->second;
}

std::vector<const Subset*> AppliedRule::Subsets() const {
  std::vector<const Subset*> subsets;
  for (const auto& [name, subset] : subsets_) subsets.push_back(subset);
  return subsets;
}

Policy AppliedRule::For(uint16_t port, const Subset* subset) const {
  Policy policy;
  if (top_ != nullptr) Apply(*top_, port, policy);
  if (subset != nullptr && subset->has_traffic_policy()) {
    Apply(subset->traffic_policy(), port, policy);
  }
  policy.for_this_workload = selecting_;
  return policy;
}

AppliedRule RuleFor(const TranslationIndex& index, const OutboundScope& scope,
                    const Service& service) {
  const auto candidates = index.DestinationRulesFor(service.host);
  if (candidates.empty()) return AppliedRule();
  std::vector<absl::string_view> namespaces = {scope.namespace_, service.namespace_};
  namespaces.insert(namespaces.end(), std::begin(kRootNamespaces), std::end(kRootNamespaces));
  for (absl::string_view in : namespaces) {
    std::vector<const DestinationRule*> plain;
    std::vector<const DestinationRule*> selecting;
    std::string host;  // only rules of the same, most specific host are taken together
    for (const auto* config : candidates) {
      if (config->key.namespace_ != in) continue;
      const DestinationRule& rule = *config->spec;
      if (!IsVisible(rule.export_to(), in, scope.namespace_)) continue;
      const auto& selector = rule.workload_selector().match_labels();
      // A selecting rule speaks of clients of its own namespace.
      if (!selector.empty() && (in != scope.namespace_ || !Selects(selector, scope.labels))) {
        continue;
      }
      std::string resolved = index.ResolveHost(rule.host(), in);
      if (host.empty()) host = resolved;
      if (host != resolved) continue;
      if (selector.empty()) {
        plain.push_back(&rule);
      } else if (selecting.empty() || SelectAlike(*selecting.front(), rule)) {
        // Of those that select this client, the oldest holds, and what selects as it does.
        selecting.push_back(&rule);
      }
    }
    if (!selecting.empty()) return AppliedRule(std::move(selecting));
    if (!plain.empty()) return AppliedRule(std::move(plain));
  }
  return AppliedRule();
}

std::map<std::string, const Subset*> AllSubsets(const TranslationIndex& index,
                                                const Service& service) {
  const auto candidates = index.DestinationRulesFor(service.host);
  std::map<std::string, const Subset*> subsets;
  for (bool own : {true, false}) {  // of two that differ, the service's own namespace's holds
    for (const auto* config : candidates) {
      if ((config->key.namespace_ == service.namespace_) != own) continue;
      for (const Subset& subset : config->spec->subsets()) {
        subsets.try_emplace(subset.name(), &subset);
      }
    }
  }
  return subsets;
}

AppliedRules RulesFor(const TranslationIndex& index, const OutboundScope& scope,
                      const VisibleServices& services) {
  AppliedRules rules;
  for (const auto& [host, service] : services.reachable()) {
    rules.emplace(service, RuleFor(index, scope, *service));
  }
  return rules;
}

}  // namespace weft
