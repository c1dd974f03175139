// How near the places of a cluster are to a client, and how requests are spread among localities:
// what a rule's localityLbSetting says, else what the service asks for, or nearest first where
// neither says anything. Of linked clusters the dearer ones and those being drained come later,
// whatever their locality.
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

// The least is the nearest. Only the order counts: there may be holes. Members are in order of
// weight: a cluster that is being drained is used when no other one has endpoints, a dear one when
// no cheaper one has.
struct Distance {
  bool draining = false;
  bool averse = false;  // not where the service's affinity wants its clients to go
  uint32_t cost = 0;    // of the link; of this cluster 0
  int place = 0;

  friend auto operator<=>(const Distance&, const Distance&) = default;
};

class LocalityRules {
 public:
  // `setting` may be null. `endpoints` are all of the cluster: without a locality for each of them,
  // none is nearer than another by its locality.
  LocalityRules(const istio::networking::v1alpha3::LocalityLoadBalancerSetting* setting,
                const Service& service, const World& world, const OutboundScope& client,
                const std::vector<const Endpoint*>& endpoints);

  Distance DistanceTo(const Endpoint& endpoint) const;

  // Of `localities`, each with the weight of its endpoints, the share that each gets; 0 is none.
  // Nothing where the rule has no distribution for this client.
  std::optional<std::vector<uint32_t>> Distribute(
      const std::vector<std::pair<Locality, uint32_t>>& localities) const;

 private:
  void ApplySetting(const istio::networking::v1alpha3::LocalityLoadBalancerSetting& setting);

  int PlaceOf(const Endpoint& endpoint) const;
  bool GetsShare(const Locality& locality) const;
  int ByLocality(const Locality& locality) const;
  int ByLabels(const Endpoint& endpoint) const;
  // Of the client, or of an endpoint; "" is not stated.
  std::string ClientLabel(const std::string& key) const;
  std::string LabelOf(const Endpoint& endpoint, const std::string& key) const;

  const Service& service_;
  const World& world_;
  const OutboundScope& client_;
  const istio::networking::v1alpha3::LocalityLoadBalancerSetting_Distribute* distribute_ = nullptr;
  bool falls_over_ = false;  // from what the distribution names to all else
  std::vector<std::string>
      labels_;  // what the rule goes by before localities; "KEY" or "KEY=VALUE"
  bool by_locality_ = true;
  std::string failover_region_;  // where requests go next when the client's own region fails
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_LOCALITY_H_
