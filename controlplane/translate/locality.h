// How near the places of a cluster are to a client, and how requests are spread among localities:
// what a rule's localityLbSetting says, or nearest first where it says nothing.
//
// Pure; one object for one client and cluster, borrowed parts must outlive it.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_LOCALITY_H_
#define WEFT_CONTROLPLANE_TRANSLATE_LOCALITY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/translate/index.h"

namespace istio::networking::v1alpha3 {
class LocalityLoadBalancerSetting;
class LocalityLoadBalancerSetting_Distribute;
}  // namespace istio::networking::v1alpha3

namespace weft {

// "region/zone/*" or "region" or "*": what is not stated matches anything.
bool MatchesLocality(const std::string& pattern, const Locality& locality);

class LocalityRules {
 public:
  // `setting` may be null. `endpoints` are all of the cluster: without a locality for each of them,
  // none is nearer than another.
  LocalityRules(const istio::networking::v1alpha3::LocalityLoadBalancerSetting* setting,
                const ClusterIdentity& self, const OutboundScope& client,
                const std::vector<const Endpoint*>& endpoints);

  // 0 is the nearest. Only their order counts: there may be holes.
  int DistanceTo(const Endpoint& endpoint) const;

  // Of `localities`, each with the weight of its endpoints, the share that each gets; 0 is none.
  // Nothing where the rule has no distribution for this client.
  std::optional<std::vector<uint32_t>> Distribute(
      const std::vector<std::pair<Locality, uint32_t>>& localities) const;

 private:
  enum class Order { kNone, kByLocality, kByLabels };

  int ByLocality(const Locality& locality) const;
  int ByLabels(const Endpoint& endpoint) const;
  // Of the client, or of an endpoint; "" is not stated.
  std::string ClientLabel(const std::string& key) const;
  std::string LabelOf(const Endpoint& endpoint, const std::string& key) const;

  const istio::networking::v1alpha3::LocalityLoadBalancerSetting* setting_;
  const ClusterIdentity& self_;
  const OutboundScope& client_;
  const istio::networking::v1alpha3::LocalityLoadBalancerSetting_Distribute* distribute_ = nullptr;
  std::string failover_region_;  // where requests go next when the client's own region fails
  Order order_ = Order::kNone;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_LOCALITY_H_
