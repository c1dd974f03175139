#include "controlplane/federation/claims.h"

#include <algorithm>

#include "controlplane/model/kubernetes.h"
#include "controlplane/model/sharing.h"

namespace weft {
namespace {

bool HasPort(const std::vector<ServicePort>& ports, const ServicePort& port) {
  return std::any_of(ports.begin(), ports.end(),
                     [&](const ServicePort& one) { return one.port == port.port; });
}

// Of a cluster that lacks some of the service's ports, those it has; else nothing, for all. Its
// gateway knows what they lead to there.
std::map<uint16_t, uint16_t> PortsThere(const Service& service, const ExportedService& exported) {
  const bool all =
      std::all_of(service.ports.begin(), service.ports.end(),
                  [&](const ServicePort& port) { return HasPort(exported.ports, port); });
  std::map<uint16_t, uint16_t> ports;
  if (all) return ports;
  for (const ServicePort& port : exported.ports) ports.emplace(port.port, port.port);
  return ports;
}

void AddEndpoints(const Service& service, const Claim& claim, Endpoints& endpoints) {
  const ExportedService& exported = *claim.exported;
  const std::map<uint16_t, uint16_t> ports = PortsThere(service, exported);
  for (const ExportedGroup& group : exported.groups) {
    if (group.ready == 0 || !claim.reachable) continue;
    Endpoint endpoint;
    endpoint.cluster = claim.peer->cluster;
    endpoint.network = claim.peer->network;
    endpoint.trust_domain = claim.peer->trust_domain;
    endpoint.locality = group.locality;
    endpoint.labels = group.labels;
    endpoint.namespace_ = exported.namespace_;
    endpoint.service_account = group.service_account;
    endpoint.mtls = true;
    endpoint.weight = group.ready;
    endpoint.target_ports = ports;
    endpoints.push_back(std::move(endpoint));
  }
  endpoints.insert(endpoints.end(), exported.pods.begin(), exported.pods.end());
}

bool JoinsLocalName(const World& local, const PeerState& state, const ExportedService& exported) {
  const std::string host = HostOf(exported.name, exported.namespace_);
  if (local.aliases.contains(host)) return false;  // it stands for another one here
  // Its clients have no names but ours.
  if (state.workloads.has_value()) return true;
  if (exported.cluster_set_only) return false;
  const auto service = local.services.find(host);
  if (service != local.services.end()) return service->second->merges;
  return MergesUnknownName(local, exported.namespace_);
}

}  // namespace

// A remote cluster's pods call its system services by the name that ours call ours by, and are led
// to theirs. Of those that we do not have, its own DNS knows.
bool IsTaken(const World& local, const PeerState& state, const ExportedService& exported) {
  if (!IsSystemNamespace(exported.namespace_)) return true;
  return state.workloads.has_value() && exported.namespace_ == "kube-system" &&
         local.services.contains(HostOf(exported.name, exported.namespace_));
}

Claim ClaimOf(const World& local, const PeerState& state, const Peer& peer,
              const ExportedService& exported) {
  return {&peer, &exported, state.reachable(), exported.in_cluster_set,
          JoinsLocalName(local, state, exported)};
}

Endpoints EndpointsOf(const Service& service, const Endpoints* own,
                      const std::vector<Claim>& claims) {
  Endpoints endpoints;
  if (own != nullptr) endpoints = *own;
  for (const Claim& claim : claims) {
    const bool counts = service.cluster_set ? claim.in_cluster_set : claim.joins_local;
    if (counts) AddEndpoints(service, claim, endpoints);
  }
  return endpoints;
}

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

}  // namespace weft
