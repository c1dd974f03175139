// WorldMaker: from objects and what peers say to Worlds. The engine without its edges: no I/O, no
// clock, no loop, so that the simulator (test/simulation) runs the very same code.
//
// Belongs to one thread.
#ifndef WEFT_CONTROLPLANE_WORLD_MAKER_H_
#define WEFT_CONTROLPLANE_WORLD_MAKER_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/federation/exports.h"
#include "controlplane/federation/merge.h"
#include "controlplane/federation/merge_configs.h"
#include "controlplane/model/gateway_api.h"
#include "controlplane/model/gateway_api_status.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/raw_object.h"
#include "controlplane/model/registry.h"
#include "controlplane/model/world.h"
#include "controlplane/model/world_change.h"

namespace weft {

class WorldMaker {
 public:
  WorldMaker(std::shared_ptr<const ClusterIdentity> self, ExportPolicy exports);

  // Objects of this cluster. Problems are those of the objects themselves.
  std::vector<Problem> Apply(const std::vector<ObjectDelta>& deltas);
  // The same cluster with something else about it: its roots after a rotation.
  void SetSelf(std::shared_ptr<const ClusterIdentity> self);
  // Every other cluster, by name: linked ones and remotes; replaces the last.
  void SetPeers(std::map<std::string, PeerState> peers);
  void SetKeySets(std::map<std::string, std::shared_ptr<const std::string>> key_sets);

  struct Made {
    std::shared_ptr<const World> world;
    // From the World before, for who follows it; kMore for the first.
    WorldChange change;
    std::vector<Problem> merged;      // found in joining what peers export
    std::vector<Problem> references;  // objects that lead nowhere and are held in their last form
  };
  // The next World; nothing if it would be the same.
  std::optional<Made> Make();
  // What Make() would come to as long as there is no World yet: for what has to be read before the
  // first one.
  World Preview();

  // This cluster's own part as it is now, whether a World was made of it or not.
  const World& LocalNow() { return registry_.BuildLocal(); }

  const std::shared_ptr<const World>& world() const { return world_; }  // null before the first
  // This cluster's own part of that: what it exports is made of it.
  const World& local() const { return from_.local; }
  PeerExports exports() const { return Exports(from_.local); }
  // Other clusters to be linked with, as objects.
  const Configs<v1alpha1::LinkSpec>& links() const { return registry_.links(); }
  // Of what peers distribute here, in the last World.
  std::shared_ptr<const ConfigConflicts> config_conflicts() const { return configs_.conflicts(); }
  // Of the Gateway API's objects in the last World.
  const std::vector<GatewayApiStatus>& gateway_api_statuses() const {
    return gateway_api_.statuses();
  }

 private:
  MergedWorld Merge(const World& local) const;

  Registry registry_;
  ConfigMerge configs_;
  GatewayApiMerge gateway_api_;
  std::map<std::string, PeerState> peers_;
  std::map<std::string, std::shared_ptr<const std::string>> key_sets_;
  bool peers_changed_ = false;  // since the last World
  MergedFrom from_;             // what the last World was made of
  std::vector<Problem> found_;  // in that
  std::shared_ptr<const World> world_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_WORLD_MAKER_H_
