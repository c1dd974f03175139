// ConfigMerge: what linked clusters distribute to this one, as a part of its World.
//
// Of one kind, namespace and name this cluster's own object counts, then the oldest, then that of
// the first cluster by name. Pure; belongs to one thread. What did not change since the last time
// is the same map, so that whoever compares Worlds sees no change in it.
#ifndef WEFT_CONTROLPLANE_FEDERATION_MERGE_CONFIGS_H_
#define WEFT_CONTROLPLANE_FEDERATION_MERGE_CONFIGS_H_

#include <map>
#include <memory>
#include <string>

#include "controlplane/federation/config_object.h"
#include "controlplane/federation/exports.h"
#include "controlplane/model/world.h"

namespace weft {

// By cluster: of each object of it that does not count here, which one does.
using ConfigConflicts = std::map<std::string, std::map<ObjectKey, std::string>>;

class ConfigMerge {
 public:
  // `local` is the cluster's own part of `world`.
  void Apply(const World& local, const std::map<std::string, PeerState>& peers, World& world);
  // As of the last Apply(); never null, and the same pointer while they are the same.
  std::shared_ptr<const ConfigConflicts> conflicts() const { return conflicts_; }

 private:
  // The maps that are merged.
  struct Maps {
    Configs<istio::networking::v1alpha3::VirtualService> virtual_services;
    Configs<istio::networking::v1alpha3::DestinationRule> destination_rules;
    Configs<istio::security::v1beta1::AuthorizationPolicy> authorization_policies;
  };
  using Received = std::map<std::string, std::shared_ptr<const PeerConfigs>>;  // by cluster

  template <typename Spec>
  void Merge(const char* kind, const Configs<Spec>& local, Configs<Spec> Maps::* map);
  void FindConflicts();

  Maps local_;
  Maps merged_;
  Received received_;
  bool received_changed_ = false;
  // Those that count unless this cluster has the object itself, and the cluster of each.
  std::map<ObjectKey, std::pair<std::string, std::shared_ptr<const ReceivedConfig>>> first_;
  std::shared_ptr<const ConfigConflicts> conflicts_ = std::make_shared<ConfigConflicts>();
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_MERGE_CONFIGS_H_
