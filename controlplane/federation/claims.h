// Claims: what linked clusters say they have under one namespace and name, and which of this
// cluster's names it counts under. What MergeWorld() and MergeEndpoints() have in common. Pure.
#ifndef WEFT_CONTROLPLANE_FEDERATION_CLAIMS_H_
#define WEFT_CONTROLPLANE_FEDERATION_CLAIMS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/federation/exports.h"
#include "controlplane/model/world.h"

namespace weft {

// One cluster's. All it points to outlives it.
struct Claim {
  const Peer* peer = nullptr;
  const ExportedService* exported = nullptr;
  bool reachable = true;       // whether a request can get there
  bool in_cluster_set = true;  // under the name in the cluster set
  bool joins_local = true;     // under the local name
};

// Whether what the cluster says of this service counts at all: nothing of the system does, but of a
// cluster that has no control plane those services of kube-system that we have, too.
bool IsTaken(const World& local, const PeerState& state, const ExportedService& exported);

// `local` is this cluster's own part of the World, `peer` as the World is to have it.
Claim ClaimOf(const World& local, const PeerState& state, const Peer& peer,
              const ExportedService& exported);

// The service's endpoints: `own`, unless it is null, and those of the claims that count under its
// name, in their order. A cluster that lacks some of the service's ports has endpoints for the
// others alone.
Endpoints EndpointsOf(const Service& service, const Endpoints* own,
                      const std::vector<Claim>& claims);

// The old pointer where the value is the same.
template <typename T>
std::shared_ptr<const T> Reuse(const SharedMap<std::string, std::shared_ptr<const T>>* before,
                               const std::string& key, T value) {
  if (before != nullptr) {
    const auto it = before->find(key);
    if (it != before->end() && *it->second == value) return it->second;
  }
  return std::make_shared<const T>(std::move(value));
}

// Without the gateways that do not answer; the pointer of before where it is the same.
std::shared_ptr<const Peer> WithLiveGateways(const PeerState& state, const World* previous);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_CLAIMS_H_
