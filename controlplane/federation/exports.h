// What one cluster tells another of its services, as plain values.
//
// A service's ready pods are summed up into groups: no pod, no address of the pod network, and no
// service that is not exported ever crosses. The peer API (api/weft/peer.proto) carries exactly
// these; controlplane/federation/merge.h turns them into endpoints of the other World.
#ifndef WEFT_CONTROLPLANE_FEDERATION_EXPORTS_H_
#define WEFT_CONTROLPLANE_FEDERATION_EXPORTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/federation/peer_health.h"
#include "controlplane/model/world.h"

namespace weft {

struct PeerConfigs;  // federation/config_object.h

// The ready pods of a service that differ in nothing but their address.
struct ExportedGroup {
  Locality locality;
  Labels labels;
  std::string service_account;
  uint32_t ready = 0;

  friend bool operator==(const ExportedGroup&, const ExportedGroup&) = default;
  friend auto operator<=>(const ExportedGroup&, const ExportedGroup&) = default;
};

struct ExportedService {
  std::string namespace_;
  std::string name;
  std::vector<ServicePort> ports;
  std::vector<ExportedGroup> groups;  // sorted; none: exported, but nothing is ready
  // Instead of groups the pods themselves, of a cluster whose API server we read
  // (federation/remote_view.h): whoever is on their network dials them. The peer API carries none.
  Endpoints pods = {};
  int64_t exported_at = 0;        // Unix seconds; 0: ever since
  bool cluster_set_only = false;  // not to join the local name of other clusters
  bool headless = false;
  bool session_affinity = false;  // to the client's address
  // False: only for the cluster's own clients, which we serve (federation/remote_view.h).
  bool in_cluster_set = true;

  friend bool operator==(const ExportedService&, const ExportedService&) = default;
};

using ServiceName = std::pair<std::string, std::string>;  // namespace and name
using PeerExports = std::map<ServiceName, ExportedService>;

// Those with a sidecar that are ready, of `cluster`, summed up.
std::vector<ExportedGroup> GroupsOf(const Endpoints& endpoints, const std::string& cluster);

// What this cluster exports: services that it has itself (Service::local) and that are exported,
// with the groups of their endpoints in this cluster. Pods without a sidecar are left out: what
// comes through a gateway is mTLS, and nobody would answer it there. What peers export is never
// passed on.
PeerExports Exports(const World& world);

// The services that are not the same in both, those that only one of them has included.
std::set<ServiceName> ChangedServices(const PeerExports& before, const PeerExports& after);

// What is known of one linked cluster. `exports` is never null.
struct PeerState {
  std::shared_ptr<const Peer> peer;
  std::shared_ptr<const PeerExports> exports;
  PeerHealth health = PeerHealth::kFresh;
  // Of peer->gateways, those that do not answer.
  std::vector<GatewayAddress> dead_gateways = {};
  // Of a cluster whose proxies are served here, as it has no control plane; else nothing.
  std::optional<Workloads> workloads = {};
  // What it distributes to this one; null: nothing.
  std::shared_ptr<const PeerConfigs> configs = {};

  // Whether a request may get there: some gateway answers, whatever became of the control plane
  // behind it; or, where there is none to ask, something was heard lately.
  bool reachable() const;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_EXPORTS_H_
