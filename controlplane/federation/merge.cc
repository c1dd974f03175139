#include "controlplane/federation/merge.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/federation/virtual_addresses.h"
#include "controlplane/model/kubernetes.h"
#include "controlplane/model/service_entry.h"
#include "controlplane/model/world_change.h"

namespace weft {
namespace {

// Never exported, so no linked cluster may claim to have them.
bool IsSystem(const std::string& namespace_) {
  return namespace_ == "weft-system" || namespace_ == "kube-system";
}

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

std::vector<Endpoint> EndpointsOf(const Peer& peer, bool reachable,
                                  const ExportedService& exported) {
  std::vector<Endpoint> endpoints;
  for (const ExportedGroup& group : exported.groups) {
    if (group.ready == 0 || !reachable) continue;
    Endpoint endpoint;
    endpoint.cluster = peer.cluster;
    endpoint.network = peer.network;
    endpoint.trust_domain = peer.trust_domain;
    endpoint.locality = group.locality;
    endpoint.labels = group.labels;
    endpoint.namespace_ = exported.namespace_;
    endpoint.service_account = group.service_account;
    endpoint.mtls = true;
    endpoint.weight = group.ready;
    endpoints.push_back(std::move(endpoint));
  }
  endpoints.insert(endpoints.end(), exported.pods.begin(), exported.pods.end());
  return endpoints;
}

// The pointer of before where it is the same.
std::shared_ptr<const Peer> WithLiveGateways(const PeerState& state, const World* previous) {
  if (state.dead_gateways.empty()) return state.peer;
  Peer live = *state.peer;
  std::erase_if(live.gateways, [&](const GatewayAddress& gateway) {
    return std::find(state.dead_gateways.begin(), state.dead_gateways.end(), gateway) !=
           state.dead_gateways.end();
  });
  if (previous != nullptr) {
    const auto before = previous->peers.find(live.cluster);
    if (before != previous->peers.end() && *before->second == live) return before->second;
  }
  return std::make_shared<const Peer>(std::move(live));
}

// A remote cluster's pods call its system services by the name that ours call ours by, and are led
// to theirs. Of those that we do not have, its own DNS knows.
bool IsTaken(const World& local, const PeerState& state, const ExportedService& exported) {
  if (!IsSystem(exported.namespace_)) return true;
  return state.workloads.has_value() && exported.namespace_ == "kube-system" &&
         local.services.contains(HostOf(exported.name, exported.namespace_));
}

class Merge {
 public:
  Merge(const World& local, const World* previous) : previous_(previous) { merged_.world = local; }

  void AddPeer(const PeerState& state) {
    const std::shared_ptr<const Peer> peer = WithLiveGateways(state, previous_);
    merged_.world.peers[peer->cluster] = peer;
    if (state.workloads.has_value()) {
      merged_.world.remote_workloads[peer->cluster] = *state.workloads;
    }
    const bool reachable = state.reachable();
    for (const auto& [name, exported] : *state.exports) {
      if (IsTaken(merged_.world, state, exported)) AddService(*peer, reachable, exported);
    }
  }

  MergedWorld Finish() && {
    AddEntries();
    GiveAddresses();
    for (auto& [key, service] : services_) {
      merged_.world.services[key] =
          Reuse(previous_ == nullptr ? nullptr : &previous_->services, key, std::move(service));
    }
    for (auto& [host, endpoints] : endpoints_) {
      merged_.world.endpoints[host] =
          Reuse(previous_ == nullptr ? nullptr : &previous_->endpoints, host, std::move(endpoints));
    }
    return std::move(merged_);
  }

 private:
  void AddService(const Peer& peer, bool reachable, const ExportedService& exported) {
    const std::string host = HostOf(exported.name, exported.namespace_);
    if (merged_.world.aliases.contains(host)) return LeaveOut(peer, exported);
    const auto [it, added] = services_.try_emplace(host);
    Service& service = it->second;
    Endpoints& endpoints = endpoints_[host];
    if (added) {
      if (const auto local = merged_.world.services.find(host);
          local != merged_.world.services.end()) {
        service = *local->second;
      } else {
        service.namespace_ = exported.namespace_;
        service.name = exported.name;
        service.host = host;
      }
      if (const auto local = merged_.world.endpoints.find(host);
          local != merged_.world.endpoints.end()) {
        endpoints = *local->second;
      }
    }
    AddPorts(peer, exported, service);
    for (Endpoint& endpoint : EndpointsOf(peer, reachable, exported)) {
      endpoints.push_back(std::move(endpoint));
    }
  }

  // A name that stands for another one here would lead to the peer instead.
  void LeaveOut(const Peer& peer, const ExportedService& exported) {
    merged_.problems.push_back({Severity::kWarning,
                                "",
                                {"Service", exported.namespace_, exported.name},
                                "",
                                "spec.externalName",
                                absl::StrCat("cluster ", peer.cluster,
                                             " has a service of this name; what this cluster says "
                                             "of it counts")});
  }

  void AddPorts(const Peer& peer, const ExportedService& exported, Service& service) {
    for (const ServicePort& port : exported.ports) {
      const auto known =
          std::find_if(service.ports.begin(), service.ports.end(), [&](const ServicePort& p) {
            return p.port == port.port &&
                   (p.protocol == Protocol::kUdp) == (port.protocol == Protocol::kUdp);
          });
      if (known == service.ports.end()) {
        service.ports.push_back(port);
      } else if (known->protocol != port.protocol) {
        merged_.problems.push_back(
            {Severity::kWarning,
             "",
             {"Service", service.namespace_, service.name},
             "",
             absl::StrCat("port ", port.port),
             absl::StrCat("cluster ", peer.cluster,
                          " speaks another protocol there; this cluster's counts")});
      }
    }
  }

  // ServiceEntries draw from the same addresses as what peers have.
  void AddEntries() {
    for (const auto& [key, service] : merged_.world.services) {
      if (WantsVirtualAddress(*service)) services_.emplace(key, *service);
    }
  }

  void GiveAddresses() {
    VirtualAddresses addresses;
    for (const auto& [key, service] : merged_.world.services) {
      addresses.Reserve(service->address);  // one of the range that a user states
    }
    std::vector<Service*> without;
    for (auto& [key, service] : services_) {
      if (service.local) continue;
      const Service* before = Before(key);
      if (before != nullptr && addresses.Reserve(before->address)) {
        service.address = before->address;
        service.other_address = VirtualAddresses::Ipv6Of(service.address);
      } else {
        without.push_back(&service);
      }
    }
    for (Service* service : without) {
      service->address = addresses.Allocate(service->host);
      service->other_address = VirtualAddresses::Ipv6Of(service->address);
      if (!service->address.empty()) continue;
      merged_.problems.push_back({Severity::kError,
                                  "",
                                  {"Service", service->namespace_, service->name},
                                  "",
                                  "",
                                  "no virtual address is left in 240.240.0.0/16; the name does not "
                                  "resolve"});
    }
  }

  const Service* Before(const std::string& key) const {
    if (previous_ == nullptr) return nullptr;
    const auto it = previous_->services.find(key);
    return it == previous_->services.end() ? nullptr : it->second.get();
  }

  MergedWorld merged_;
  const World* previous_;
  std::map<std::string, Service> services_;     // that peers have, too, or that need an address
  std::map<std::string, Endpoints> endpoints_;  // of those
};

// ---- Where only endpoints changed.

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
    changed_.insert(change.services.begin(), change.services.end());
    for (const auto& [cluster, state] : peers_) {
      const auto was = before_.peers.find(cluster);
      if (was == before_.peers.end() || !FollowPeer(was->second, state)) return std::nullopt;
    }
    world_.workloads = local_.workloads;
    world_.workload_entries = local_.workload_entries;
    world_.workload_groups = local_.workload_groups;
    for (const std::string& key : changed_) SetEndpoints(key);
    return std::move(world_);
  }

 private:
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
      if (!IsTaken(local_, is, exported)) continue;
      const std::string host = HostOf(exported.name, exported.namespace_);
      if (!local_.aliases.contains(host)) changed_.insert(host);
    }
    return true;
  }

  void SetEndpoints(const std::string& key) {
    const auto own = local_.endpoints.find(key);
    const auto service = world_.services.find(key);
    Endpoints endpoints;
    if (own != local_.endpoints.end()) endpoints = *own->second;
    if (service != world_.services.end() && AddOthers(key, *service->second, endpoints)) {
      world_.endpoints[key] = Reuse(&before_.world.endpoints, key, std::move(endpoints));
    } else if (own != local_.endpoints.end()) {
      world_.endpoints[key] = own->second;
    } else {
      world_.endpoints.erase(key);
    }
  }

  // Whether any peer has the service.
  bool AddOthers(const std::string& key, const Service& service, Endpoints& endpoints) const {
    if (key != HostOf(service.name, service.namespace_)) return false;  // a ServiceEntry's
    bool any = false;
    for (const auto& [cluster, state] : peers_) {
      const auto found = state.exports->find({service.namespace_, service.name});
      if (found == state.exports->end() || !IsTaken(local_, state, found->second)) continue;
      any = true;
      const Peer& peer = *world_.peers.at(cluster);
      for (Endpoint& endpoint : EndpointsOf(peer, state.reachable(), found->second)) {
        endpoints.push_back(std::move(endpoint));
      }
    }
    return any;
  }

  const MergedFrom& before_;
  const World& local_;
  const std::map<std::string, PeerState>& peers_;
  World world_;
  std::set<std::string> changed_;  // keys of services
};

}  // namespace

std::optional<World> MergeEndpoints(const MergedFrom& before, const World& local,
                                    const std::map<std::string, PeerState>& peers) {
  return FollowEndpoints(before, local, peers).Run();
}

MergedWorld MergeWorld(const World& local, const std::map<std::string, PeerState>& peers,
                       const World* previous) {
  Merge merge(local, previous);
  for (const auto& [cluster, state] : peers) merge.AddPeer(state);
  return std::move(merge).Finish();
}

}  // namespace weft
