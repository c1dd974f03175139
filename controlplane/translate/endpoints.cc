#include "controlplane/translate/endpoints.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

#include "api/envoy/endpoint.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/subnet.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/locality.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/reach.h"
#include "controlplane/translate/tunnels.h"

namespace weft {
namespace {

using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::config::endpoint::v3::LbEndpoint;

constexpr uint32_t kOverprovisioningPercent = 140;
// Weights are scaled so that a group divides evenly among its cluster's gateways; beyond this the
// division is rounded instead.
constexpr uint32_t kMostScale = 64;

// A place to dial, before weights are scaled and priorities compacted.
struct Place {
  Locality locality;
  Distance distance;
  std::string address;
  uint16_t port = 0;
  std::string tls_mode;  // which of the cluster's transport sockets; none: plain
  bool gateway = false;
  uint32_t pods = 0;       // ready ones behind it
  uint32_t shared_by = 1;  // gateways that share these pods
};

// What a client can dial: with mesh TLS other clusters' gateways, too.
enum class Reach { kMesh, kPlain };

// Empty if such a client reaches none of its addresses.
std::string DialedAddress(const Endpoint& endpoint, IpFamilies client) {
  return AddressFor(client, endpoint.address, endpoint.other_address);
}

std::vector<const Endpoint*> SelectEndpoints(const TranslationIndex& index,
                                             const OutboundScope& scope,
                                             const OutboundCluster& cluster, Reach reach) {
  std::vector<const Endpoint*> selected;
  const bool mesh_tls = reach == Reach::kMesh && cluster.takes_mesh_tls();
  const Service& service = *cluster.service;
  for (const Endpoint& endpoint : index.EndpointsOf(service)) {
    if (!endpoint.ready || IsOfAnother(index, scope, service, endpoint)) continue;
    // A gateway routes by the server name of mesh TLS and passes it through to a sidecar.
    const bool entered = !IsDialed(index, scope, service, endpoint);
    if (entered && !(mesh_tls && endpoint.mtls)) continue;
    if (!entered && DialedAddress(endpoint, scope.families).empty()) continue;
    // Clients of gRPC's own dial addresses, neither names nor sockets.
    if (reach == Reach::kPlain && !ParseSubnet(endpoint.address).has_value()) continue;
    if (cluster.subset != nullptr && !Selects(cluster.subset->labels(), endpoint.labels)) continue;
    bool has_port = endpoint.target_ports.count(cluster.port->port) > 0;
    if (!has_port && !(endpoint.remote() && endpoint.target_ports.empty())) continue;
    selected.push_back(&endpoint);
  }
  return selected;
}

Place LocalPlace(const TranslationIndex& index, IpFamilies client, const OutboundCluster& cluster,
                 const Endpoint& endpoint) {
  Place place;
  place.locality = endpoint.locality;
  place.address = DialedAddress(endpoint, client);
  place.port = endpoint.target_ports.at(cluster.port->port);
  const bool mesh_tls =
      endpoint.mtls && cluster.takes_mesh_tls() &&
      index.MtlsModeOf(endpoint.namespace_, endpoint.labels, place.port) != MtlsMode::kDisable;
  if (mesh_tls) place.tls_mode = "istio";
  place.pods = std::max<uint32_t>(endpoint.weight, 1);
  return place;
}

// The places of one cluster. Groups behind the same gateway are one place: the gateway decides
// among its pods, whatever zone they are in, so the nearest of them says how near it is.
std::vector<Place> PlacesOf(const TranslationIndex& index, const OutboundScope& scope,
                            const OutboundCluster& cluster,
                            const std::vector<const Endpoint*>& endpoints,
                            const LocalityRules& rules) {
  std::vector<Place> places;
  std::map<std::tuple<std::string, uint16_t, std::string>, Place> gateways;
  for (const Endpoint* endpoint : endpoints) {
    const Distance distance = rules.DistanceTo(*endpoint);
    const Peer* entrance = PeerBefore(index, scope, *endpoint);
    if (entrance == nullptr) {
      if (endpoint->remote()) continue;
      places.push_back(LocalPlace(index, scope.families, cluster, *endpoint));
      places.back().distance = distance;
      continue;
    }
    const std::vector<Entrance> entrances = EntrancesTo(index, scope, *entrance);
    for (const Entrance& gateway : entrances) {
      auto [found, is_new] =
          gateways.try_emplace({gateway.address, gateway.port, gateway.tls_mode});
      Place& place = found->second;
      if (is_new || distance < place.distance) {
        place.distance = distance;
        place.locality = endpoint->locality;
      }
      place.address = gateway.address;
      place.port = gateway.port;
      place.tls_mode = gateway.tls_mode;
      place.gateway = true;
      place.pods += std::max<uint32_t>(endpoint->weight, 1);
      place.shared_by = static_cast<uint32_t>(entrances.size());
    }
  }
  for (auto& [address, place] : gateways) places.push_back(std::move(place));
  return places;
}

uint32_t ScaleFor(const std::vector<Place>& places) {
  uint32_t scale = 1;
  for (const Place& place : places) {
    uint32_t common = std::lcm(scale, place.shared_by);
    if (common <= kMostScale) scale = common;
  }
  return scale;
}

LbEndpoint LbEndpointOf(const Place& place, uint32_t scale) {
  LbEndpoint endpoint;
  *endpoint.mutable_endpoint()->mutable_address() = AddressOf(place.address, place.port);
  endpoint.mutable_load_balancing_weight()->set_value(
      std::max<uint32_t>(1, place.pods * scale / place.shared_by));
  const auto metadata = [&](const char* filter, const char* key) -> google::protobuf::Value& {
    auto& fields = (*endpoint.mutable_metadata()->mutable_filter_metadata())[filter];
    return (*fields.mutable_fields())[key];
  };
  if (!place.tls_mode.empty()) {
    metadata("envoy.transport_socket_match", "tlsMode").set_string_value(place.tls_mode);
  }
  if (place.gateway) {
    metadata("weft", "fanout")
        .set_number_value(std::max<uint32_t>(1, place.pods / place.shared_by));
  }
  return endpoint;
}

// Nearest first.
void SortByDistance(std::vector<Place>& places) {
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::tie(a.distance, a.locality, a.address, a.port, a.tls_mode) <
           std::tie(b.distance, b.locality, b.address, b.port, b.tls_mode);
  });
}

ClusterLoadAssignment AssignmentOf(const std::string& name, std::vector<Place> places) {
  SortByDistance(places);
  ClusterLoadAssignment assignment;
  assignment.set_cluster_name(name);
  assignment.mutable_policy()->mutable_overprovisioning_factor()->set_value(
      kOverprovisioningPercent);
  const uint32_t scale = ScaleFor(places);
  const Place* last = nullptr;
  uint32_t priority = 0;
  for (const Place& place : places) {
    const bool farther = last != nullptr && place.distance != last->distance;
    if (farther) ++priority;
    if (last == nullptr || farther || place.locality != last->locality) {
      auto* group = assignment.add_endpoints();
      group->set_priority(priority);
      group->mutable_locality()->set_region(place.locality.region);
      group->mutable_locality()->set_zone(place.locality.zone);
      group->mutable_locality()->set_sub_zone(place.locality.sub_zone);
    }
    auto& group = *assignment.mutable_endpoints(assignment.endpoints_size() - 1);
    *group.add_lb_endpoints() = LbEndpointOf(place, scale);
    auto* weight = group.mutable_load_balancing_weight();
    weight->set_value(weight->value() +
                      group.lb_endpoints().rbegin()->load_balancing_weight().value());
    last = &place;
  }
  return assignment;
}

// Shares of the localities instead of the weights of their endpoints; who gets none is left out,
// and priorities are closed up.
void Distribute(const LocalityRules& rules, ClusterLoadAssignment& assignment) {
  std::vector<std::pair<Locality, uint32_t>> localities;
  for (const auto& group : assignment.endpoints()) {
    localities.emplace_back(Locality{group.locality().region(), group.locality().zone()},
                            group.load_balancing_weight().value());
  }
  const auto shares = rules.Distribute(localities);
  if (!shares.has_value()) return;
  google::protobuf::RepeatedPtrField<envoy::config::endpoint::v3::LocalityLbEndpoints> groups;
  groups.Swap(assignment.mutable_endpoints());
  std::map<uint32_t, uint32_t> priorities;  // as they were and as they are now
  for (int i = 0; i < groups.size(); ++i) {
    if ((*shares)[i] == 0) continue;
    auto* group = assignment.add_endpoints();
    group->Swap(groups.Mutable(i));
    const auto next = static_cast<uint32_t>(priorities.size());
    group->set_priority(priorities.try_emplace(group->priority(), next).first->second);
    group->mutable_load_balancing_weight()->set_value((*shares)[i]);
  }
}

ClusterLoadAssignment AssignmentFor(const TranslationIndex& index, const OutboundScope& scope,
                                    const OutboundCluster& cluster, Reach reach) {
  const std::vector<const Endpoint*> endpoints = SelectEndpoints(index, scope, cluster, reach);
  const auto* balancing = cluster.policy.load_balancer;
  const bool stated = balancing != nullptr && balancing->has_locality_lb_setting();
  const LocalityRules rules(stated ? &balancing->locality_lb_setting() : nullptr, *cluster.service,
                            index.world(), scope, endpoints);
  std::vector<Place> places = PlacesOf(index, scope, cluster, endpoints, rules);
  if (reach == Reach::kPlain) {
    for (Place& place : places) place.tls_mode.clear();
  }
  ClusterLoadAssignment assignment = AssignmentOf(cluster.name, std::move(places));
  Distribute(rules, assignment);
  return assignment;
}

}  // namespace

ClusterLoadAssignment AssignmentFor(const TranslationIndex& index, const OutboundScope& scope,
                                    const OutboundCluster& cluster) {
  return AssignmentFor(index, scope, cluster, Reach::kMesh);
}

EncodedResources OutboundEndpoints(const TranslationIndex& index, const OutboundScope& scope,
                                   const std::vector<OutboundCluster>& list) {
  EncodedResources assignments;
  for (const OutboundCluster& cluster : list) {
    if (!cluster.has_endpoints()) continue;
    assignments.emplace(cluster.name, EncodeResource(AssignmentFor(index, scope, cluster)));
  }
  return assignments;
}

EncodedResources PlainEndpoints(const TranslationIndex& index, const OutboundScope& scope,
                                const std::vector<OutboundCluster>& list) {
  EncodedResources assignments;
  for (const OutboundCluster& cluster : list) {
    if (cluster.own_choice) continue;
    ClusterLoadAssignment assignment = AssignmentFor(index, scope, cluster, Reach::kPlain);
    if (assignment.endpoints().empty()) {
      auto* nowhere = assignment.add_endpoints();
      nowhere->mutable_locality();
      nowhere->mutable_load_balancing_weight()->set_value(1);
    }
    assignments.emplace(cluster.name, EncodeResource(assignment));
  }
  return assignments;
}

}  // namespace weft
