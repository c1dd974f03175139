#include "controlplane/translate/sidecar_scope.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/service_entry.h"
#include "controlplane/translate/hosts.h"

namespace weft {
namespace {

using istio::networking::v1alpha3::Destination;
using istio::networking::v1alpha3::IstioEgressListener;
using istio::networking::v1alpha3::OutboundTrafficPolicy;
using istio::networking::v1alpha3::Sidecar;

constexpr char kLoopback[] = "127.0.0.1";
constexpr char kIpv6Loopback[] = "::1";

std::unique_ptr<const Sidecar> Parse(const std::string& egress) {
  auto sidecar = std::make_unique<Sidecar>();
  sidecar->ParseFromString(egress);  // SidecarIndex made it
  return sidecar;
}

bool IsBound(const IstioEgressListener& egress) {
  return !egress.bind().empty() ||
         egress.capture_mode() == istio::networking::v1alpha3::CaptureMode::NONE;
}

// Which of two services of one host counts, lower first.
int RankOf(const Service& service, const std::string& client_namespace) {
  if (!service.entry.has_value()) return 0;
  return service.namespace_ == client_namespace ? 1 : 2;
}

}  // namespace

const ServicePort* FindPort(const Service& service, uint32_t number) {
  for (const ServicePort& port : service.ports) {
    if (port.port == number && port.protocol != Protocol::kUdp) return &port;
  }
  return nullptr;
}

std::string BoundListener::name() const { return absl::StrCat(ip, "_", port); }

VisibleServices::VisibleServices(const TranslationIndex& index, const OutboundScope& scope)
    : index_(index), scope_(scope), sidecar_(Parse(scope.egress)) {
  if (sidecar_->egress().empty()) {
    AddEverything();
  } else {
    AddEgress();
  }
  // Whatever else is hidden from it: the mesh's operator wants it asked.
  const Service* authorizer = index_.FindService(scope.authorizer);
  if (authorizer != nullptr) reachable_.try_emplace(authorizer->host, authorizer);
}

VisibleServices::~VisibleServices() = default;

const Service* VisibleServices::Find(const std::string& host) const {
  const auto found = reachable_.find(host);
  return found == reachable_.end() ? nullptr : found->second;
}

bool VisibleServices::registry_only() const {
  return sidecar_->has_outbound_traffic_policy() &&
         sidecar_->outbound_traffic_policy().mode() == OutboundTrafficPolicy::REGISTRY_ONLY;
}

const Destination* VisibleServices::egress_proxy() const {
  const OutboundTrafficPolicy& policy = sidecar_->outbound_traffic_policy();
  return policy.has_egress_proxy() ? &policy.egress_proxy() : nullptr;
}

bool VisibleServices::Sees(const Service& service) const {
  return IsVisible(service.export_to, service.namespace_, scope_.namespace_);
}

bool VisibleServices::Sees(const VirtualServiceConfig& config) const {
  return IsVisible(config.spec->export_to(), config.key.namespace_, scope_.namespace_);
}

void VisibleServices::Add(const Service& service, ByHost& to) const {
  if (!Sees(service)) return;
  const auto [found, added] = to.try_emplace(service.host, &service);
  if (added || found->second == &service) return;
  if (RankOf(service, scope_.namespace_) < RankOf(*found->second, scope_.namespace_)) {
    found->second = &service;
  }
}

// `pattern` is "namespace/host".
void VisibleServices::AddNamed(const std::string& pattern, ByHost& to) const {
  const size_t slash = pattern.find('/');
  std::string name_space = pattern.substr(0, slash);
  const std::string host = pattern.substr(slash + 1);
  if (name_space == "~") return;
  if (name_space == ".") name_space = scope_.namespace_;
  const auto add = [&](const Service& service) {
    if (name_space != "*" && service.namespace_ != name_space) return;
    if (Covers(host, service.host)) Add(service, to);
  };
  if (!absl::StartsWith(host, "*")) {
    for (const Service* service : index_.ServicesOf(host)) add(*service);
  } else if (name_space != "*") {
    for (const Service* service : index_.ServicesIn(name_space)) add(*service);
  } else {
    for (const auto& [key, service] : index_.world().services) add(*service);
  }
  AddAliased(name_space, host, to);
}

// Who may use another name of a service is told of the service.
void VisibleServices::AddAliased(const std::string& name_space, const std::string& host,
                                 ByHost& to) const {
  const auto add = [&](const Alias& alias) {
    if (name_space != "*" && alias.namespace_ != name_space) return;
    if (!Covers(host, alias.host)) return;
    for (const Service* service : index_.ServicesOf(index_.FollowAlias(alias.host))) {
      Add(*service, to);
    }
  };
  const auto& aliases = index_.world().aliases;
  if (absl::StartsWith(host, "*")) {
    for (const auto& [name, alias] : aliases) add(alias);
  } else if (const auto found = aliases.find(host); found != aliases.end()) {
    add(found->second);
  }
}

VisibleServices::ByHost VisibleServices::Named(const Egress& egress) const {
  ByHost named;
  for (const std::string& pattern : egress.hosts()) AddNamed(pattern, named);
  return named;
}

void VisibleServices::AddEverything() {
  for (const auto& [key, service] : index_.world().services) Add(*service, known_);
  reachable_ = known_;
  AddPorts(known_, {});
  for (const auto& foreign : index_.foreign_hosts()) {
    if (Sees(*foreign.second)) foreign_hosts_.push_back(foreign);
  }
}

// A port that a listener names is that listener's alone; the rest is that of the listener without
// one.
void VisibleServices::AddEgress() {
  std::set<uint16_t> named_ports;
  ByHost rest;
  for (const Egress& egress : sidecar_->egress()) {
    ByHost services = Named(egress);
    for (const auto& [host, service] : services) Add(*service, known_);
    const auto port = static_cast<uint16_t>(egress.port().number());
    if (port == 0) {
      rest.insert(services.begin(), services.end());
    } else if (IsBound(egress)) {
      AddBound(egress, services);
    } else {
      AddPort(services, port);
      named_ports.insert(port);
    }
  }
  AddPorts(rest, named_ports);
  reachable_ = known_;
  if (scope_.router) return;  // what its routes lead to is named
  for (const auto& [host, service] : known_) AddDestinationsOf(*service);
  AddForeignHosts();
  if (egress_proxy() != nullptr) {
    AddDestination(index_.ResolveHost(egress_proxy()->host(), scope_.namespace_));
  }
}

// Those that an egress host names in the namespace of their VirtualService.
void VisibleServices::AddForeignHosts() {
  for (const auto& foreign : index_.foreign_hosts()) {
    const auto& [host, config] = foreign;
    if (!Sees(*config) || !Names(config->key.namespace_, host)) continue;
    foreign_hosts_.push_back(foreign);
    AddDestinationsOf(*config);
  }
}

bool VisibleServices::Names(const std::string& name_space, const std::string& host) const {
  for (const Egress& egress : sidecar_->egress()) {
    for (const std::string& pattern : egress.hosts()) {
      const size_t slash = pattern.find('/');
      const absl::string_view in = absl::string_view(pattern).substr(0, slash);
      const bool there =
          in == "*" || in == name_space || (in == "." && name_space == scope_.namespace_);
      if (there && Covers(absl::string_view(pattern).substr(slash + 1), host)) return true;
    }
  }
  return false;
}

void VisibleServices::AddPorts(const ByHost& services, const std::set<uint16_t>& except) {
  for (const auto& [host, service] : services) {
    for (const ServicePort& port : service->ports) {
      if (port.protocol == Protocol::kUdp || except.contains(port.port)) continue;
      if (IsHttp(port.protocol)) {
        http_ports_[port.port].push_back(service);
      } else {
        tcp_ports_.emplace_back(service, &port);
      }
    }
  }
}

void VisibleServices::AddPort(const ByHost& services, uint16_t number) {
  for (const auto& [host, service] : services) {
    const ServicePort* port = FindPort(*service, number);
    if (port == nullptr) continue;
    if (IsHttp(port->protocol)) {
      http_ports_[number].push_back(service);
    } else {
      tcp_ports_.emplace_back(service, port);
    }
  }
}

void VisibleServices::AddBound(const Egress& egress, const ByHost& services) {
  BoundListener listener;
  const char* loopback = scope_.families.v4 ? kLoopback : kIpv6Loopback;
  listener.ip = egress.bind().empty() ? loopback : egress.bind();
  listener.port = static_cast<uint16_t>(egress.port().number());
  listener.http = IsHttp(NamedProtocol(egress.port().protocol()).value_or(Protocol::kTcp));
  for (const auto& [host, service] : services) {
    if (FindPort(*service, listener.port) != nullptr) listener.services.push_back(service);
  }
  bound_.push_back(std::move(listener));
}

void VisibleServices::AddDestination(const std::string& name) {
  const std::string host = index_.FollowAlias(name);
  if (reachable_.contains(host)) return;
  for (const Service* service : index_.ServicesOf(host)) Add(*service, reachable_);
}

void VisibleServices::AddDestinationsOf(const Service& service) {
  const auto* config = index_.VirtualServiceFor(service.host, scope_.namespace_);
  if (config != nullptr) AddDestinationsOf(*config);
}

void VisibleServices::AddDestinationsOf(const VirtualServiceConfig& config) {
  const auto add = [&](const Destination& destination) {
    AddDestination(index_.ResolveHost(destination.host(), config.key.namespace_));
  };
  for (const auto& route : config.spec->http()) {
    for (const auto& share : route.route()) add(share.destination());
    if (route.has_mirror()) add(route.mirror());
    for (const auto& mirror : route.mirrors()) add(mirror.destination());
  }
  for (const auto& route : config.spec->tcp()) {
    for (const auto& share : route.route()) add(share.destination());
  }
  for (const auto& route : config.spec->tls()) {
    for (const auto& share : route.route()) add(share.destination());
  }
}

}  // namespace weft
