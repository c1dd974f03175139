#include "controlplane/federation/exports.h"

#include <algorithm>

namespace weft {

std::vector<ExportedGroup> GroupsOf(const Endpoints& endpoints, const std::string& cluster) {
  std::map<ExportedGroup, uint32_t> ready;  // the key's own count stays 0
  for (const Endpoint& endpoint : endpoints) {
    if (endpoint.remote() || endpoint.cluster != cluster) continue;
    if (!endpoint.ready || !endpoint.mtls) continue;
    ++ready[{endpoint.locality, endpoint.labels, endpoint.service_account, 0}];
  }
  std::vector<ExportedGroup> groups;
  for (const auto& [group, count] : ready) {
    groups.push_back(group);
    groups.back().ready = count;
  }
  return groups;
}

bool PeerState::reachable() const {
  if (peer->outbound_only) return health != PeerHealth::kExpired;
  if (peer->gateways.empty()) return true;  // nothing to judge by
  return std::any_of(peer->gateways.begin(), peer->gateways.end(),
                     [&](const GatewayAddress& gateway) {
                       return std::find(dead_gateways.begin(), dead_gateways.end(), gateway) ==
                              dead_gateways.end();
                     });
}

PeerExports Exports(const World& world) {
  PeerExports exports;
  for (const auto& [host, service] : world.services) {
    if (!service->local || !service->exported) continue;
    ExportedService exported{service->namespace_, service->name, service->ports, {}};
    exported.exported_at = service->exported_at;
    exported.cluster_set_only = service->cluster_set_only;
    exported.headless = service->address.empty();
    exported.session_affinity = service->session_affinity;
    if (auto it = world.endpoints.find(host); it != world.endpoints.end()) {
      exported.groups = GroupsOf(*it->second, world.self->cluster);
    }
    exports.emplace(std::make_pair(service->namespace_, service->name), std::move(exported));
  }
  return exports;
}

std::set<ServiceName> ChangedServices(const PeerExports& before, const PeerExports& after) {
  std::set<ServiceName> changed;
  for (const auto& [name, service] : after) {
    const auto was = before.find(name);
    if (was == before.end() || was->second != service) changed.insert(name);
  }
  for (const auto& [name, service] : before) {
    if (!after.contains(name)) changed.insert(name);
  }
  return changed;
}

}  // namespace weft
