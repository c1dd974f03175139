// Which trust domains stand for a caller's cluster: what `source.clusters` is decided by.
//
// A certificate says a trust domain and no cluster. As a rule a cluster has a trust domain of its
// own, and the two are one question. Where clusters share a trust domain (a root for all of them),
// a caller of that domain may be of any of them: then it counts as one of the clusters that are
// named only if all that share the domain are named. The other way round, it counts as possibly one
// of them if any is. Authorization takes whichever of the two allows less.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_CLUSTER_DOMAINS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_CLUSTER_DOMAINS_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "controlplane/model/world.h"

namespace weft {

class ClusterDomains {
 public:
  explicit ClusterDomains(const World& world);

  const std::string& own_trust_domain() const { return own_trust_domain_; }

  // `patterns` as Istio's values: exact, "prefix*", "*suffix", "*".
  std::set<std::string> CertainlyOf(const std::vector<std::string>& patterns) const;
  std::set<std::string> PossiblyOf(const std::vector<std::string>& patterns) const;

  // Why the pattern cannot be told apart as it stands; empty if it can.
  std::string WhyUnclear(const std::string& pattern) const;

 private:
  std::string own_trust_domain_;
  std::map<std::string, std::set<std::string>> clusters_;  // by trust domain
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_CLUSTER_DOMAINS_H_
