#include "controlplane/model/gateway_api.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/istio/networking.pb.h"
#include "api/kubernetes/gateway.pb.h"
#include "controlplane/model/gateway_api_listeners.h"
#include "controlplane/model/gateway_api_name.h"
#include "controlplane/model/gateway_api_rules.h"
#include "controlplane/model/gateway_name.h"
#include "controlplane/model/kubernetes.h"
#include "google/protobuf/util/message_differencer.h"

namespace weft {
namespace {

namespace networking = istio::networking::v1alpha3;
using kubernetes::ParentReference;
using networking::VirtualService;

constexpr char kGatewayKind[] = "Gateway.gateway.networking.k8s.io";

std::string ModelKind(absl::string_view kind) { return absl::StrCat(kind, ".", kGatewayApiGroup); }

// ---- Host names.

bool Covers(absl::string_view pattern, absl::string_view host) {
  if (pattern == "*" || pattern == host) return true;
  return absl::StartsWith(pattern, "*") && absl::EndsWith(host, pattern.substr(1));
}

// Of a listener and a route ("*" for a route without); empty if they have nothing in common.
template <typename Hostnames>
std::vector<std::string> CommonHosts(const std::string& listener, const Hostnames& hostnames) {
  if (hostnames.empty()) return {listener};
  std::vector<std::string> common;
  for (const std::string& host : hostnames) {
    if (Covers(listener, host)) {
      common.push_back(host);
    } else if (Covers(host, listener)) {
      common.push_back(listener);
    }
  }
  std::sort(common.begin(), common.end());
  common.erase(std::unique(common.begin(), common.end()), common.end());
  return common;
}

std::vector<std::string> HostnamesOf(const kubernetes::TcpRouteSpec&) { return {}; }
template <typename Spec>
std::vector<std::string> HostnamesOf(const Spec& spec) {
  return {spec.hostnames().begin(), spec.hostnames().end()};
}

// ---- What is collected for one VirtualService.

// Where it applies: a host of a listener, or a Service for clients of a namespace.
struct Place {
  std::string namespace_;
  std::string name;
  std::string gateway;  // "namespace/name" or "mesh"
  std::string host;
  bool own_namespace_only = false;

  friend bool operator<(const Place& a, const Place& b) {
    return std::tie(a.namespace_, a.name) < std::tie(b.namespace_, b.name);
  }
};

struct Entry {
  ConvertedRule rule;
  // Of its route.
  std::string created;
  std::string name;  // "namespace/name"
  size_t place = 0;  // among its rules, as written
};

struct Collected {
  ObjectKey key;  // of the first route
  std::string origin;
  std::string created;  // of the oldest
  std::vector<Entry> http;
  std::vector<networking::TLSRoute> tls;
  std::vector<networking::TCPRoute> tcp;
};

template <typename Spec>
constexpr const char* kKind = nullptr;
template <>
constexpr const char* kKind<kubernetes::HttpRouteSpec> = "HTTPRoute";
template <>
constexpr const char* kKind<kubernetes::GrpcRouteSpec> = "GRPCRoute";
template <>
constexpr const char* kKind<kubernetes::TlsRouteSpec> = "TLSRoute";
template <>
constexpr const char* kKind<kubernetes::TcpRouteSpec> = "TCPRoute";

class Conversion {
 public:
  explicit Conversion(const World& world) : world_(world), backends_(world) {}

  ConvertedGatewayApi Convert() && {
    ReadClasses();
    ReadGateways();
    for (const auto& [name, route] : world_.gateway_api.http_routes) ReadRoute(route);
    for (const auto& [name, route] : world_.gateway_api.grpc_routes) ReadRoute(route);
    for (const auto& [name, route] : world_.gateway_api.tls_routes) ReadRoute(route);
    for (const auto& [name, route] : world_.gateway_api.tcp_routes) ReadRoute(route);
    for (auto& [place, collected] : collected_) AddVirtualService(place, collected);
    for (auto& [name, listeners] : listeners_) AddGatewayStatus(listeners);
    std::sort(converted_.statuses.begin(), converted_.statuses.end(),
              [](const auto& a, const auto& b) { return a.key < b.key; });
    return std::move(converted_);
  }

 private:
  void ReadClasses() {
    for (const auto& [name, config] : world_.gateway_api.classes) {
      if (config.spec->controller_name() != kGatewayController) continue;
      classes_.insert(name.second);
      GatewayApiStatus& status = converted_.statuses.emplace_back();
      status.key = config.key;
      status.generation = config.generation;
      status.conditions = {{"Accepted", true, "Accepted"}};
    }
  }

  void ReadGateways() {
    for (const auto& [name, config] : world_.gateway_api.gateways) {
      if (!classes_.contains(config.spec->gateway_class_name())) continue;
      auto& listeners = listeners_[name];
      listeners = ConvertListeners(world_, backends_, config);
      for (const ConvertedListener& listener : listeners) AddGateway(listener);
    }
  }

  void AddGateway(const ConvertedListener& listener) {
    if (listener.server == nullptr) return;
    const GatewayApiGateway& from = *listener.gateway;
    auto spec = std::make_shared<networking::Gateway>();
    (*spec->mutable_selector())[kGatewayNameLabel] = from.key.name;
    *spec->add_servers() = *listener.server;
    Config<networking::Gateway> to{{kGatewayKind, from.key.namespace_, listener.name()},
                                   from.origin,
                                   from.creation_timestamp,
                                   from.labels,
                                   std::move(spec)};
    std::vector<std::string> services;
    for (const auto& address : from.spec->addresses()) {
      if (address.type() == "Hostname") services.push_back(ServiceHost(address.value(), from));
    }
    if (!services.empty()) {
      to.annotations[kGatewayServicesAnnotation] = absl::StrJoin(services, ",");
    }
    converted_.gateways.insert_or_assign({to.key.namespace_, to.key.name}, to);
  }

  static std::string ServiceHost(const std::string& value, const GatewayApiGateway& gateway) {
    return absl::StrContains(value, ".") ? value : HostOf(value, gateway.key.namespace_);
  }

  // ---- Routes.

  template <typename Spec>
  void ReadRoute(const Config<Spec>& route) {
    GatewayApiStatus status;
    status.key = route.key;
    status.generation = route.generation;
    for (const ParentReference& parent : route.spec->parent_refs()) {
      std::optional<GatewayApiCondition> accepted;
      if (IsGateway(parent)) accepted = AttachToGateway(route, parent);
      if (IsService(parent)) accepted = AttachToService(route, parent);
      if (!accepted.has_value()) continue;  // another controller's
      RouteParentStatus& of_parent = status.parents.emplace_back();
      of_parent = {parent.group(), parent.kind(),         parent.namespace_(),
                   parent.name(),  parent.section_name(), parent.port()};
      of_parent.conditions = {*std::move(accepted), ResolvedRefs(route)};
    }
    if (!status.parents.empty()) converted_.statuses.push_back(std::move(status));
  }

  static bool IsGateway(const ParentReference& parent) {
    return (parent.group().empty() || parent.group() == kGatewayApiGroup) &&
           (parent.kind().empty() || parent.kind() == "Gateway");
  }
  static bool IsService(const ParentReference& parent) {
    return (parent.group().empty() || parent.group() == "core") && parent.kind() == "Service";
  }

  // nullopt: the Gateway is not ours.
  template <typename Spec>
  std::optional<GatewayApiCondition> AttachToGateway(const Config<Spec>& route,
                                                     const ParentReference& parent) {
    const std::string name_space =
        parent.namespace_().empty() ? route.key.namespace_ : parent.namespace_();
    const auto found = listeners_.find({name_space, parent.name()});
    if (found == listeners_.end()) return std::nullopt;
    bool named = false;
    bool allowed = false;
    bool attached = false;
    for (ConvertedListener& listener : found->second) {
      if (!parent.section_name().empty() && parent.section_name() != listener.listener->name()) {
        continue;
      }
      if (parent.has_port() && parent.port() != listener.listener->port()) continue;
      named = true;
      const auto& kinds = listener.kinds;
      if (std::find(kinds.begin(), kinds.end(), kKind<Spec>) == kinds.end()) continue;
      if (!AdmitsNamespace(world_, listener, route.key.namespace_)) continue;
      allowed = true;
      const auto hosts = CommonHosts(listener.hostname(), HostnamesOf(*route.spec));
      if (hosts.empty()) continue;
      attached = true;
      ++listener.status.attached_routes;
      if (listener.server != nullptr) Collect(route, listener, hosts);
    }
    if (attached) return GatewayApiCondition{"Accepted", true, "Accepted"};
    if (!named) {
      return GatewayApiCondition{"Accepted", false, "NoMatchingParent",
                                 "no listener of the Gateway has this sectionName or port"};
    }
    if (!allowed) {
      return GatewayApiCondition{"Accepted", false, "NotAllowedByListeners",
                                 "no listener's allowedRoutes admits this kind and namespace"};
    }
    return GatewayApiCondition{"Accepted", false, "NoMatchingListenerHostname",
                               "no listener has a host name in common with the route"};
  }

  // The port that clients dial counts, and the hosts of the route do not.
  template <typename Spec>
  std::optional<GatewayApiCondition> AttachToService(const Config<Spec>& route,
                                                     const ParentReference& parent) {
    const std::string name_space =
        parent.namespace_().empty() ? route.key.namespace_ : parent.namespace_();
    const std::string host = HostOf(parent.name(), name_space);
    const auto service = world_.services.find(host);
    if (service == world_.services.end()) {
      return GatewayApiCondition{
          "Accepted", false, "NoMatchingParent",
          absl::StrCat("there is no Service ", name_space, "/", parent.name())};
    }
    const auto port = static_cast<uint16_t>(parent.port());
    const auto& ports = service->second->ports;
    if (port != 0 && std::none_of(ports.begin(), ports.end(),
                                  [&](const auto& one) { return one.port == port; })) {
      return GatewayApiCondition{"Accepted", false, "NoMatchingParent",
                                 absl::StrCat("the Service has no port ", port)};
    }
    Place place;
    place.namespace_ = route.key.namespace_;
    place.name = absl::StrCat(host, "~mesh");
    place.gateway = std::string(kMeshGateway);
    place.host = host;
    // Routes of another namespace are for clients of that namespace.
    place.own_namespace_only = name_space != route.key.namespace_;
    Add(route, place, port, /*of_listener=*/0, {host});
    return GatewayApiCondition{"Accepted", true, "Accepted"};
  }

  template <typename Spec>
  void Collect(const Config<Spec>& route, const ConvertedListener& listener,
               const std::vector<std::string>& hosts) {
    for (const std::string& host : hosts) {
      Place place;
      place.namespace_ = listener.gateway->key.namespace_;
      place.name = absl::StrCat(listener.name(), "~", host);
      place.gateway = absl::StrCat(listener.gateway->key.namespace_, "/", listener.name());
      place.host = host;
      Add(route, place, 0, static_cast<uint16_t>(listener.listener->port()), {host});
    }
  }

  template <typename Spec>
  Collected& CollectedAt(const Config<Spec>& route, const Place& place) {
    const auto [found, added] = collected_.try_emplace(place);
    Collected& to = found->second;
    if (added) {
      to.key = {ModelKind(kKind<Spec>), place.namespace_, place.name};
      to.origin = route.origin;
      to.created = route.creation_timestamp;
    }
    to.created = std::min(to.created, route.creation_timestamp);
    return to;
  }

  // `port`: only what is for this one.
  template <typename Spec>
  void Add(const Config<Spec>& route, const Place& place, uint16_t port, uint16_t listener_port,
           const std::vector<std::string>&) {
    Collected& to = CollectedAt(route, place);
    size_t at = 0;
    for (ConvertedRule& rule : ConvertRules(backends_, route, listener_port)) {
      rule.route.mutable_match(0)->set_port(port);
      to.http.push_back({std::move(rule), route.creation_timestamp,
                         absl::StrCat(route.key.namespace_, "/", route.key.name), at++});
    }
  }

  void Add(const Config<kubernetes::TlsRouteSpec>& route, const Place& place, uint16_t port,
           uint16_t, const std::vector<std::string>& hosts) {
    Collected& to = CollectedAt(route, place);
    for (const auto& rule : route.spec->rules()) {
      const auto destinations = ConvertBackends(backends_, rule, "TLSRoute", route.key.namespace_);
      if (destinations.empty()) continue;
      networking::TLSRoute& tls = to.tls.emplace_back();
      auto* match = tls.add_match();
      match->set_port(port);
      // To a Service, whatever name its clients say.
      const auto names = place.gateway == kMeshGateway ? std::vector<std::string>{"*"} : hosts;
      for (const std::string& host : names) match->add_sni_hosts(host);
      for (const auto& destination : destinations) *tls.add_route() = destination;
      // Where TLS ends at the gateway, what is inside is routed as bytes.
      networking::TCPRoute& tcp = to.tcp.emplace_back();
      tcp.add_match()->set_port(port);
      for (const auto& destination : destinations) *tcp.add_route() = destination;
    }
  }

  void Add(const Config<kubernetes::TcpRouteSpec>& route, const Place& place, uint16_t port,
           uint16_t, const std::vector<std::string>&) {
    Collected& to = CollectedAt(route, place);
    for (const auto& rule : route.spec->rules()) {
      const auto destinations = ConvertBackends(backends_, rule, "TCPRoute", route.key.namespace_);
      if (destinations.empty()) continue;
      networking::TCPRoute& tcp = to.tcp.emplace_back();
      tcp.add_match()->set_port(port);
      for (const auto& destination : destinations) *tcp.add_route() = destination;
    }
  }

  void AddVirtualService(const Place& place, Collected& from) {
    // The most specific first; of equals the oldest, then by name, then as written.
    std::sort(from.http.begin(), from.http.end(), [](const Entry& a, const Entry& b) {
      if (a.rule.precedence != b.rule.precedence) return b.rule.precedence < a.rule.precedence;
      return std::tie(a.created, a.name, a.place) < std::tie(b.created, b.name, b.place);
    });
    if (from.http.empty() && from.tls.empty() && from.tcp.empty()) return;
    auto spec = std::make_shared<VirtualService>();
    spec->add_hosts(place.host);
    spec->add_gateways(place.gateway);
    if (place.own_namespace_only) spec->add_export_to(".");
    for (Entry& entry : from.http) *spec->add_http() = std::move(entry.rule.route);
    for (auto& route : from.tls) *spec->add_tls() = std::move(route);
    for (auto& route : from.tcp) *spec->add_tcp() = std::move(route);
    Config<VirtualService> to{from.key, from.origin, from.created, {}, std::move(spec)};
    // What clients' own namespace says of a Service comes before what the Service's says.
    if (place.own_namespace_only) to.creation_timestamp.clear();
    converted_.virtual_services.insert_or_assign({place.namespace_, place.name}, to);
  }

  // ---- Statuses.

  template <typename Backend>
  bool Check(const Backend& backend, absl::string_view kind, const std::string& name_space,
             GatewayApiCondition& resolved) const {
    const Backends::Verdict verdict = backends_.Resolve(backend, kind, name_space);
    if (!verdict.host.empty()) return true;
    resolved = {"ResolvedRefs", false, verdict.reason, verdict.message};
    return false;
  }

  template <typename Rule>
  auto FiltersOf(const Rule& rule) const -> decltype(rule.filters()) {
    return rule.filters();
  }
  static google::protobuf::RepeatedPtrField<kubernetes::RouteFilter> FiltersOf(
      const kubernetes::L4RouteRule&) {
    return {};
  }

  template <typename Spec>
  GatewayApiCondition ResolvedRefs(const Config<Spec>& route) const {
    GatewayApiCondition resolved{"ResolvedRefs", true, "ResolvedRefs"};
    const std::string& name_space = route.key.namespace_;
    for (const auto& rule : route.spec->rules()) {
      for (const auto& backend : rule.backend_refs()) {
        if (!Check(backend, kKind<Spec>, name_space, resolved)) return resolved;
      }
      for (const auto& filter : FiltersOf(rule)) {
        if (!filter.has_request_mirror()) continue;
        const auto& mirror = filter.request_mirror().backend_ref();
        if (!Check(mirror, kKind<Spec>, name_space, resolved)) return resolved;
      }
    }
    return resolved;
  }

  void AddGatewayStatus(std::vector<ConvertedListener>& listeners) {
    if (listeners.empty()) return;
    const GatewayApiGateway& gateway = *listeners.front().gateway;
    GatewayApiStatus& status = converted_.statuses.emplace_back();
    status.key = gateway.key;
    status.generation = gateway.generation;
    const auto bad = std::count_if(listeners.begin(), listeners.end(),
                                   [](const auto& one) { return one.server == nullptr; });
    const bool any = static_cast<size_t>(bad) < listeners.size();
    const bool all = bad == 0;
    status.conditions = {{"Accepted", any, all ? "Accepted" : "ListenersNotValid",
                          all ? "" : absl::StrCat(bad, " of the listeners serve nobody")},
                         {"Programmed", any, any ? "Programmed" : "Invalid"}};
    for (ConvertedListener& listener : listeners) {
      status.listeners.push_back(std::move(listener.status));
    }
  }

  const World& world_;
  const Backends backends_;
  std::set<std::string> classes_;
  std::map<std::pair<std::string, std::string>, std::vector<ConvertedListener>> listeners_;
  std::map<Place, Collected> collected_;
  ConvertedGatewayApi converted_;
};

bool IsEmpty(const GatewayApi& api) {
  return api.classes.empty() && api.gateways.empty() && api.http_routes.empty() &&
         api.grpc_routes.empty() && api.tls_routes.empty() && api.tcp_routes.empty();
}

bool SameGateways(const Configs<networking::Gateway>& a, const Configs<networking::Gateway>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& one, const auto& other) {
    const auto& [name, config] = one;
    const auto& [other_name, other_config] = other;
    return name == other_name && config.origin == other_config.origin &&
           config.creation_timestamp == other_config.creation_timestamp &&
           config.annotations == other_config.annotations &&
           google::protobuf::util::MessageDifferencer::Equals(*config.spec, *other_config.spec);
  });
}

template <typename Map>
Map Merged(Map users, const Map& made) {
  for (const auto& [name, config] : made) users.insert_or_assign(name, config);
  return users;
}

}  // namespace

std::string ToString(const GatewayApiCondition& condition) {
  return absl::StrCat(condition.type, "=", condition.status ? "True" : "False", " ",
                      condition.reason, condition.message.empty() ? "" : ": ", condition.message);
}

ConvertedGatewayApi ConvertGatewayApi(const World& world) { return Conversion(world).Convert(); }

bool GatewayApiMerge::Holds(const World& world) const {
  const GatewayApi& api = world.gateway_api;
  const GatewayApi& known = inputs_.gateway_api;
  return api.classes.SharesAllWith(known.classes) && api.gateways.SharesAllWith(known.gateways) &&
         api.http_routes.SharesAllWith(known.http_routes) &&
         api.grpc_routes.SharesAllWith(known.grpc_routes) &&
         api.tls_routes.SharesAllWith(known.tls_routes) &&
         api.tcp_routes.SharesAllWith(known.tcp_routes) &&
         api.reference_grants.SharesAllWith(known.reference_grants) &&
         world.services == inputs_.services && world.aliases == inputs_.aliases &&
         world.namespaces == inputs_.namespaces && world.secrets == inputs_.secrets;
}

void GatewayApiMerge::Apply(World& world) {
  if (IsEmpty(world.gateway_api)) {
    inputs_ = World();
    converted_ = ConvertedGatewayApi();
    world.gateway_api = GatewayApi();
    return;
  }
  const bool holds = Holds(world);
  bool same_gateways = holds;
  if (!holds) {
    ConvertedGatewayApi fresh = ConvertGatewayApi(world);
    // Routes come and go more often than listeners; whoever compares pointers sees no change then.
    same_gateways = SameGateways(converted_.gateways, fresh.gateways);
    if (same_gateways) fresh.gateways = converted_.gateways;
    converted_ = std::move(fresh);
  }
  if (!same_gateways || !world.gateways.SharesAllWith(inputs_.gateways)) {
    gateways_ = Merged(world.gateways, converted_.gateways);
  }
  if (!holds || !world.virtual_services.SharesAllWith(inputs_.virtual_services)) {
    virtual_services_ = Merged(world.virtual_services, converted_.virtual_services);
  }
  inputs_ = world;
  world.gateway_api = GatewayApi();
  world.gateways = gateways_;
  world.virtual_services = virtual_services_;
}

}  // namespace weft
