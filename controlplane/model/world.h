// World: everything one control plane knows, as an immutable value.
//
// The engine's one thread makes a new World for each change and publishes it as a
// shared_ptr<const World>; readers keep the one they hold. Objects inside are shared between
// Worlds, and so are the maps that hold them (SharedMap): a new World costs next to nothing, and
// "did this change?" is a comparison of pointers.
//
// A World holds services as the mesh sees them: the cluster's own objects with what peers export
// already merged in (controlplane/federation). Everything in it was validated (controlplane/model/
// validate.h); what failed validation is absent, or present in its last good state.
#ifndef WEFT_CONTROLPLANE_MODEL_WORLD_H_
#define WEFT_CONTROLPLANE_MODEL_WORLD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "controlplane/model/shared_map.h"

namespace istio::networking::v1alpha3 {
class DestinationRule;
class Gateway;
class ServiceEntry;
class Sidecar;
class VirtualService;
class WorkloadEntry;
class WorkloadGroup;
}  // namespace istio::networking::v1alpha3

namespace istio::security::v1beta1 {
class AuthorizationPolicy;
class PeerAuthentication;
class RequestAuthentication;
}  // namespace istio::security::v1beta1

namespace weft::kubernetes {
class GatewayClassSpec;
class GatewaySpec;
class GrpcRouteSpec;
class HttpRouteSpec;
class ReferenceGrantSpec;
class ServiceExportSpec;
class TcpRouteSpec;
class TlsRouteSpec;
}  // namespace weft::kubernetes

namespace istio::mesh::v1alpha1 {
class MeshConfig;
}

namespace istio::telemetry::v1alpha1 {
class Telemetry;
}

namespace weft {

using Labels = std::map<std::string, std::string>;

// Where something runs; empty strings where nothing is stated.
struct Locality {
  std::string region;
  std::string zone;
  std::string sub_zone = {};

  bool stated() const { return !region.empty(); }
  friend bool operator==(const Locality&, const Locality&) = default;
  friend auto operator<=>(const Locality&, const Locality&) = default;
};

// How a port's traffic is read: from appProtocol, else from the port name's prefix ("http-web"),
// else TCP.
enum class Protocol { kTcp, kTls, kHttp, kHttp2, kGrpc, kUdp };

struct ServicePort {
  std::string name;  // may be empty for a single port
  uint16_t port = 0;
  Protocol protocol = Protocol::kTcp;

  friend bool operator==(const ServicePort&, const ServicePort&) = default;
};

// Where connections to a service go.
enum class Resolution {
  kEndpoints,            // to the endpoints that are known
  kOriginalDestination,  // to wherever the client dialed
  kDns,                  // to all addresses that the endpoints' names resolve to
  kDnsRoundRobin,        // to one of them, whichever a new connection finds
};

// Whether clients are to go to the pods of their own cluster or to those of others, as long as
// there are any (`service.cilium.io/affinity`). kNone: to all alike, however near.
enum class ServiceAffinity { kUnstated, kLocal, kRemote, kNone };

// What only a ServiceEntry can say of a service.
struct EntryTraits {
  Resolution resolution = Resolution::kOriginalDestination;
  bool external = true;                     // nobody there has an identity of the mesh
  std::vector<std::string> addresses = {};  // IPs and CIDR blocks, as stated
  std::vector<std::string> subject_alt_names = {};

  friend bool operator==(const EntryTraits&, const EntryTraits&) = default;
};

// A service by its name in the mesh. The same namespace and name in several clusters is one
// service.
struct Service {
  std::string namespace_;
  std::string name;
  std::string host;  // "reviews.default.svc.cluster.local"
  // What its names resolve to: the local cluster IPs, else virtual ones from 240.240.0.0/16 and
  // 2001:2::/48; empty for a headless service.
  std::string address;
  std::string other_address = {};  // of the other IP family, if it has one
  bool local = false;              // this cluster has it (a Service object), not only peers
  bool exported = false;           // peers may know it, and the gateway may let them in
  std::vector<ServicePort> ports;
  // Whose clients see it: namespaces, "*", "." or "~"; all if empty.
  std::vector<std::string> export_to = {};
  std::optional<EntryTraits> entry = {};  // of a ServiceEntry; its host may be "*.example.com"
  // The Gateway of the Gateway API whose pods it selects, by name; else empty.
  std::string gateway = {};
  std::vector<std::string> outside = {};  // IPs and names that lead here from outside the cluster
  ServiceAffinity affinity = ServiceAffinity::kUnstated;
  // Its own network first, then region, then zone, stated or not: `trafficDistribution`.
  bool prefers_close = false;
  bool session_affinity = false;  // as stated, for who imports it; the mesh balances all the same

  // Of a service that other clusters have or may have (model/sharing.h):
  // whether theirs joins it under its local name,
  bool merges = true;
  // since when it is exported, in Unix seconds, 0: ever since,
  int64_t exported_at = 0;
  // and whether it joins no other cluster's under the local name.
  bool cluster_set_only = false;
  // Its host is NAME.NS.svc.clusterset.local, since the local name leads elsewhere, or nowhere.
  bool cluster_set = false;

  // In World::services and World::endpoints: the host, but ServiceEntries of several namespaces may
  // have the same one.
  std::string key() const { return entry.has_value() ? namespace_ + "/" + host : host; }

  friend bool operator==(const Service&, const Service&) = default;
};

// Another name of `target`: a service of type ExternalName, whose target may be a service of the
// mesh, by any of its names, or a name of the world outside; or NAME.NS.svc.clusterset.local, where
// that is the same service as the local name's.
struct Alias {
  std::string host;
  std::string namespace_;
  std::string name;
  std::string target;
  bool cluster_set = false;

  friend bool operator==(const Alias&, const Alias&) = default;
};

// What all clusters together say of a service that any of them exports. Where they differ, the
// oldest export counts, of equally old ones that of the first cluster by name.
struct ServiceImport {
  std::string namespace_;
  std::string name;
  bool headless = false;
  bool session_affinity = false;
  std::vector<ServicePort> ports;     // of all of them, but for those in conflict
  std::vector<std::string> ips;       // of its name; none if it is headless
  std::vector<std::string> clusters;  // that export it, in order
  // What they differ in, by the reasons of the MCS API ("PortConflict", with commas), and in words;
  // empty if they agree.
  std::string conflict = {};
  std::string conflict_message = {};

  friend bool operator==(const ServiceImport&, const ServiceImport&) = default;
};

// One ready place that answers for a service: a pod of this cluster, or all the pods of a group in
// another cluster, reached through that cluster's gateways.
struct Endpoint {
  std::string cluster;
  std::string network;  // empty: within everybody's reach, as of a ServiceEntry that states none
  Locality locality;
  Labels labels;  // the pod's (or the group's common) labels: what subsets select on
  std::string namespace_;
  std::string service_account;
  std::string trust_domain;
  std::string pod;       // empty for a remote group
  std::string hostname;  // of a pod that has a name of its own below a headless service's; else ""
  std::string workload;  // "reviews-v1", empty if unknown
  bool mtls = false;     // a sidecar answers there
  bool ready = true;
  // Address and, for each port of the service by its number, the port to dial there. For a remote
  // group the address is empty: its gateways (World::peers) are dialed. A ServiceEntry's endpoint
  // may also have a host name here (kDns), or "unix:///path".
  std::string address;
  std::string other_address = {};  // the pod's of the other IP family, if the service has both
  std::map<uint16_t, uint16_t> target_ports;
  uint32_t weight = 1;  // for a remote group: how many ready pods stand behind it

  bool remote() const { return address.empty(); }
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};
using Endpoints = std::vector<Endpoint>;

// A pod of this cluster, or a machine that a WorkloadEntry tells of: what a proxy's view and the
// inbound listeners are made from.
struct Workload {
  std::string namespace_;
  std::string name;  // the pod's or the WorkloadEntry's
  std::string address;
  std::string other_address;  // of the other IP family, if it has one
  std::string service_account;
  std::string workload;  // of the owner: "reviews-v1"
  Labels labels;
  Locality locality;
  bool injected = false;

  friend bool operator==(const Workload&, const Workload&) = default;
};

using Workloads = SharedMap<std::string, std::shared_ptr<const Workload>>;

// Where and what an object is, for messages: "routes.yaml:12: VirtualService default/reviews".
struct ObjectKey {
  std::string kind;
  std::string namespace_;  // empty for cluster-scoped kinds
  std::string name;

  friend bool operator==(const ObjectKey&, const ObjectKey&) = default;
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};
std::string ToString(const ObjectKey& key);  // "VirtualService default/reviews"

// An Istio-style object; the spec is shared and never null.
template <typename Spec>
struct Config {
  ObjectKey key;
  std::string origin;              // "routes.yaml:12"
  std::string creation_timestamp;  // RFC 3339, empty in files: then the name decides who is older
  Labels labels;
  std::shared_ptr<const Spec> spec;
  Labels annotations = {};
  int64_t generation = 0;  // of the spec, as the API server counts; 0 in files
  // The one that distributed it to us; empty: it is our own.
  std::string cluster = {};
};
// Ordered by namespace and name, so translation is deterministic.
template <typename Spec>
using Configs = SharedMap<std::pair<std::string, std::string>, Config<Spec>>;

// The kinds of gateway.networking.k8s.io.
struct GatewayApi {
  Configs<kubernetes::GatewayClassSpec> classes;  // in no namespace
  Configs<kubernetes::GatewaySpec> gateways;
  Configs<kubernetes::HttpRouteSpec> http_routes;
  Configs<kubernetes::GrpcRouteSpec> grpc_routes;
  Configs<kubernetes::TlsRouteSpec> tls_routes;
  Configs<kubernetes::TcpRouteSpec> tcp_routes;
  Configs<kubernetes::ReferenceGrantSpec> reference_grants;
};

// What a Secret holds for TLS, as PEM; empty where it does not have it. A certificate has its key,
// and they fit.
struct TlsSecret {
  std::string certificate;  // the chain, leaf first
  std::string key;          // never logged
  std::string ca;
  std::string crl;

  friend bool operator==(const TlsSecret&, const TlsSecret&) = default;
};

struct GatewayAddress {
  std::string address;       // an IP
  uint16_t port = 0;         // takes mesh TLS by its server name
  uint16_t tunnel_port = 0;  // takes tunnels (api/weft/tunnel.proto); 0: none

  friend bool operator==(const GatewayAddress&, const GatewayAddress&) = default;
};

// Another cluster that this one is linked with.
struct Peer {
  std::string cluster;
  std::string network;
  std::string trust_domain;
  std::string roots_pem;  // vouch for identities of its trust domain and of no other
  std::vector<GatewayAddress> gateways;
  // Nobody can dial it: its gateways dial ours, and what is for it goes over that.
  bool outbound_only = false;
  bool draining = false;  // any other cluster is to be preferred
  uint32_t cost = 0;      // of several clusters the ones of lower cost come first
  // Namespaces of which it may distribute config to us (federation/config_view.h); "*": all.
  std::vector<std::string> accept_config = {};

  friend bool operator==(const Peer&, const Peer&) = default;
};

struct ClusterIdentity {
  std::string cluster;
  std::string network;
  std::string mesh_id;
  std::string trust_domain;
  std::string roots_pem;  // of its own CA
  // Where weftd's peer API listens inside the cluster; its gateways forward peers to it.
  GatewayAddress peer_api;
  bool outbound_only = false;  // nobody can dial it: its gateways dial those of its peers
  bool draining = false;       // its traffic goes to other clusters as far as they can take it
  // Where clients of other networks reach its pods.
  std::vector<GatewayAddress> gateways = {};
  // By which its gateways name pods towards other clusters (api/weft/tunnel.proto); a secret.
  std::string pod_name_key = {};
  // Whether local names lead to what other clusters export, too, where nobody says otherwise.
  bool merges_local_names = true;

  friend bool operator==(const ClusterIdentity&, const ClusterIdentity&) = default;
};

struct World {
  std::shared_ptr<const ClusterIdentity> self;
  std::map<std::string, std::shared_ptr<const Peer>> peers;  // by cluster

  SharedMap<std::string, std::shared_ptr<const Service>> services;     // by key()
  SharedMap<std::string, std::shared_ptr<const Endpoints>> endpoints;  // the same; local and remote
  SharedMap<std::string, Alias> aliases;                               // by host
  // By the name in the cluster set.
  SharedMap<std::string, std::shared_ptr<const ServiceImport>> imports;
  Workloads workloads;  // by each of its addresses
  // The same of clusters whose proxies are served here, as they have no control plane; by cluster.
  // Addresses may be the same as ours.
  std::map<std::string, Workloads> remote_workloads;
  SharedMap<std::string, std::shared_ptr<const Labels>> namespaces;

  Configs<istio::networking::v1alpha3::VirtualService> virtual_services;
  Configs<istio::networking::v1alpha3::DestinationRule> destination_rules;
  Configs<istio::networking::v1alpha3::Gateway> gateways;
  Configs<istio::networking::v1alpha3::ServiceEntry> service_entries;
  Configs<istio::networking::v1alpha3::WorkloadEntry> workload_entries;
  Configs<istio::networking::v1alpha3::WorkloadGroup> workload_groups;
  Configs<istio::networking::v1alpha3::Sidecar> sidecars;
  Configs<istio::security::v1beta1::PeerAuthentication> peer_authentications;
  Configs<istio::security::v1beta1::AuthorizationPolicy> authorization_policies;
  Configs<istio::security::v1beta1::RequestAuthentication> request_authentications;
  Configs<kubernetes::ServiceExportSpec> service_exports;
  // As objects; what is made of them is among the VirtualServices and Gateways
  // (model/gateway_api.h), and a World that discovery serves has nothing here.
  GatewayApi gateway_api;
  // By "namespace/name"; only those that are of use for TLS, in their last good form.
  SharedMap<std::string, std::shared_ptr<const TlsSecret>> secrets;
  Configs<istio::telemetry::v1alpha1::Telemetry> telemetries;
  // The mesh-wide settings, of ConfigMaps; which of them counts is for the index to say.
  Configs<istio::mesh::v1alpha1::MeshConfig> mesh_configs;
  // JSON, by the jwksUri of some RequestAuthentication, as last fetched; absent until it was.
  std::map<std::string, std::shared_ptr<const std::string>> key_sets;
};

// Those of a cluster whose proxies are served here, ours (also "") or a remote one; null for any
// other.
const Workloads* WorkloadsOf(const World& world, const std::string& cluster);
// The one at an address of such a cluster, or null.
std::shared_ptr<const Workload> FindWorkload(const World& world, const std::string& cluster,
                                             const std::string& address);

// Calls `visit(cluster, workload)` for all whose proxies are served here, once for each of their
// addresses.
template <typename Visit>
void VisitWorkloads(const World& world, Visit visit) {
  for (const auto& [address, workload] : world.workloads) visit(world.self->cluster, *workload);
  for (const auto& [cluster, workloads] : world.remote_workloads) {
    for (const auto& [address, workload] : workloads) visit(cluster, *workload);
  }
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_WORLD_H_
