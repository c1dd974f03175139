#include "controlplane/translate/index.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/istio/networking.pb.h"
#include "api/istio/security.pb.h"
#include "controlplane/model/east_west_gateway.h"
#include "controlplane/model/gateway_api_name.h"
#include "controlplane/model/gateway_name.h"
#include "controlplane/translate/authorizers.h"
#include "controlplane/translate/oldest_first.h"
#include "controlplane/translate/policy_target.h"

namespace weft {
namespace {

using istio::networking::v1alpha3::DestinationRule;
using istio::networking::v1alpha3::LoadBalancerSettings;
using istio::networking::v1alpha3::TrafficPolicy;
using istio::networking::v1alpha3::VirtualService;
using istio::security::v1beta1::PeerAuthentication;

constexpr absl::string_view kServiceSuffix = ".svc.cluster.local";

bool AppliesToMesh(const VirtualService& spec) {
  const auto& gateways = spec.gateways();
  return gateways.empty() ||
         std::find(gateways.begin(), gateways.end(), kMeshGateway) != gateways.end();
}

void AddKeys(const google::protobuf::Map<std::string, std::string>& labels,
             std::set<std::string>& keys) {
  for (const auto& [key, value] : labels) keys.insert(key);
}

void AddSourceLabels(const VirtualService& spec, std::set<std::string>& keys) {
  const auto add = [&](const auto& routes) {
    for (const auto& route : routes) {
      for (const auto& match : route.match()) AddKeys(match.source_labels(), keys);
    }
  };
  add(spec.http());
  add(spec.tcp());
  add(spec.tls());
}

template <typename Policies>
void IndexByNamespace(const Policies& sorted, std::map<std::string, Policies>& by_namespace) {
  for (const auto* config : sorted) by_namespace[config->key.namespace_].push_back(config);
}

template <typename Policies>
Policies SelectPolicies(const std::map<std::string, Policies>& by_namespace,
                        const std::string& workload_namespace, const Labels& labels) {
  Policies selected;
  const auto add = [&](const std::string& name) {
    const auto found = by_namespace.find(name);
    if (found == by_namespace.end()) return;
    for (const auto* config : found->second) {
      if (IsFor(*config, workload_namespace, labels)) selected.push_back(config);
    }
  };
  bool in_root = false;
  for (absl::string_view root : kRootNamespaces) {
    in_root = in_root || root == workload_namespace;
    add(std::string(root));
  }
  if (!in_root) add(workload_namespace);
  return selected;
}

// For the TLS of any of its ports and subsets.
bool NamesSecret(const DestinationRule& rule) {
  const auto names = [](const TrafficPolicy& policy) {
    return !policy.tls().credential_name().empty() ||
           std::any_of(policy.port_level_settings().begin(), policy.port_level_settings().end(),
                       [](const auto& port) { return !port.tls().credential_name().empty(); });
  };
  return names(rule.traffic_policy()) ||
         std::any_of(rule.subsets().begin(), rule.subsets().end(),
                     [&](const auto& subset) { return names(subset.traffic_policy()); });
}

// The labels of a client that say how near an endpoint is to it ("key" or "key=value").
void AddFailoverKeys(const TrafficPolicy& policy, std::set<std::string>& keys) {
  const auto add = [&](const LoadBalancerSettings& settings) {
    for (const std::string& label : settings.locality_lb_setting().failover_priority()) {
      keys.insert(label.substr(0, label.find('=')));
    }
  };
  add(policy.load_balancer());
  for (const auto& port : policy.port_level_settings()) add(port.load_balancer());
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

Peer AsPeer(const ClusterIdentity& self) {
  return {self.cluster, self.network, self.trust_domain, self.roots_pem, self.gateways};
}

// What Kubernetes says of a pod's port comes before what a ServiceEntry says.
void Insert(const Service* service, std::vector<const Service*>& services) {
  const auto by_key = [](const Service* a, const Service* b) {
    return std::make_pair(a->entry.has_value(), a->key()) <
           std::make_pair(b->entry.has_value(), b->key());
  };
  const auto at = std::lower_bound(services.begin(), services.end(), service, by_key);
  if (at == services.end() || *at != service) services.insert(at, service);
}

}  // namespace

bool IsHttp(Protocol protocol) { return protocol == Protocol::kHttp || IsHttp2(protocol); }

bool IsHttp2(Protocol protocol) {
  return protocol == Protocol::kHttp2 || protocol == Protocol::kGrpc;
}

TranslationIndex::TranslationIndex(const World& world)
    : own_(world),
      world_(own_),
      own_peer_(AsPeer(*own_.self)),
      sidecars_(own_),
      mesh_(own_),
      telemetries_(own_, mesh_) {
  IndexServices();
  IndexGatewayPods();
  IndexAliases();
  gateways_ = OldestFirst(world_.gateways);
  IndexVirtualServices();
  IndexDestinationRules();
  IndexPeerAuthentications();
  IndexWorkloadPolicies();
}

void TranslationIndex::IndexServices() {
  for (const auto& [key, service] : world_.services) {
    services_of_[service->host].push_back(service.get());
    services_in_[service->namespace_].push_back(service.get());
  }
  for (const auto& [key, service] : world_.services) AddAddresses(*service);
}

// Where there is such a peer, another gateway pod is more than Follow() is for (ChangeBetween).
void TranslationIndex::IndexGatewayPods() {
  const bool needed = std::any_of(world_.peers.begin(), world_.peers.end(),
                                  [](const auto& peer) { return peer.second->outbound_only; });
  if (!needed) return;
  for (const auto& [address, workload] : world_.workloads) {
    // A pod of both IP families is there twice.
    if (address == workload->address && IsEastWestGateway(*workload)) {
      gateway_pods_.push_back(workload.get());
    }
  }
}

std::string TranslationIndex::PlaceOf(const std::string& cluster,
                                      const std::string& address) const {
  return cluster == world_.self->cluster ? address : absl::StrCat(cluster, "/", address);
}

void TranslationIndex::AddAddresses(const Service& service) {
  for (const Endpoint& endpoint : EndpointsOf(service)) {
    for (const std::string& address : {endpoint.address, endpoint.other_address}) {
      if (!address.empty()) Insert(&service, services_at_[PlaceOf(endpoint.cluster, address)]);
    }
  }
}

void TranslationIndex::RemoveAddresses(const Service& service) {
  for (const Endpoint& endpoint : EndpointsOf(service)) {
    for (const std::string& address : {endpoint.address, endpoint.other_address}) {
      const auto found = services_at_.find(PlaceOf(endpoint.cluster, address));
      if (found == services_at_.end()) continue;
      std::erase(found->second, &service);
      if (found->second.empty()) services_at_.erase(found);
    }
  }
}

void TranslationIndex::Follow(const World& next, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (const Service* service = FindService(key)) RemoveAddresses(*service);
  }
  own_ = next;
  for (const std::string& key : keys) {
    if (const Service* service = FindService(key)) AddAddresses(*service);
  }
}

void TranslationIndex::IndexAliases() {
  for (const auto& [host, alias] : world_.aliases) {
    for (const Service* service : ServicesOf(FollowAlias(host))) {
      aliases_[service].push_back(&alias);
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

bool TranslationIndex::NamesAService(const std::string& host) const {
  if (!absl::StartsWith(host, "*")) return services_of_.count(host) > 0;
  return std::any_of(services_of_.begin(), services_of_.end(), [&](const auto& services) {
    return absl::EndsWith(services.first, absl::string_view(host).substr(1));
  });
}

void TranslationIndex::IndexVirtualServices() {
  merged_virtual_services_ = WithDelegates(world_.virtual_services).merged;
  for (const VirtualServiceConfig* config : OldestFirst(merged_virtual_services_)) {
    const VirtualService& spec = *config->spec;
    AddSourceLabels(spec, selected_labels_);
    BindToGateways(*config);
    if (!AppliesToMesh(spec)) continue;
    for (const std::string& written : spec.hosts()) {
      const std::string host = ResolveHost(written, config->key.namespace_);
      Add(virtual_services_, host, config);
      if (!NamesAService(host)) foreign_hosts_.emplace_back(host, config);
    }
  }
}

void TranslationIndex::BindToGateways(const VirtualServiceConfig& config) {
  for (const std::string& gateway : config.spec->gateways()) {
    if (gateway == kMeshGateway) continue;
    auto& bound = bound_[GatewayNameOf(gateway, config.key.namespace_)];
    if (bound.empty() || bound.back() != &config) bound.push_back(&config);
  }
}

void TranslationIndex::IndexDestinationRules() {
  for (const DestinationRuleConfig* config : OldestFirst(world_.destination_rules)) {
    Add(destination_rules_, ResolveHost(config->spec->host(), config->key.namespace_), config);
    AddKeys(config->spec->workload_selector().match_labels(), selected_labels_);
    if (!config->spec->workload_selector().match_labels().empty() && NamesSecret(*config->spec)) {
      credential_rules_[config->key.namespace_].push_back(config);
    }
    AddFailoverKeys(config->spec->traffic_policy(), selected_labels_);
    for (const auto& subset : config->spec->subsets()) {
      AddFailoverKeys(subset.traffic_policy(), selected_labels_);
    }
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

void TranslationIndex::IndexWorkloadPolicies() {
  IndexByNamespace(OldestFirst(world_.authorization_policies), authorization_policies_);
  IndexByNamespace(OldestFirst(world_.request_authentications), request_authentications_);
}

OutboundScope TranslationIndex::ScopeOf(const ProxyView& view) const {
  OutboundScope scope{
      view.namespace_, {}, view.locality, sidecars_.OutboundOf(view.namespace_, view.labels)};
  scope.access_logs = telemetries_.ClientLogsOf(view.namespace_, view.labels);
  scope.credentials = view.identified && HasCredentialRule(view.namespace_, view.labels);
  scope.families = view.families();
  scope.tunnels = view.tunnels;
  if (view.cluster != world_.self->cluster) {
    scope.cluster = view.cluster;
    scope.network = view.network;
  }
  const auto authorizer =
      AuthorizerOf(*this, AuthorizersNamed(*this, view.namespace_, view.labels));
  if (authorizer.ok()) scope.authorizer = authorizer->service->key();
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
  if (FindService(full) != nullptr || world_.aliases.count(full) > 0) return full;
  return std::string(host);
}

bool TranslationIndex::HasCredentialRule(const std::string& workload_namespace,
                                         const Labels& labels) const {
  const auto found = credential_rules_.find(workload_namespace);
  if (found == credential_rules_.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](const auto* config) {
    return Selects(config->spec->workload_selector().match_labels(), labels);
  });
}

const Service* TranslationIndex::FindService(const std::string& key) const {
  auto found = world_.services.find(key);
  return found == world_.services.end() ? nullptr : found->second.get();
}

std::string TranslationIndex::FollowAlias(const std::string& host) const {
  std::string at = host;
  // Of type ExternalName for a name in the cluster set, and that for the local one.
  for (int step = 0; step < 2; ++step) {
    const auto alias = world_.aliases.find(at);
    if (alias == world_.aliases.end()) break;
    at = ResolveHost(alias->second.target, alias->second.namespace_);
  }
  return at;
}

const std::vector<const Alias*>& TranslationIndex::AliasesOf(const Service& service) const {
  static const std::vector<const Alias*> kNone;
  auto found = aliases_.find(&service);
  return found == aliases_.end() ? kNone : found->second;
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

std::vector<const TranslationIndex::GatewayConfig*> TranslationIndex::GatewaysFor(
    const ProxyView& view) const {
  const auto stands_before = [&](absl::string_view hosts) {
    const auto services = ServicesAt(view);
    return std::any_of(services.begin(), services.end(), [&](const Service* service) {
      const std::vector<absl::string_view> named = absl::StrSplit(hosts, ',');
      return !service->entry.has_value() &&
             std::find(named.begin(), named.end(), service->host) != named.end();
    });
  };
  std::vector<const GatewayConfig*> selected;
  for (const GatewayConfig* gateway : gateways_) {
    const bool of_gateway_api = IsOfGatewayApi(gateway->key);
    if (of_gateway_api && gateway->key.namespace_ != view.namespace_) continue;
    const auto services = gateway->annotations.find(kGatewayServicesAnnotation);
    const bool selects = of_gateway_api && services != gateway->annotations.end()
                             ? stands_before(services->second)
                             : Selects(gateway->spec->selector(), view.labels);
    if (selects) selected.push_back(gateway);
  }
  return selected;
}

const std::vector<const TranslationIndex::VirtualServiceConfig*>&
TranslationIndex::VirtualServicesOn(const GatewayConfig& gateway) const {
  static const std::vector<const VirtualServiceConfig*> kNone;
  const auto found = bound_.find({gateway.key.namespace_, gateway.key.name});
  return found == bound_.end() ? kNone : found->second;
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

// Whoever may write a ServiceEntry must not so decide what pods of others take connections as.
bool TranslationIndex::SpeaksFor(const Service& service, const ProxyView& view) const {
  if (!service.entry.has_value()) return true;
  const auto workload = FindWorkload(world_, view.cluster, view.address);
  return workload != nullptr && workload->namespace_ == service.namespace_;
}

std::vector<const Service*> TranslationIndex::ServicesAt(const ProxyView& view) const {
  std::vector<const Service*> services;
  for (const std::string& address : {view.address, view.other_address}) {
    const auto found = services_at_.find(PlaceOf(view.cluster, address));
    if (found == services_at_.end()) continue;
    for (const Service* service : found->second) Insert(service, services);
  }
  return services;
}

std::map<uint16_t, TranslationIndex::InboundPort> TranslationIndex::InboundPortsOf(
    const ProxyView& view) const {
  std::map<uint16_t, InboundPort> ports;
  for (const Service* service : ServicesAt(view)) {
    if (!SpeaksFor(*service, view)) continue;
    for (const ServicePort& port : service->ports) {
      if (port.protocol == Protocol::kUdp) continue;
      for (const Endpoint& endpoint : EndpointsOf(*service)) {
        if (!IsAt(endpoint, view)) continue;
        const auto target = endpoint.target_ports.find(port.port);
        if (target != endpoint.target_ports.end()) {
          ports.try_emplace(target->second, InboundPort{service, port.protocol});
        }
      }
    }
  }
  return ports;
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

std::vector<const TranslationIndex::AuthorizationPolicyConfig*>
TranslationIndex::AuthorizationPoliciesFor(const std::string& workload_namespace,
                                           const Labels& labels) const {
  return SelectPolicies(authorization_policies_, workload_namespace, labels);
}

std::vector<const TranslationIndex::RequestAuthenticationConfig*>
TranslationIndex::RequestAuthenticationsFor(const std::string& workload_namespace,
                                            const Labels& labels) const {
  return SelectPolicies(request_authentications_, workload_namespace, labels);
}

}  // namespace weft
