#include "controlplane/translate/routes.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/route.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/http_routes.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/unknown_destinations.h"

namespace weft {
namespace {

using envoy::config::route::v3::Route;
using envoy::config::route::v3::RouteConfiguration;
using envoy::config::route::v3::VirtualHost;

constexpr uint16_t kHttpPort = 80;

// With and without the port, an address as URLs have it. A name taken by another service stays with
// it: they are unique in a configuration.
void AddDomain(const std::string& name, uint16_t port, std::set<std::string>& taken,
               VirtualHost& host) {
  const std::string written = IsIpv6(name) ? absl::StrCat("[", name, "]") : name;
  for (std::string domain : {written, absl::StrCat(written, ":", port)}) {
    if (taken.insert(domain).second) host.add_domains(std::move(domain));
  }
}

// The host of a Service or an Alias, "reviews.default.svc.cluster.local", and what is short for it
// in `client_namespace`. Of names in the cluster set nothing is.
template <typename Named>
std::vector<std::string> NamesOf(const Named& named, const std::string& client_namespace) {
  if (named.cluster_set) return {named.host};
  const std::string short_name = absl::StrCat(named.name, ".", named.namespace_);
  std::vector<std::string> names = {named.host, short_name, absl::StrCat(short_name, ".svc")};
  if (named.namespace_ == client_namespace) names.push_back(named.name);
  return names;
}

// Every name under which a client may speak of the service.
void AddDomains(const RouteContext& context, const Service& service, uint16_t port,
                std::set<std::string>& taken, VirtualHost& host) {
  if (service.entry.has_value()) {
    AddDomain(service.host, port, taken, host);
    for (const std::string& address : service.entry->addresses) {
      if (!absl::StrContains(address, "/")) AddDomain(address, port, taken, host);
    }
  } else {
    for (const std::string& name : NamesOf(service, context.scope.namespace_)) {
      AddDomain(name, port, taken, host);
    }
  }
  for (const std::string& address :
       AddressesFor(context.scope.families, service.address, service.other_address)) {
    AddDomain(address, port, taken, host);
  }
}

void AddAliases(const RouteContext& context, const Service& service, uint16_t port,
                std::set<std::string>& taken, VirtualHost& host) {
  for (const Alias* alias : context.index.AliasesOf(service)) {
    for (const std::string& name : NamesOf(*alias, context.scope.namespace_)) {
      AddDomain(name, port, taken, host);
    }
  }
}

// Where a VirtualService is for the service's name in the cluster set and not for the local one,
// that name has a virtual host of its own, although the service is the same.
void AddClusterSetHosts(const RouteContext& context, const Service& service, uint16_t port,
                        std::set<std::string>& taken, RouteConfiguration& to) {
  for (const Alias* alias : context.index.AliasesOf(service)) {
    if (!alias->cluster_set) continue;
    const std::string& client = context.scope.namespace_;
    const auto* config = context.index.VirtualServiceFor(alias->host, client);
    if (config == nullptr || config == context.index.VirtualServiceFor(service.host, client)) {
      continue;
    }
    VirtualHost host;
    host.set_name(absl::StrCat(alias->host, ":", port));
    for (Route& route : HttpRoutes(context, *config, port)) *host.add_routes() = std::move(route);
    if (host.routes().empty()) continue;
    AddDomain(alias->host, port, taken, host);
    if (!host.domains().empty()) *to.add_virtual_hosts() = std::move(host);
  }
}

std::vector<Route> RoutesTo(const RouteContext& context, const Service& service, uint16_t port) {
  const auto* config = context.index.VirtualServiceFor(service.host, context.scope.namespace_);
  if (config != nullptr) {
    std::vector<Route> routes = HttpRoutes(context, *config, port);
    if (!routes.empty()) return routes;
  }
  return {DefaultRoute(OutboundClusterName(port, "", service.host),
                       context.rules.at(&service).For(port, nullptr))};
}

// The pods of a headless service, by their own names below it: each goes to the pod it names.
VirtualHost PodsOf(const RouteContext& context, const Service& service, uint16_t port,
                   std::set<std::string>& taken) {
  VirtualHost host;
  host.set_name(absl::StrCat("*.", service.host, ":", port));
  for (const std::string& name : NamesOf(service, context.scope.namespace_)) {
    AddDomain(absl::StrCat("*.", name), port, taken, host);
  }
  *host.add_routes() = DefaultRoute(OutboundPodsClusterName(port, service.host),
                                    context.rules.at(&service).For(port, nullptr));
  return host;
}

// Hosts that are no service's: their VirtualServices route what is asked of them at HTTP's own
// port.
void AddForeignHosts(const RouteContext& context, std::set<std::string>& taken,
                     RouteConfiguration& to) {
  for (const auto& [name, config] : context.services.foreign_hosts()) {
    if (name == "*") continue;
    VirtualHost host;
    host.set_name(absl::StrCat(name, ":", kHttpPort));
    for (Route& route : HttpRoutes(context, *config, kHttpPort)) {
      *host.add_routes() = std::move(route);
    }
    if (host.routes().empty()) continue;
    AddDomain(name, kHttpPort, taken, host);
    if (!host.domains().empty()) *to.add_virtual_hosts() = std::move(host);
  }
}

RouteConfiguration RouteConfigurationFor(const RouteContext& context, const std::string& name,
                                         uint16_t port,
                                         const std::vector<const Service*>& services) {
  RouteConfiguration configuration;
  configuration.set_name(name);
  std::set<std::string> taken;
  std::vector<std::pair<const Service*, int>> hosts;  // and the index of their virtual hosts
  for (const Service* service : services) {
    VirtualHost host;
    host.set_name(absl::StrCat(service->host, ":", port));
    AddDomains(context, *service, port, taken, host);
    if (host.domains().empty()) continue;
    for (Route& route : RoutesTo(context, *service, port)) {
      *host.add_routes() = std::move(route);
    }
    hosts.emplace_back(service, configuration.virtual_hosts_size());
    *configuration.add_virtual_hosts() = std::move(host);
  }
  // Only now: no other name takes that of a service.
  for (const auto& [service, at] : hosts) {
    AddClusterSetHosts(context, *service, port, taken, configuration);
    AddAliases(context, *service, port, taken, *configuration.mutable_virtual_hosts(at));
    if (!IsHeadless(*service)) continue;
    VirtualHost pods = PodsOf(context, *service, port, taken);
    if (!pods.domains().empty()) *configuration.add_virtual_hosts() = std::move(pods);
  }
  if (name == absl::StrCat(kHttpPort)) AddForeignHosts(context, taken, configuration);
  *configuration.add_virtual_hosts() = UnknownHost(context);
  return configuration;
}

}  // namespace

EncodedResources OutboundRoutes(const RouteContext& context) {
  EncodedResources routes;
  const auto add = [&](const std::string& name, uint16_t port, const auto& services) {
    routes.emplace(name, EncodeResource(RouteConfigurationFor(context, name, port, services)));
  };
  for (const auto& [port, services] : context.services.http_ports()) {
    add(absl::StrCat(port), port, services);
  }
  for (const BoundListener& bound : context.services.bound()) {
    if (bound.http) add(bound.name(), bound.port, bound.services);
  }
  return routes;
}

}  // namespace weft
