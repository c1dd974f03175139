#include "controlplane/model/registry.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/istio/mesh.pb.h"
#include "api/istio/networking.pb.h"
#include "api/istio/security.pb.h"
#include "api/istio/telemetry.pb.h"
#include "api/kubernetes/core.pb.h"
#include "api/kubernetes/gateway.pb.h"
#include "api/kubernetes/multicluster.pb.h"
#include "api/weft/kinds.pb.h"
#include "controlplane/model/ip_families.h"
#include "controlplane/model/kubernetes.h"
#include "controlplane/model/tls_secret.h"
#include "controlplane/model/validate.h"
#include "google/protobuf/util/message_differencer.h"

namespace weft {
namespace {

namespace networking = istio::networking::v1alpha3;
namespace security = istio::security::v1beta1;

constexpr char kServiceNameLabel[] = "kubernetes.io/service-name";

bool Same(const Object& a, const Object& b) {
  return a.origin == b.origin && a.creation_timestamp == b.creation_timestamp &&
         a.labels == b.labels && a.annotations == b.annotations && a.generation == b.generation &&
         google::protobuf::util::MessageDifferencer::Equals(*a.message, *b.message);
}

template <typename T>
std::shared_ptr<const T> As(const Object& object) {
  return std::static_pointer_cast<const T>(object.message);
}

// Of a namespace, that its services are shared by.
bool SharesAlike(const Labels& a, const Labels& b) {
  const auto same = [&](const char* key) {
    const auto in_a = a.find(key), in_b = b.find(key);
    if (in_a == a.end() || in_b == b.end()) return (in_a == a.end()) == (in_b == b.end());
    return in_a->second == in_b->second;
  };
  return same(kExportLabel) && same(kMergeLocal);
}

std::optional<Problem> WhySkipped(const RawObject& raw, Kind kind) {
  if (kind != Kind::kUnknown) return std::nullopt;
  return Problem{Severity::kInfo,
                 "",
                 raw.key,
                 raw.origin,
                 "",
                 absl::StrCat("skipped: ", raw.api_version, " is a kind the mesh does not use")};
}

// What no object shows by itself.
std::vector<Problem> ValidateHere(const Object& object, const ClusterIdentity& self) {
  std::vector<Problem> found = Validate(object);
  if (object.kind == Kind::kLink && object.key.name == self.cluster) {
    found.push_back({Severity::kError, "", object.key, object.origin, "metadata.name",
                     "this is our own cluster's name"});
  }
  return found;
}

uint16_t SlicePort(const kubernetes::EndpointSlice& slice, const std::string& name) {
  for (const kubernetes::EndpointSlice::Port& port : slice.ports()) {
    if (port.name() == name) return static_cast<uint16_t>(port.port());
  }
  return 0;
}

using AddressesByPlace = std::map<std::string, std::set<std::string>>;

// What a place of a service is called in the slices of both families: its address, if nothing else
// tells it from others.
std::string PlaceName(const kubernetes::EndpointSlice::Endpoint& place, const Endpoint& endpoint) {
  if (!endpoint.pod.empty()) return absl::StrCat("Pod ", endpoint.pod);
  const kubernetes::ObjectReference& target = place.target_ref();
  if (!target.name().empty()) return absl::StrCat(target.kind(), " ", target.name());
  if (place.hostname().empty() || place.node_name().empty()) return place.addresses(0);
  return absl::StrCat(place.node_name(), "/", place.hostname());
}

// A pod of both families is one endpoint, and counts once.
void JoinFamilies(const AddressesByPlace& places, std::map<std::string, Endpoint>& by_address) {
  for (const auto& [place, addresses] : places) {
    const auto v4 = std::find_if_not(addresses.begin(), addresses.end(), IsIpv6);
    const auto v6 = std::find_if(addresses.begin(), addresses.end(), IsIpv6);
    if (v4 == addresses.end() || v6 == addresses.end()) continue;
    by_address[*v4].other_address = *v6;
    by_address.erase(*v6);
  }
}

}  // namespace

Registry::Registry(std::shared_ptr<const ClusterIdentity> self, ExportPolicy exports)
    : self_(std::move(self)), exports_(exports) {
  local_.self = self_;
}

void Registry::SetSelf(std::shared_ptr<const ClusterIdentity> self) {
  self_ = std::move(self);
  local_.self = self_;
}

// ---- Objects in.

std::vector<Problem> Registry::Apply(const std::vector<ObjectDelta>& deltas) {
  std::vector<Problem> problems;
  for (const ObjectDelta& delta : deltas) {
    if (delta.object == nullptr) {
      Remove(delta.key);
      continue;
    }
    const Kind kind = KindOf(delta.key);
    if (!IsUsed(kind)) {
      if (auto skipped = WhySkipped(*delta.object, kind)) problems.push_back(*std::move(skipped));
      continue;
    }
    absl::StatusOr<Object> object = Decode(*delta.object);
    if (!object.ok()) {
      problems.push_back({Severity::kError, "", delta.key, delta.object->origin, "",
                          std::string(object.status().message())});
      continue;
    }
    const std::vector<Problem> found = ValidateHere(*object, *self_);
    problems.insert(problems.end(), found.begin(), found.end());
    if (!HasErrors(found)) Put(*std::move(object));
  }
  return problems;
}

void Registry::Put(Object object) {
  const auto known = objects_.find(object.key);
  if (known != objects_.end() && Same(known->second, object)) return;
  const Name name(object.key.namespace_, object.key.name);
  switch (object.kind) {
    case Kind::kService:
      services_[name] = As<kubernetes::Service>(object);
      changed_services_.insert(name);
      break;
    case Kind::kEndpointSlice:
      PutSlice(name, As<kubernetes::EndpointSlice>(object));
      break;
    case Kind::kPod:
      PutPod(name, As<kubernetes::Pod>(object));
      break;
    case Kind::kNode:
      PutNode(name.second, As<kubernetes::Node>(object));
      break;
    case Kind::kNamespace:
      PutNamespace(name.second, object.labels);
      break;
    case Kind::kVirtualService:
      PutConfig(local_.virtual_services, object);
      break;
    case Kind::kDestinationRule:
      PutConfig(local_.destination_rules, object);
      break;
    case Kind::kGateway:
      PutConfig(local_.gateways, object);
      break;
    case Kind::kPeerAuthentication:
      PutConfig(local_.peer_authentications, object);
      break;
    case Kind::kAuthorizationPolicy:
      PutConfig(local_.authorization_policies, object);
      break;
    case Kind::kRequestAuthentication:
      PutConfig(local_.request_authentications, object);
      break;
    case Kind::kServiceEntry:
      UnlinkEntry(name);
      PutConfig(local_.service_entries, object);
      LinkEntry(name);
      break;
    case Kind::kSidecar:
      PutConfig(local_.sidecars, object);
      break;
    case Kind::kWorkloadEntry:
      UnlinkMachine(name);
      PutConfig(local_.workload_entries, object);
      LinkMachine(name);
      break;
    case Kind::kWorkloadGroup:
      PutConfig(local_.workload_groups, object);
      break;
    case Kind::kGatewayClass:
      PutConfig(local_.gateway_api.classes, object);
      break;
    case Kind::kKubernetesGateway:
      PutConfig(local_.gateway_api.gateways, object);
      break;
    case Kind::kHttpRoute:
      PutConfig(local_.gateway_api.http_routes, object);
      break;
    case Kind::kGrpcRoute:
      PutConfig(local_.gateway_api.grpc_routes, object);
      break;
    case Kind::kTlsRoute:
      PutConfig(local_.gateway_api.tls_routes, object);
      break;
    case Kind::kTcpRoute:
      PutConfig(local_.gateway_api.tcp_routes, object);
      break;
    case Kind::kReferenceGrant:
      PutConfig(local_.gateway_api.reference_grants, object);
      break;
    case Kind::kServiceExport:
      PutConfig(local_.service_exports, object);
      changed_services_.insert(name);
      break;
    case Kind::kSecret:
      PutSecret(name, *As<kubernetes::Secret>(object));
      break;
    case Kind::kTelemetry:
      PutConfig(local_.telemetries, object);
      break;
    case Kind::kLink:
      PutConfig(links_, object);
      break;
    case Kind::kMeshConfig:
      PutConfig(local_.mesh_configs, object);
      break;
    case Kind::kNotUsed:
    case Kind::kUnknown:
      return;
  }
  const ObjectKey key = object.key;
  objects_.insert_or_assign(key, std::move(object));
}

void Registry::Remove(const ObjectKey& key) {
  if (objects_.erase(key) == 0) return;
  const Name name(key.namespace_, key.name);
  switch (KindOf(key)) {
    case Kind::kService:
      services_.erase(name);
      changed_services_.insert(name);
      break;
    case Kind::kEndpointSlice:
      PutSlice(name, nullptr);
      break;
    case Kind::kPod:
      PutPod(name, nullptr);
      break;
    case Kind::kNode:
      PutNode(key.name, nullptr);
      break;
    case Kind::kNamespace:
      PutNamespace(key.name, {});
      local_.namespaces.erase(key.name);
      break;
    case Kind::kVirtualService:
      local_.virtual_services.erase(name);
      break;
    case Kind::kDestinationRule:
      local_.destination_rules.erase(name);
      break;
    case Kind::kGateway:
      local_.gateways.erase(name);
      break;
    case Kind::kPeerAuthentication:
      local_.peer_authentications.erase(name);
      break;
    case Kind::kAuthorizationPolicy:
      local_.authorization_policies.erase(name);
      break;
    case Kind::kRequestAuthentication:
      local_.request_authentications.erase(name);
      break;
    case Kind::kServiceEntry:
      UnlinkEntry(name);
      local_.service_entries.erase(name);
      break;
    case Kind::kSidecar:
      local_.sidecars.erase(name);
      break;
    case Kind::kWorkloadEntry:
      UnlinkMachine(name);
      local_.workload_entries.erase(name);
      break;
    case Kind::kWorkloadGroup:
      local_.workload_groups.erase(name);
      break;
    case Kind::kGatewayClass:
      local_.gateway_api.classes.erase(name);
      break;
    case Kind::kKubernetesGateway:
      local_.gateway_api.gateways.erase(name);
      break;
    case Kind::kHttpRoute:
      local_.gateway_api.http_routes.erase(name);
      break;
    case Kind::kGrpcRoute:
      local_.gateway_api.grpc_routes.erase(name);
      break;
    case Kind::kTlsRoute:
      local_.gateway_api.tls_routes.erase(name);
      break;
    case Kind::kTcpRoute:
      local_.gateway_api.tcp_routes.erase(name);
      break;
    case Kind::kReferenceGrant:
      local_.gateway_api.reference_grants.erase(name);
      break;
    case Kind::kServiceExport:
      local_.service_exports.erase(name);
      changed_services_.insert(name);
      break;
    case Kind::kSecret:
      local_.secrets.erase(SecretKey(name.first, name.second));
      break;
    case Kind::kTelemetry:
      local_.telemetries.erase(name);
      break;
    case Kind::kLink:
      links_.erase(name);
      break;
    case Kind::kMeshConfig:
      local_.mesh_configs.erase(name);
      break;
    case Kind::kNotUsed:
    case Kind::kUnknown:
      break;
  }
}

template <typename Spec>
void Registry::PutConfig(Configs<Spec>& configs, Object object) {
  Config<Spec> config{object.key,       object.origin,    object.creation_timestamp,
                      object.labels,    As<Spec>(object), object.annotations,
                      object.generation};
  const Name name(object.key.namespace_, object.key.name);
  // The same spec from elsewhere is no change to those who compare pointers.
  const auto known = configs.find(name);
  if (known != configs.end() &&
      google::protobuf::util::MessageDifferencer::Equals(*known->second.spec, *config.spec)) {
    config.spec = known->second.spec;
  }
  configs[name] = std::move(config);
}

void Registry::PutSecret(const Name& name, const kubernetes::Secret& object) {
  const std::string key = SecretKey(name.first, name.second);
  absl::StatusOr<TlsSecret> secret = TlsSecretFrom(object);
  if (!secret.ok()) {  // of no use for TLS; what is merely broken does not get here
    local_.secrets.erase(key);
    return;
  }
  Assign(local_.secrets, key, *std::move(secret));
}

void Registry::PutSlice(const Name& name, std::shared_ptr<const kubernetes::EndpointSlice> slice) {
  const auto service_of = [&](const kubernetes::EndpointSlice& s) -> Name {
    const auto label = s.metadata().labels().find(kServiceNameLabel);
    return {name.first, label == s.metadata().labels().end() ? "" : label->second};
  };
  if (const auto old = slices_.find(name); old != slices_.end()) {
    slices_of_[service_of(*old->second)].erase(name);
    changed_services_.insert(service_of(*old->second));
    slices_.erase(old);
  }
  if (slice == nullptr) return;
  slices_of_[service_of(*slice)].insert(name);
  changed_services_.insert(service_of(*slice));
  slices_[name] = std::move(slice);
}

void Registry::PutPod(const Name& name, std::shared_ptr<const kubernetes::Pod> pod) {
  TouchPod(name);
  const auto touch = [this](const std::string& key) {
    const auto users = services_by_pod_.find(key);
    if (users == services_by_pod_.end()) return;
    changed_services_.insert(users->second.begin(), users->second.end());
    services_by_pod_.erase(users);  // made anew by the build
  };
  touch(absl::StrCat(name.first, "/", name.second));
  if (const auto old = pods_.find(name); old != pods_.end()) {
    const auto [first, other] = AddressesOf(*old->second);
    for (const std::string& address : {first, other}) {
      if (address.empty()) continue;
      touch(address);
      changed_workloads_.insert(address);
      pods_at_[address].erase(name);
      if (pods_at_[address].empty()) pods_at_.erase(address);
    }
    pods_.erase(old);
  }
  if (pod == nullptr) return;
  const auto [first, other] = AddressesOf(*pod);
  for (const std::string& address : {first, other}) {
    if (address.empty()) continue;
    touch(address);
    changed_workloads_.insert(address);
    if (HasAddress(*pod)) pods_at_[address].insert(name);
  }
  pods_[name] = std::move(pod);
  TouchPod(name);
}

void Registry::PutNamespace(const std::string& name, Labels labels) {
  const auto known = local_.namespaces.find(name);
  const bool alike =
      SharesAlike(known == local_.namespaces.end() ? Labels() : *known->second, labels);
  Assign(local_.namespaces, name, std::move(labels));
  if (alike) return;
  for (auto it = services_.lower_bound({name, ""}); it != services_.end(); ++it) {
    if (it->first.first != name) break;
    changed_services_.insert(it->first);
  }
}

// Nodes come and go rarely, and nearly every service has endpoints on each.
void Registry::PutNode(const std::string& name, std::shared_ptr<const kubernetes::Node> node) {
  const auto old = nodes_.find(name);
  const Locality before = old == nodes_.end() ? Locality() : LocalityOf(*old->second);
  const Locality after = node == nullptr ? Locality() : LocalityOf(*node);
  if (node == nullptr) {
    nodes_.erase(name);
  } else {
    nodes_[name] = std::move(node);
  }
  if (before == after) return;
  for (const auto& [address, pods] : pods_at_) changed_workloads_.insert(address);
  for (const auto& [service, object] : services_) changed_services_.insert(service);
  TouchAllSelecting();
}

// ---- World out.

const World& Registry::BuildLocal() {
  for (const Name& name : std::exchange(changed_services_, {})) BuildService(name);
  for (const Name& declared : std::exchange(changed_hosts_, {})) BuildHost(declared);
  for (const std::string& address : std::exchange(changed_workloads_, {})) BuildWorkload(address);
  return local_;
}

void Registry::BuildService(const Name& name) {
  const std::string host = HostOf(name.second, name.first);
  const auto object = services_.find(name);
  const bool exists = object != services_.end();
  const bool alias = exists && object->second->spec().type() == "ExternalName";
  if (!alias) local_.aliases.erase(host);
  if (!exists || alias) {
    local_.services.erase(host);
    local_.endpoints.erase(host);
    if (alias) {
      const absl::string_view target = object->second->spec().external_name();
      local_.aliases[host] = {host, name.first, name.second,
                              std::string(absl::StripSuffix(target, "."))};
    }
    return;
  }
  Service service = ServiceFrom({"Service", name.first, name.second}, *object->second);
  SetSharing(name, *object->second, service);
  Assign(local_.endpoints, host, EndpointsOf(name, *object->second, service));
  Assign(local_.services, host, std::move(service));
}

void Registry::SetSharing(const Name& name, const kubernetes::Service& object,
                          Service& service) const {
  const auto labels = local_.namespaces.find(name.first);
  const auto requested = local_.service_exports.find(name);
  SharingDefaults defaults;
  defaults.namespace_labels = labels == local_.namespaces.end() ? nullptr : labels->second.get();
  defaults.exports = exports_;
  defaults.merges = self_->merges_local_names;
  const auto& annotations = object.metadata().annotations();
  weft::SetSharing(Labels(annotations.begin(), annotations.end()), defaults,
                   requested == local_.service_exports.end() ? nullptr : &requested->second,
                   service);
}

Endpoints Registry::EndpointsOf(const Name& name, const kubernetes::Service& object,
                                const Service& service) {
  std::map<std::string, Endpoint> by_address;  // a pod may be in two slices for a while
  AddressesByPlace places;
  for (const Name& slice_name : slices_of_[name]) {
    const kubernetes::EndpointSlice& slice = *slices_.at(slice_name);
    if (slice.address_type() == "FQDN") continue;
    for (int i = 0; i < slice.endpoints_size(); ++i) {
      const kubernetes::EndpointSlice::Endpoint& place = slice.endpoints(i);
      const bool ready = !place.conditions().has_ready() || place.conditions().ready();
      if (!ready && !object.spec().publish_not_ready_addresses()) continue;
      Endpoint& endpoint = by_address[place.addresses(0)];
      ReadPlace(name, service, slice, i, endpoint);
      places[PlaceName(place, endpoint)].insert(place.addresses(0));
    }
  }
  JoinFamilies(places, by_address);
  AddMachines(name.first, object, by_address);
  Endpoints endpoints;
  endpoints.reserve(by_address.size());  // not a byte more: there are many of them, and for long
  for (auto& [address, endpoint] : by_address) endpoints.push_back(std::move(endpoint));
  return endpoints;
}

void Registry::ReadPlace(const Name& name, const Service& service,
                         const kubernetes::EndpointSlice& slice, int index, Endpoint& endpoint) {
  const kubernetes::EndpointSlice::Endpoint& place = slice.endpoints(index);
  for (const ServicePort& port : service.ports) {
    if (uint16_t target = SlicePort(slice, port.name)) endpoint.target_ports[port.port] = target;
  }
  endpoint.cluster = self_->cluster;
  endpoint.network = self_->network;
  endpoint.trust_domain = self_->trust_domain;
  endpoint.namespace_ = name.first;
  endpoint.address = place.addresses(0);
  endpoint.hostname = place.hostname();
  std::string node = place.node_name();
  const auto* pod = PodBehind(name, place.target_ref().name(), endpoint.address);
  if (pod != nullptr) {
    if (node.empty()) node = pod->spec().node_name();
    endpoint.labels = Labels(pod->metadata().labels().begin(), pod->metadata().labels().end());
    endpoint.service_account = ServiceAccountOf(*pod);
    endpoint.pod = pod->metadata().name();
    endpoint.workload = WorkloadOf(*pod);
    endpoint.mtls = IsInjected(*pod);
  }
  endpoint.locality = LocalityAt(node, place.zone());
}

const kubernetes::Pod* Registry::PodBehind(const Name& service, const std::string& pod_name,
                                           const std::string& address) {
  if (!pod_name.empty()) {
    services_by_pod_[absl::StrCat(service.first, "/", pod_name)].insert(service);
    const auto it = pods_.find({service.first, pod_name});
    if (it != pods_.end()) return it->second.get();
  }
  services_by_pod_[address].insert(service);
  const auto at = pods_at_.find(address);
  if (at == pods_at_.end()) return nullptr;
  for (const Name& pod : at->second) {
    if (pod.first == service.first) return pods_.at(pod).get();
  }
  return nullptr;
}

// A zone without its node still tells the region, if any node is in that zone.
Locality Registry::LocalityAt(const std::string& node, const std::string& zone) const {
  if (const auto it = nodes_.find(node); it != nodes_.end()) {
    const Locality locality = LocalityOf(*it->second);
    if (locality.stated()) return locality;
  }
  if (zone.empty()) return {};
  for (const auto& [name, other] : nodes_) {
    const Locality locality = LocalityOf(*other);
    if (locality.zone == zone) return locality;
  }
  return {"", zone};
}

void Registry::BuildWorkload(const std::string& address) {
  const auto at = pods_at_.find(address);
  if (at == pods_at_.end()) return BuildMachine(address);
  // Two pods claim an address only while one of them is going; then the last name counts.
  const Name& name = *at->second.rbegin();
  const kubernetes::Pod& pod = *pods_.at(name);
  const auto [first, other] = AddressesOf(pod);
  Assign(local_.workloads, address,
         Workload{name.first, name.second, first, other, ServiceAccountOf(pod), WorkloadOf(pod),
                  Labels(pod.metadata().labels().begin(), pod.metadata().labels().end()),
                  LocalityAt(pod.spec().node_name(), ""), IsInjected(pod)});
}

}  // namespace weft
