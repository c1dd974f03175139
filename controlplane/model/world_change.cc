#include "controlplane/model/world_change.h"

#include <algorithm>
#include <tuple>

#include "controlplane/model/east_west_gateway.h"

namespace weft {
namespace {

template <typename T>
bool Same(const std::shared_ptr<T>& a, const std::shared_ptr<T>& b) {
  return a == b;
}
template <typename Value>
bool Same(const std::map<std::string, Value>& a, const std::map<std::string, Value>& b) {
  return a == b;
}
// Of shared objects the pointers count, wherever they lie.
template <typename T>
bool Same(const SharedMap<std::string, std::shared_ptr<T>>& a,
          const SharedMap<std::string, std::shared_ptr<T>>& b) {
  return a == b;
}
// Of names and configs their own addresses, too: an index points to them.
bool Same(const SharedMap<std::string, Alias>& a, const SharedMap<std::string, Alias>& b) {
  return a.SharesAllWith(b);
}
template <typename Spec>
bool Same(const Configs<Spec>& a, const Configs<Spec>& b) {
  return a.SharesAllWith(b);
}

bool Same(const GatewayApi& a, const GatewayApi& b) {
  const auto& [classes, gateways, http, grpc, tls, tcp, grants] = a;
  return Same(classes, b.classes) && Same(gateways, b.gateways) && Same(http, b.http_routes) &&
         Same(grpc, b.grpc_routes) && Same(tls, b.tls_routes) && Same(tcp, b.tcp_routes) &&
         Same(grants, b.reference_grants);
}

// Names every member, so that one that is new does not compile before it was thought of here.
auto Others(const World& world) {
  const auto& [self, peers, services, endpoints, aliases, imports, workloads, remote_workloads,
               namespaces, virtual_services, destination_rules, gateways, service_entries,
               workload_entries, workload_groups, sidecars, peer_authentications,
               authorization_policies, request_authentications, service_exports, gateway_api,
               secrets, telemetries, mesh_configs, key_sets] = world;
  (void)endpoints;
  (void)workloads;
  (void)remote_workloads;
  (void)virtual_services;
  // Of these only the endpoints and workloads that they make are looked at.
  (void)workload_entries;
  (void)workload_groups;
  (void)secrets;  // looked at by themselves
  return std::tie(self, peers, services, aliases, imports, namespaces, destination_rules, gateways,
                  service_entries, sidecars, peer_authentications, authorization_policies,
                  request_authentications, service_exports, gateway_api, telemetries, mesh_configs,
                  key_sets);
}

template <typename... T>
bool AllSame(const std::tuple<T...>& a, const std::tuple<T...>& b) {
  return [&]<size_t... I>(std::index_sequence<I...>) {
    return (Same(std::get<I>(a), std::get<I>(b)) && ...);
  }(std::index_sequence_for<T...>());
}

// Every service of a cluster that nobody can dial is reached through our own gateways.
bool GatewaysChanged(const World& before, const World& after) {
  const bool any = std::any_of(after.peers.begin(), after.peers.end(),
                               [](const auto& peer) { return peer.second->outbound_only; });
  if (!any) return false;
  bool changed = false;
  decltype(World::workloads)::Diff(before.workloads, after.workloads,
                                   [&](const std::string&, const auto* was, const auto* is) {
                                     changed |= was != nullptr && IsEastWestGateway(**was);
                                     changed |= is != nullptr && IsEastWestGateway(**is);
                                   });
  return changed;
}

// Where clusters have the same addresses, one stands for all: that costs a needless look.
void DiffWorkloads(const World& before, const World& after, std::vector<std::string>& addresses) {
  static const Workloads kNone;
  const auto add = [&](const std::string& address, const auto*, const auto*) {
    addresses.push_back(address);
  };
  Workloads::Diff(before.workloads, after.workloads, add);
  for (const auto& [cluster, workloads] : after.remote_workloads) {
    const auto was = before.remote_workloads.find(cluster);
    Workloads::Diff(was == before.remote_workloads.end() ? kNone : was->second, workloads, add);
  }
  for (const auto& [cluster, workloads] : before.remote_workloads) {
    if (!after.remote_workloads.contains(cluster)) Workloads::Diff(workloads, kNone, add);
  }
  if (after.remote_workloads.empty() && before.remote_workloads.empty()) return;  // is in order
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
}

}  // namespace

WorldChange ChangeBetween(const World& before, const World& after) {
  WorldChange change;
  if (!AllSame(Others(before), Others(after)) || GatewaysChanged(before, after)) return change;
  bool other_secrets = false;
  decltype(World::secrets)::Diff(before.secrets, after.secrets,
                                 [&](const std::string&, const auto* was, const auto* is) {
                                   change.secrets = true;
                                   other_secrets |= was == nullptr || is == nullptr;
                                 });
  if (other_secrets) return WorldChange();
  change.extent = Same(before.virtual_services, after.virtual_services)
                      ? WorldChange::Extent::kEndpoints
                      : WorldChange::Extent::kVirtualServices;
  const auto add_to = [](std::vector<std::string>& keys) {
    return [&](const std::string& key, const auto*, const auto*) { keys.push_back(key); };
  };
  decltype(World::endpoints)::Diff(before.endpoints, after.endpoints, add_to(change.services));
  DiffWorkloads(before, after, change.workloads);
  return change;
}

}  // namespace weft
