#include "controlplane/translate/world_builder.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "api/istio/mesh.pb.h"
#include "api/istio/networking.pb.h"
#include "api/istio/security.pb.h"
#include "api/istio/telemetry.pb.h"
#include "api/yaml/yaml_to_message.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

std::string HostOf(const std::string& name_space, const std::string& name) {
  return absl::StrCat(name, ".", name_space, ".svc.cluster.local");
}

template <typename Spec>
absl::Status Read(const YamlNode& object, const std::string& kind, Configs<Spec>& configs) {
  const YamlNode metadata = object["metadata"];
  const std::string name(metadata["name"].Scalar());
  std::string name_space(metadata["namespace"].Scalar());
  if (name_space.empty()) name_space = "default";
  auto spec = std::make_shared<Spec>();
  absl::Status status =
      YamlToMessage(object["spec"], UnknownFields::kReject, spec.get(), kind + " " + name);
  if (!status.ok()) return status;
  Labels annotations;
  for (const YamlItem& given : metadata["annotations"]) {
    annotations[std::string(given.first.Scalar())] = std::string(given.second.Scalar());
  }
  configs[{name_space, name}] = {{kind, name_space, name}, "test.yaml", "", {}, spec, annotations};
  return absl::OkStatus();
}

absl::Status ReadMesh(const YamlNode& object, Configs<istio::mesh::v1alpha1::MeshConfig>& configs) {
  const std::pair<std::string, std::string> name(object["metadata"]["namespace"].Scalar(),
                                                 object["metadata"]["name"].Scalar());
  auto spec = std::make_shared<istio::mesh::v1alpha1::MeshConfig>();
  const auto text = ParseYamlDocuments(object["data"]["mesh"].Scalar());
  if (!text.ok()) return text.status();
  absl::Status status =
      YamlToMessage(text->at(0)->root(), UnknownFields::kReject, spec.get(), "mesh");
  if (!status.ok()) return status;
  configs[name] = {{"ConfigMap", name.first, name.second}, "test.yaml", "", {}, spec, {}};
  return absl::OkStatus();
}

template <typename Message>
Message Decode(const EncodedResources& resources, const std::string& name) {
  Message message;
  auto found = resources.find(name);
  if (found == resources.end()) {
    ADD_FAILURE() << "no " << message.GetTypeName() << " '" << name << "'";
    return message;
  }
  google::protobuf::Any any;
  EXPECT_TRUE(any.ParseFromString(*found->second));
  EXPECT_TRUE(any.UnpackTo(&message)) << any.type_url();
  return message;
}

}  // namespace

WorldBuilder::WorldBuilder() {
  world_.self = std::make_shared<ClusterIdentity>(ClusterIdentity{
      "east", "net-east", "mesh", "east.local", "EAST ROOT", {"10.244.9.9", 15013}});
  PeerGateways({{"172.16.0.2", 15443}});
}

WorldBuilder& WorldBuilder::PeerGateways(std::vector<GatewayAddress> gateways) {
  world_.peers["west"] = std::make_shared<Peer>(
      Peer{"west", "net-west", "west.local", "WEST ROOT", std::move(gateways)});
  return *this;
}

WorldBuilder& WorldBuilder::Linked(Peer peer) {
  const std::string cluster = peer.cluster;
  world_.peers[cluster] = std::make_shared<Peer>(std::move(peer));
  return *this;
}

WorldBuilder& WorldBuilder::Self(ClusterIdentity self) {
  world_.self = std::make_shared<ClusterIdentity>(std::move(self));
  return *this;
}

WorldBuilder& WorldBuilder::GatewayPod(const std::string& address) {
  Workload pod;
  pod.namespace_ = "weft-system";
  pod.name = absl::StrCat("gateway-", address);
  pod.service_account = "weft-gateway";
  pod.address = address;
  world_.workloads[address] = std::make_shared<Workload>(std::move(pod));
  return *this;
}

WorldBuilder& WorldBuilder::SharedTrustDomain() {
  auto peer = std::make_shared<Peer>(*world_.peers.at("west"));
  peer->trust_domain = world_.self->trust_domain;
  world_.peers["west"] = peer;
  return *this;
}

WorldBuilder& WorldBuilder::KeySet(const std::string& uri, std::string jwks) {
  world_.key_sets[uri] = std::make_shared<const std::string>(std::move(jwks));
  return *this;
}

WorldBuilder& WorldBuilder::Service(const std::string& name_space, const std::string& name,
                                    std::vector<ServicePort> ports) {
  auto service = std::make_shared<weft::Service>();
  service->namespace_ = name_space;
  service->name = name;
  service->host = HostOf(name_space, name);
  service->address = absl::StrCat("10.96.0.", ++addresses_);
  service->local = service->exported = true;
  service->ports = std::move(ports);
  last_service_ = service.get();
  world_.services[service->host] = service;
  return *this;
}

Endpoint& WorldBuilder::AddEndpoint(const std::string& name_space, const std::string& name,
                                    const std::string& version, Locality locality) {
  const std::string host = HostOf(name_space, name);
  auto& endpoints = endpoints_[host];
  if (endpoints == nullptr) {
    endpoints = std::make_shared<Endpoints>();
    world_.endpoints[host] = endpoints;
  }
  Endpoint endpoint;
  endpoint.locality = std::move(locality);
  endpoint.labels = {{"app", name}, {"version", version}};
  endpoint.namespace_ = name_space;
  endpoint.service_account = name;
  endpoint.mtls = true;
  for (const ServicePort& port : world_.services.at(host)->ports) {
    endpoint.target_ports[port.port] = port.port;
  }
  endpoints->push_back(std::move(endpoint));
  last_endpoint_ = &endpoints->back();
  return *last_endpoint_;
}

WorldBuilder& WorldBuilder::Pod(const std::string& name_space, const std::string& name,
                                const std::string& version, Locality locality) {
  Endpoint& endpoint = AddEndpoint(name_space, name, version, std::move(locality));
  endpoint.cluster = "east";
  endpoint.network = "net-east";
  endpoint.trust_domain = "east.local";
  endpoint.address = absl::StrCat("10.244.0.", ++addresses_);
  endpoint.pod = endpoint.workload = absl::StrCat(name, "-", version);
  return *this;
}

WorldBuilder& WorldBuilder::Remote(const std::string& name_space, const std::string& name,
                                   const std::string& version, uint32_t pods, Locality locality) {
  Endpoint& endpoint = AddEndpoint(name_space, name, version, std::move(locality));
  endpoint.cluster = "west";
  endpoint.network = "net-west";
  endpoint.trust_domain = "west.local";
  endpoint.weight = pods;
  return *this;
}

absl::Status WorldBuilder::Apply(absl::string_view yaml) {
  const auto documents = ParseYamlDocuments(yaml);
  if (!documents.ok()) return documents.status();
  for (const auto& document : *documents) {
    const YamlNode object = document->root();
    const std::string kind(object["kind"].Scalar());
    absl::Status status;
    if (kind == "VirtualService") status = Read(object, kind, world_.virtual_services);
    if (kind == "DestinationRule") status = Read(object, kind, world_.destination_rules);
    if (kind == "Gateway") status = Read(object, kind, world_.gateways);
    if (kind == "PeerAuthentication") status = Read(object, kind, world_.peer_authentications);
    if (kind == "AuthorizationPolicy") status = Read(object, kind, world_.authorization_policies);
    if (kind == "RequestAuthentication")
      status = Read(object, kind, world_.request_authentications);
    if (kind == "ConfigMap") status = ReadMesh(object, world_.mesh_configs);
    if (kind == "Telemetry") status = Read(object, kind, world_.telemetries);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

ProxyView SidecarIn(const std::string& name_space, Locality locality) {
  ProxyView view;
  view.namespace_ = name_space;
  view.address = "10.244.0.200";
  view.cluster = "east";
  view.network = "net-east";
  view.locality = std::move(locality);
  return view;
}

envoy::config::cluster::v3::Cluster ClusterIn(const Resources& resources, const std::string& name) {
  return Decode<envoy::config::cluster::v3::Cluster>(resources.clusters, name);
}

envoy::config::endpoint::v3::ClusterLoadAssignment AssignmentIn(const Resources& resources,
                                                                const std::string& name) {
  return Decode<envoy::config::endpoint::v3::ClusterLoadAssignment>(resources.endpoints, name);
}

envoy::config::listener::v3::Listener ListenerIn(const Resources& resources,
                                                 const std::string& name) {
  return Decode<envoy::config::listener::v3::Listener>(resources.listeners, name);
}

envoy::config::route::v3::RouteConfiguration RoutesIn(const Resources& resources,
                                                      const std::string& name) {
  return Decode<envoy::config::route::v3::RouteConfiguration>(resources.routes, name);
}

envoy::config::route::v3::VirtualHost HostIn(const Resources& resources, const std::string& routes,
                                             const std::string& domain) {
  const auto configuration = RoutesIn(resources, routes);
  for (const auto& host : configuration.virtual_hosts()) {
    if (std::find(host.domains().begin(), host.domains().end(), domain) != host.domains().end()) {
      return host;
    }
  }
  ADD_FAILURE() << "no virtual host for '" << domain << "' in '" << routes << "'";
  return {};
}

}  // namespace weft
