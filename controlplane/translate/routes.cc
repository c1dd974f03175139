#include "controlplane/translate/routes.h"

#include <algorithm>
#include <iterator>
#include <set>

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

// Every name under which a client in `client_namespace` may speak of the service, with and without
// the port. A name taken by another service stays with it: they are unique in a configuration.
void AddDomains(const Service& service, uint16_t port, const std::string& client_namespace,
                std::set<std::string>& taken, VirtualHost& host) {
  std::vector<std::string> names = {service.host};
  if (service.entry.has_value()) {
    std::copy_if(service.entry->addresses.begin(), service.entry->addresses.end(),
                 std::back_inserter(names),
                 [](const std::string& address) { return !absl::StrContains(address, "/"); });
  } else {
    names.push_back(absl::StrCat(service.name, ".", service.namespace_));
    names.push_back(absl::StrCat(service.name, ".", service.namespace_, ".svc"));
    if (service.namespace_ == client_namespace) names.push_back(service.name);
  }
  if (!service.address.empty()) names.push_back(service.address);
  for (const std::string& name : names) {
    for (std::string domain : {name, absl::StrCat(name, ":", port)}) {
      if (taken.insert(domain).second) host.add_domains(std::move(domain));
    }
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

RouteConfiguration RouteConfigurationFor(const RouteContext& context, const std::string& name,
                                         uint16_t port,
                                         const std::vector<const Service*>& services) {
  RouteConfiguration configuration;
  configuration.set_name(name);
  std::set<std::string> taken;
  for (const Service* service : services) {
    VirtualHost host;
    host.set_name(absl::StrCat(service->host, ":", port));
    AddDomains(*service, port, context.scope.namespace_, taken, host);
    if (host.domains().empty()) continue;
    for (Route& route : RoutesTo(context, *service, port)) {
      *host.add_routes() = std::move(route);
    }
    *configuration.add_virtual_hosts() = std::move(host);
  }
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
