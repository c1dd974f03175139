// MergeWorld: this cluster's own objects and what its peers export, as one World.
//
// What peers export has the name NAME.NS.svc.clusterset.local here, and so has what this cluster
// exports. It joins the service of the local name as well, where that is allowed
// (model/sharing.h): where the two names then stand for the very same, they are one service, of
// which the one is an alias (World::aliases); else the name in the set is a Service of its own
// (Service::cluster_set).
// Pure; pointers of the previous World are kept wherever the value is the same.
#ifndef WEFT_CONTROLPLANE_FEDERATION_MERGE_H_
#define WEFT_CONTROLPLANE_FEDERATION_MERGE_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/federation/exports.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/world.h"

namespace weft {

struct MergedWorld {
  World world;
  std::vector<Problem> problems;
};

// `local` is the cluster's own part (Registry::BuildLocal), `peers` is by cluster, `previous` the
// World before, or null.
//
// - Ports are the union. Under the local name those of a service of ours count where clusters
//   differ about one, under the name in the set, and for what it imports otherwise, those of the
//   oldest export (imports.h).
// - What is of weft-system or kube-system is nobody else's; but of a cluster that has no control
//   plane, those services of kube-system that we have, too, for its own clients
//   (translate/reach.h).
// - A local name that is of type ExternalName here is nobody else's.
// - Each group of a peer is one Endpoint without an address, its weight the number of ready pods;
//   a group without ready pods is absent, and so are all of a cluster that no request can get to
//   (PeerState::reachable); its services stay known. Gateways that do not answer are left out of
//   World::peers. Its pods, if it has any, are endpoints as they are, and its workloads those of
//   that cluster.
// - A service that only peers have gets an address from 240.240.0.0/16, the one it had in
//   `previous`, else by the hash of its host, and one of IPv6 with it. So does a ServiceEntry's
//   that states none.
MergedWorld MergeWorld(const World& local, const std::map<std::string, PeerState>& peers,
                       const World* previous);

// What a World was merged of, and the World.
struct MergedFrom {
  World local;
  std::map<std::string, PeerState> peers;
  World world;
};

// The same as MergeWorld() with `before.world` for the World before, at the cost of what differs,
// where services and all else are as they were and only pods and gateways came or went: that is
// nearly every change. Nothing where it is more.
std::optional<World> MergeEndpoints(const MergedFrom& before, const World& local,
                                    const std::map<std::string, PeerState>& peers);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_MERGE_H_
