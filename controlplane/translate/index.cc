#include "controlplane/translate/index.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/istio/networking.pb.h"
#include "api/istio/security.pb.h"
#include "controlplane/translate/oldest_first.h"

namespace weft {
namespace {

using istio::networking::v1alpha3::VirtualService;
using istio::security::v1beta1::PeerAuthentication;

constexpr absl::string_view kServiceSuffix = ".svc.cluster.local";

bool AppliesToMesh(const VirtualService& spec) {
  return spec.gateways().empty() ||
         std::find(spec.gateways().begin(), spec.gateways().end(), "mesh") != spec.gateways().end();
}

void AddKeys(const google::protobuf::Map<std::string, std::string>& labels,
             std::set<std::string>& keys) {
  for (const auto& [key, value] : labels) keys.insert(key);
}

// The mode it states, if it does.
bool Stated(const PeerAuthentication::MutualTLS& mtls, MtlsMode& mode) {
  switch (mtls.mode()) {
    case PeerAuthentication::MutualTLS::DISABLE:
      mode = MtlsMode::kDisable;
      return true;
    case PeerAuthentication::MutualTLS::PERMISSIVE:
      mode = MtlsMode::kPermissive;
      return true;
    case PeerAuthentication::MutualTLS::STRICT:
      mode = MtlsMode::kStrict;
      return true;
    default:
      return false;
  }
}

}  // namespace

bool IsHttp(Protocol protocol) { return protocol == Protocol::kHttp; }

TranslationIndex::TranslationIndex(const World& world) : world_(world), sidecars_(world) {
  IndexServices();
  IndexVirtualServices();
  IndexDestinationRules();
  IndexPeerAuthentications();
}

void TranslationIndex::IndexServices() {
  for (const auto& [key, service] : world_.services) {
    services_of_[service->host].push_back(service.get());
    services_in_[service->namespace_].push_back(service.get());
  }
  // What Kubernetes says of a pod's port comes before what a ServiceEntry says.
  for (bool entries : {false, true}) {
    for (const auto& [key, service] : world_.services) {
      if (service->entry.has_value() == entries) IndexInboundPorts(*service);
    }
  }
}

void TranslationIndex::IndexInboundPorts(const Service& service) {
  for (const Endpoint& endpoint : EndpointsOf(service)) {
    if (endpoint.remote()) continue;
    if (service.entry.has_value()) {
      // Whoever may write a ServiceEntry must not so decide what pods of others take connections
      // as.
      const auto workload = world_.workloads.find(endpoint.address);
      if (workload == world_.workloads.end()) continue;
      if (workload->second->namespace_ != service.namespace_) continue;
    }
    for (const ServicePort& port : service.ports) {
      if (port.protocol == Protocol::kUdp) continue;
      auto target = endpoint.target_ports.find(port.port);
      if (target == endpoint.target_ports.end()) continue;
      inbound_ports_[endpoint.address].try_emplace(target->second,
                                                   InboundPort{&service, port.protocol});
    }
  }
}

template <typename T>
void TranslationIndex::Add(ByHost<T>& table, const std::string& host, const T* config) {
  if (!host.empty() && host.front() == '*') {
    table.wildcards[host.size()].emplace_back(host.substr(1), config);
  } else {
    table.exact[host].push_back(config);
  }
}

template <typename T, typename Visit>
void TranslationIndex::VisitMatching(const ByHost<T>& table, const std::string& host, Visit visit) {
  if (auto found = table.exact.find(host); found != table.exact.end()) {
    for (const T* config : found->second) {
      if (visit(config)) return;
    }
  }
  for (const auto& [length, wildcards] : table.wildcards) {
    for (const auto& [suffix, config] : wildcards) {
      if (absl::EndsWith(host, suffix) && visit(config)) return;
    }
  }
}

void TranslationIndex::IndexVirtualServices() {
  for (const VirtualServiceConfig* config : OldestFirst(world_.virtual_services)) {
    const VirtualService& spec = *config->spec;
    if (!AppliesToMesh(spec)) continue;
    for (const std::string& host : spec.hosts()) {
      Add(virtual_services_, ResolveHost(host, config->key.namespace_), config);
    }
    for (const auto& route : spec.http()) {
      for (const auto& match : route.match()) AddKeys(match.source_labels(), selected_labels_);
    }
    for (const auto& route : spec.tcp()) {
      for (const auto& match : route.match()) AddKeys(match.source_labels(), selected_labels_);
    }
  }
}

void TranslationIndex::IndexDestinationRules() {
  for (const DestinationRuleConfig* config : OldestFirst(world_.destination_rules)) {
    Add(destination_rules_, ResolveHost(config->spec->host(), config->key.namespace_), config);
    AddKeys(config->spec->workload_selector().match_labels(), selected_labels_);
  }
}

void TranslationIndex::IndexPeerAuthentications() {
  for (const PeerAuthenticationConfig* config : OldestFirst(world_.peer_authentications)) {
    if (config->spec->selector().match_labels().empty()) {
      namespace_mtls_.try_emplace(config->key.namespace_, config);
    } else {
      workload_mtls_[config->key.namespace_].push_back(config);
    }
  }
  for (absl::string_view root : kRootNamespaces) {
    auto found = namespace_mtls_.find(std::string(root));
    if (found == namespace_mtls_.end()) continue;
    mesh_mtls_ = found->second;
    break;
  }
}

OutboundScope TranslationIndex::ScopeOf(const ProxyView& view) const {
  OutboundScope scope{
      view.namespace_, {}, view.locality, sidecars_.OutboundOf(view.namespace_, view.labels)};
  for (const auto& [key, value] : view.labels) {
    if (selected_labels_.count(key) > 0) scope.labels.emplace(key, value);
  }
  return scope;
}

std::string TranslationIndex::ResolveHost(absl::string_view host,
                                          absl::string_view object_namespace) const {
  if (absl::StartsWith(host, "*")) return std::string(host);
  if (!absl::StrContains(host, ".")) {
    return absl::StrCat(host, ".", object_namespace, kServiceSuffix);
  }
  std::string full = absl::StrCat(absl::StripSuffix(host, ".svc"), kServiceSuffix);
  if (FindService(full) != nullptr) return full;
  return std::string(host);
}

const Service* TranslationIndex::FindService(const std::string& host) const {
  auto found = world_.services.find(host);
  return found == world_.services.end() ? nullptr : found->second.get();
}

const std::vector<const Service*>& TranslationIndex::ServicesOf(const std::string& host) const {
  static const std::vector<const Service*> kNone;
  auto found = services_of_.find(host);
  return found == services_of_.end() ? kNone : found->second;
}

const std::vector<const Service*>& TranslationIndex::ServicesIn(
    const std::string& name_space) const {
  static const std::vector<const Service*> kNone;
  auto found = services_in_.find(name_space);
  return found == services_in_.end() ? kNone : found->second;
}

const Endpoints& TranslationIndex::EndpointsOf(const Service& service) const {
  static const Endpoints kNone;
  auto found = world_.endpoints.find(service.key());
  return found == world_.endpoints.end() ? kNone : *found->second;
}

const TranslationIndex::VirtualServiceConfig* TranslationIndex::VirtualServiceFor(
    const std::string& host, absl::string_view client_namespace) const {
  const VirtualServiceConfig* visible = nullptr;
  VisitMatching(virtual_services_, host, [&](const VirtualServiceConfig* config) {
    if (IsVisible(config->spec->export_to(), config->key.namespace_, client_namespace)) {
      visible = config;
    }
    return visible != nullptr;
  });
  return visible;
}

std::vector<const TranslationIndex::DestinationRuleConfig*> TranslationIndex::DestinationRulesFor(
    const std::string& host) const {
  std::vector<const DestinationRuleConfig*> rules;
  VisitMatching(destination_rules_, host, [&](const DestinationRuleConfig* config) {
    rules.push_back(config);
    return false;
  });
  return rules;
}

const std::map<uint16_t, TranslationIndex::InboundPort>& TranslationIndex::InboundPortsOf(
    const std::string& address) const {
  static const std::map<uint16_t, InboundPort> kNone;
  auto found = inbound_ports_.find(address);
  return found == inbound_ports_.end() ? kNone : found->second;
}

const TranslationIndex::PeerAuthenticationConfig* TranslationIndex::WorkloadPolicy(
    absl::string_view workload_namespace, const Labels& labels) const {
  auto found = workload_mtls_.find(std::string(workload_namespace));
  if (found == workload_mtls_.end()) return nullptr;
  for (const PeerAuthenticationConfig* config : found->second) {
    if (Selects(config->spec->selector().match_labels(), labels)) return config;
  }
  return nullptr;
}

MtlsMode TranslationIndex::MtlsModeOf(absl::string_view workload_namespace,
                                      const Labels& labels) const {
  MtlsMode mode = MtlsMode::kPermissive;
  const PeerAuthenticationConfig* of_workload = WorkloadPolicy(workload_namespace, labels);
  if (of_workload != nullptr && Stated(of_workload->spec->mtls(), mode)) return mode;
  auto of_namespace = namespace_mtls_.find(std::string(workload_namespace));
  if (of_namespace != namespace_mtls_.end() && Stated(of_namespace->second->spec->mtls(), mode)) {
    return mode;
  }
  if (mesh_mtls_ != nullptr) Stated(mesh_mtls_->spec->mtls(), mode);
  return mode;
}

MtlsMode TranslationIndex::MtlsModeOf(absl::string_view workload_namespace, const Labels& labels,
                                      uint16_t port) const {
  // Settings of ports count only in a policy that selects workloads, as Istio documents.
  if (const auto* policy = WorkloadPolicy(workload_namespace, labels); policy != nullptr) {
    const auto& by_port = policy->spec->port_level_mtls();
    auto found = by_port.find(port);
    MtlsMode mode;
    if (found != by_port.end() && Stated(found->second, mode)) return mode;
  }
  return MtlsModeOf(workload_namespace, labels);
}

std::set<uint16_t> TranslationIndex::PortsWithMtlsMode(absl::string_view workload_namespace,
                                                       const Labels& labels) const {
  std::set<uint16_t> ports;
  if (const auto* policy = WorkloadPolicy(workload_namespace, labels); policy != nullptr) {
    for (const auto& [port, mtls] : policy->spec->port_level_mtls()) {
      MtlsMode mode;
      if (port > 0 && port <= 65535 && Stated(mtls, mode)) ports.insert(port);
    }
  }
  return ports;
}

}  // namespace weft
