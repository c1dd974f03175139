#include "controlplane/translate/routes.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "api/envoy/route.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/http_routes.h"
#include "controlplane/translate/parts.h"

namespace weft {
namespace {

using envoy::config::route::v3::Route;
using envoy::config::route::v3::RouteConfiguration;
using envoy::config::route::v3::VirtualHost;

// Every name under which a client in `client_namespace` may speak of the service, with and without
// the port. A name taken by another service stays with it: they are unique in a configuration.
void AddDomains(const Service& service, uint16_t port, const std::string& client_namespace,
                std::set<std::string>& taken, VirtualHost& host) {
  std::vector<std::string> names = {service.host,
                                    absl::StrCat(service.name, ".", service.namespace_),
                                    absl::StrCat(service.name, ".", service.namespace_, ".svc")};
  if (service.namespace_ == client_namespace) names.push_back(service.name);
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

VirtualHost AllowAny() {
  VirtualHost host;
  host.set_name("allow_any");
  host.add_domains("*");
  Route* route = host.add_routes();
  route->set_name("allow_any");
  route->mutable_match()->set_prefix("/");
  route->mutable_route()->set_cluster(kPassthroughCluster);
  route->mutable_route()->mutable_timeout();  // 0: none
  return host;
}

RouteConfiguration RouteConfigurationFor(const RouteContext& context, uint16_t port,
                                         const std::vector<const Service*>& services) {
  RouteConfiguration configuration;
  configuration.set_name(absl::StrCat(port));
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
  *configuration.add_virtual_hosts() = AllowAny();
  return configuration;
}

}  // namespace

EncodedResources OutboundRoutes(const RouteContext& context) {
  EncodedResources routes;
  for (const auto& [port, services] : context.index.http_ports()) {
    RouteConfiguration configuration = RouteConfigurationFor(context, port, services);
    routes.emplace(configuration.name(), EncodeResource(configuration));
  }
  return routes;
}

}  // namespace weft
