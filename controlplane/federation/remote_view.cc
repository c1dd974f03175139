#include "controlplane/federation/remote_view.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "controlplane/model/world_change.h"
#include "proxy/net/address.h"

namespace weft {
namespace {

constexpr char kNetworkLabel[] = "topology.istio.io/network";
constexpr char kGatewayPortLabel[] = "networking.istio.io/gatewayPort";
// Where a control plane lives, ours first.
constexpr const char* kControlPlaneNamespaces[] = {"weft-system", "istio-system"};

std::shared_ptr<const ClusterIdentity> IdentityOf(const std::string& cluster,
                                                  const ClusterIdentity& self) {
  auto identity = std::make_shared<ClusterIdentity>();
  identity->cluster = cluster;
  identity->mesh_id = self.mesh_id;
  identity->trust_domain = self.trust_domain;
  return identity;
}

std::string LabelOf(const Labels& labels, const char* label) {
  const auto found = labels.find(label);
  return found == labels.end() ? "" : found->second;
}

// Zero if the label says something that is no port.
uint16_t PortOf(const YamlNode& labels) {
  const YamlNode label = labels[kGatewayPortLabel];
  if (!label.IsDefined()) return RemoteView::kGatewayPort;
  uint32_t port = 0;
  return absl::SimpleAtoi(label.Scalar(), &port) && port <= 65535 ? static_cast<uint16_t>(port) : 0;
}

}  // namespace

RemoteView::RemoteView(std::string cluster, std::shared_ptr<const ClusterIdentity> self,
                       ExportPolicy exports)
    : cluster_(std::move(cluster)),
      self_(std::move(self)),
      registry_(IdentityOf(cluster_, *self_), exports) {}

std::vector<Problem> RemoteView::Apply(const std::vector<ObjectDelta>& deltas) {
  std::vector<Problem> problems = registry_.Apply(deltas);
  for (const ObjectDelta& delta : deltas) {
    if (delta.key.kind != "Service") continue;
    PutGateway({delta.key.namespace_, delta.key.name},
               delta.object == nullptr ? Gateway() : ReadGateway(*delta.object, problems));
  }
  return problems;
}

// Of most Services nothing: they have no such label.
RemoteView::Gateway RemoteView::ReadGateway(const RawObject& service,
                                            std::vector<Problem>& problems) {
  const YamlNode& object = service.body.node;
  const YamlNode labels = object["metadata"]["labels"];
  Gateway gateway;
  gateway.network = std::string(labels[kNetworkLabel].Scalar());
  if (gateway.network.empty()) return gateway;
  const auto warn = [&](std::string field, std::string what) {
    problems.push_back(
        {Severity::kWarning, "", service.key, service.origin, std::move(field), std::move(what)});
  };
  const uint16_t port = PortOf(labels);
  if (port == 0) {
    warn(absl::StrCat("metadata.labels[", kGatewayPortLabel, "]"), "not a port");
    return gateway;
  }
  const auto add = [&](const char* field, const YamlNode& node) {
    const std::string address(node.Scalar());
    if (Address::Ip(address, port).ok()) return gateway.addresses.push_back({address, port});
    warn(field, absl::StrCat("only IP addresses can be dialed, found \"", address, "\""));
  };
  for (const YamlItem item : object["spec"]["externalIPs"]) add("spec.externalIPs", item);
  for (const YamlItem item : object["status"]["loadBalancer"]["ingress"]) {
    const YamlNode ip = item["ip"];
    add("status.loadBalancer.ingress", ip.IsDefined() ? ip : item["hostname"]);
  }
  return gateway;
}

void RemoteView::PutGateway(const Name& name, Gateway gateway) {
  const auto known = gateways_.find(name);
  if ((known == gateways_.end() ? Gateway() : known->second) == gateway) return;
  gateways_changed_ = true;
  if (gateway.network.empty()) {
    gateways_.erase(name);
  } else {
    gateways_[name] = std::move(gateway);
  }
}

std::string RemoteView::NetworkOf(const World& world) const {
  for (const char* name : kControlPlaneNamespaces) {
    const auto found = world.namespaces.find(name);
    if (found == world.namespaces.end()) continue;
    std::string network = LabelOf(*found->second, kNetworkLabel);
    if (!network.empty()) return network;
  }
  return cluster_;
}

ExportedService RemoteView::Export(const Service& service, const Endpoints& endpoints,
                                   const std::string& network) {
  ExportedService exported{service.namespace_, service.name, service.ports, {}, endpoints};
  exported.in_cluster_set = service.exported;
  exported.exported_at = service.exported_at;
  exported.headless = service.address.empty();
  exported.session_affinity = service.session_affinity;
  for (Endpoint& pod : exported.pods) {
    const std::string own = LabelOf(pod.labels, kNetworkLabel);
    pod.network = own.empty() ? network : own;
  }
  return exported;
}

bool RemoteView::Build() {
  const World& world = registry_.BuildLocal();
  const bool first = state_.peer == nullptr;
  if (!first && !gateways_changed_ && ChangeBetween(built_, world).nothing()) return false;
  built_ = world;
  gateways_changed_ = false;

  Peer peer;
  peer.cluster = cluster_;
  peer.network = NetworkOf(world);
  peer.trust_domain = self_->trust_domain;
  for (const auto& [name, gateway] : gateways_) {
    if (gateway.network != peer.network) continue;
    peer.gateways.insert(peer.gateways.end(), gateway.addresses.begin(), gateway.addresses.end());
  }
  PeerExports exports;
  for (const auto& [host, service] : world.services) {
    // Whatever it exports: its own clients need all of it. What is of the system is for these alone
    // (merge.h), and the control plane's is ours.
    if (!service->local || service->namespace_ == kControlPlaneNamespaces[0]) continue;
    if (exports.size() >= kMaxServices) break;
    const auto endpoints = world.endpoints.find(host);
    exports.emplace(
        std::make_pair(service->namespace_, service->name),
        Export(*service, endpoints == world.endpoints.end() ? Endpoints() : *endpoints->second,
               peer.network));
  }
  if (!first && *state_.peer == peer && *state_.exports == exports &&
      *state_.workloads == world.workloads) {
    return false;
  }
  state_.workloads = world.workloads;
  state_.peer = std::make_shared<Peer>(std::move(peer));
  state_.exports = std::make_shared<PeerExports>(std::move(exports));
  return true;
}

}  // namespace weft
