// Which DestinationRules a client's connections to a service follow, and what they come to for one
// port and subset.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_DESTINATION_RULE_H_
#define WEFT_CONTROLPLANE_TRANSLATE_DESTINATION_RULE_H_

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/string_view.h"
#include "controlplane/translate/index.h"

namespace istio::networking::v1alpha3 {
class ClientTLSSettings;
class ConnectionPoolSettings;
class LoadBalancerSettings;
class OutlierDetection;
class Subset;
class TrafficPolicy;
class TrafficPolicy_ProxyProtocol;
class TrafficPolicy_RetryBudget;
}  // namespace istio::networking::v1alpha3

namespace weft {

class VisibleServices;

// The settings in force; null where nothing is stated. They live as long as the World.
struct Policy {
  const istio::networking::v1alpha3::LoadBalancerSettings* load_balancer = nullptr;
  const istio::networking::v1alpha3::ConnectionPoolSettings* connection_pool = nullptr;
  const istio::networking::v1alpha3::OutlierDetection* outlier_detection = nullptr;
  const istio::networking::v1alpha3::ClientTLSSettings* tls = nullptr;
  const istio::networking::v1alpha3::TrafficPolicy_ProxyProtocol* proxy_protocol = nullptr;
  const istio::networking::v1alpha3::TrafficPolicy_RetryBudget* retry_budget = nullptr;
  bool for_this_workload = false;  // its rule has a workloadSelector
};

// How connections are secured: by mesh TLS where the endpoint takes it, by mesh TLS or not at all
// (the rule asks for ISTIO_MUTUAL), in plain text, or as the rule says.
enum class ClientTls { kMesh, kMeshOnly, kDisabled, kOwn };
ClientTls ClientTlsOf(const Policy& policy);

// The rules one client follows for one service: several of the same host in one namespace count as
// one, of which the oldest one's policy holds and subsets of a name are taken once.
class AppliedRule {
 public:
  AppliedRule() = default;
  // All of them have the same workloadSelector, or none has one.
  explicit AppliedRule(std::vector<const istio::networking::v1alpha3::DestinationRule*> rules);

  const istio::networking::v1alpha3::Subset* FindSubset(absl::string_view name) const;
  // In order of name.
  std::vector<const istio::networking::v1alpha3::Subset*> Subsets() const;

  // Top-level policy, then the port's, then the subset's, then the subset's for the port. A
  // port-level policy replaces all settings that a port can have; a subset's only those that it
  // states.
  Policy For(uint16_t port, const istio::networking::v1alpha3::Subset* subset) const;

 private:
  const istio::networking::v1alpha3::TrafficPolicy* top_ = nullptr;
  bool selecting_ = false;
  std::map<std::string, const istio::networking::v1alpha3::Subset*> subsets_;
};

// Looks in the client's namespace, then the service's, then the root's.
AppliedRule RuleFor(const TranslationIndex& index, const OutboundScope& scope,
                    const Service& service);

// Every subset of the service that any client may name: what the gateway has to know.
std::map<std::string, const istio::networking::v1alpha3::Subset*> AllSubsets(
    const TranslationIndex& index, const Service& service);

// For all services that a client may be led to.
using AppliedRules = std::unordered_map<const Service*, AppliedRule>;
AppliedRules RulesFor(const TranslationIndex& index, const OutboundScope& scope,
                      const VisibleServices& services);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_DESTINATION_RULE_H_
