// MergeEndpoints: a merge where nothing but endpoints changed.
#include <set>
#include <utility>

#include "controlplane/federation/claims.h"
#include "controlplane/federation/merge.h"
#include "controlplane/model/kubernetes.h"
#include "controlplane/model/world_change.h"

namespace weft {
namespace {

bool SameButForEndpoints(const ExportedService& a, const ExportedService& b) {
  ExportedService like_b = a;
  like_b.groups = b.groups;
  like_b.pods = b.pods;
  return like_b == b;
}

class FollowEndpoints {
 public:
  FollowEndpoints(const MergedFrom& before, const World& local,
                  const std::map<std::string, PeerState>& peers)
      : before_(before), local_(local), peers_(peers), world_(before.world) {}

  std::optional<World> Run() && {
    const WorldChange change = ChangeBetween(before_.local, local_);
    if (!change.endpoints_only() || peers_.size() != before_.peers.size()) return std::nullopt;
    for (const std::string& key : change.services) FollowOwn(key);
    for (const auto& [cluster, state] : peers_) {
      const auto was = before_.peers.find(cluster);
      if (was == before_.peers.end() || !FollowPeer(was->second, state)) return std::nullopt;
    }
    world_.workloads = local_.workloads;
    world_.workload_entries = local_.workload_entries;
    world_.workload_groups = local_.workload_groups;
    for (const ServiceName& name : changed_) SetEndpoints(name);
    return std::move(world_);
  }

 private:
  // What peers have joins services of Kubernetes; a ServiceEntry's endpoints are our own.
  void FollowOwn(const std::string& key) {
    const auto service = local_.services.find(key);
    if (service != local_.services.end() && !service->second->entry.has_value()) {
      changed_.emplace(service->second->namespace_, service->second->name);
    } else if (const auto own = local_.endpoints.find(key); own != local_.endpoints.end()) {
      world_.endpoints[key] = own->second;
    } else {
      world_.endpoints.erase(key);
    }
  }

  // Notes whose endpoints it changes; false if it changes more.
  bool FollowPeer(const PeerState& was, const PeerState& is) {
    if (was.workloads.has_value() != is.workloads.has_value()) return false;
    if (is.workloads.has_value()) world_.remote_workloads[is.peer->cluster] = *is.workloads;
    const bool same_peer = (was.peer == is.peer || *was.peer == *is.peer) &&
                           was.dead_gateways == is.dead_gateways &&
                           was.reachable() == is.reachable();
    if (!same_peer) world_.peers[is.peer->cluster] = WithLiveGateways(is, &before_.world);
    if (was.exports == is.exports && same_peer) return true;
    if (was.exports->size() != is.exports->size()) return false;
    auto known = was.exports->begin();
    for (const auto& [name, exported] : *is.exports) {
      const auto& [known_name, known_service] = *known++;
      if (known_name != name) return false;
      if (same_peer && known_service == exported) continue;
      if (!SameButForEndpoints(known_service, exported)) return false;
      if (IsTaken(local_, is, exported)) changed_.insert(name);
    }
    return true;
  }

  // Under both names, as far as they are two services.
  void SetEndpoints(const ServiceName& name) {
    const std::vector<Claim> claims = ClaimsOn(name);
    const std::string host = HostOf(name.second, name.first);
    const auto own = local_.endpoints.find(host);
    const bool have_own = own != local_.endpoints.end();
    bool joined = false;
    for (const Claim& claim : claims) joined |= claim.joins_local;
    if (joined) {
      Set(host, have_own ? own->second.get() : nullptr, claims);
    } else if (have_own) {
      world_.endpoints[host] = own->second;
    }
    const auto service = local_.services.find(host);
    const bool ours = service != local_.services.end() && service->second->exported && have_own;
    Set(ClusterSetHostOf(name.second, name.first), ours ? own->second.get() : nullptr, claims);
  }

  void Set(const std::string& key, const Endpoints* own, const std::vector<Claim>& claims) {
    const auto service = world_.services.find(key);
    if (service == world_.services.end()) return;
    world_.endpoints[key] =
        Reuse(&before_.world.endpoints, key, EndpointsOf(*service->second, own, claims));
  }

  std::vector<Claim> ClaimsOn(const ServiceName& name) const {
    std::vector<Claim> claims;
    for (const auto& [cluster, state] : peers_) {
      const auto found = state.exports->find(name);
      if (found == state.exports->end() || !IsTaken(local_, state, found->second)) continue;
      claims.push_back(ClaimOf(local_, state, *world_.peers.at(cluster), found->second));
    }
    return claims;
  }

  const MergedFrom& before_;
  const World& local_;
  const std::map<std::string, PeerState>& peers_;
  World world_;
  std::set<ServiceName> changed_;
};

}  // namespace

std::optional<World> MergeEndpoints(const MergedFrom& before, const World& local,
                                    const std::map<std::string, PeerState>& peers) {
  return FollowEndpoints(before, local, peers).Run();
}

}  // namespace weft
