#include "controlplane/translate/router_routes.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "api/envoy/route.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/http_routes.h"
#include "controlplane/translate/route_match.h"

namespace weft {
namespace {

using envoy::config::route::v3::Route;
using envoy::config::route::v3::RouteConfiguration;
using envoy::config::route::v3::VirtualHost;

constexpr uint32_t kNotFound = 404;

// What comes to one host, put together from all that route it.
struct Host {
  std::vector<Route> routes;
  bool redirects = false;  // what is plain goes to HTTPS
};

Route NotFoundRoute() {
  Route route;
  route.set_name("blackhole");
  *route.mutable_match() = AnyRequest();
  route.mutable_direct_response()->set_status(kNotFound);
  return route;
}

// Never reached by plain requests, which are redirected before; those that came by HTTPS to a proxy
// in front of us end here.
Route ToHttps() {
  Route route;
  route.set_name("https-redirect");
  *route.mutable_match() = AnyRequest();
  route.mutable_redirect()->set_https_redirect(true);
  return route;
}

class Table {
 public:
  explicit Table(const RouteContext& context) : context_(context) {}

  void Add(const RouterServer& server) {
    context_.gateway = server.gateway_name();
    const auto port = static_cast<uint16_t>(server.server->port().number());
    const bool redirects = server.server->tls().https_redirect();
    for (const auto* config :
         VirtualServicesAt(context_.index, server, context_.scope.namespace_)) {
      const std::vector<Route> routes = HttpRoutes(context_, *config, port);
      if (routes.empty()) continue;
      for (const std::string& host : HostsAt(context_.index, server, *config)) {
        hosts_[host].redirects |= redirects;
        // The same one may be bound to several Gateways of the port.
        if (!taken_.emplace(host, config).second) continue;
        auto& all = hosts_[host].routes;
        all.insert(all.end(), routes.begin(), routes.end());
      }
    }
    if (!redirects) return;
    for (const std::string& written : server.server->hosts()) {
      hosts_[written.substr(written.find('/') + 1)].redirects = true;
    }
  }

  RouteConfiguration Take(const std::string& name, uint16_t port) && {
    RouteConfiguration table;
    table.set_name(name);
    // Clients may dial a port that is mapped to this one, and say so in Host.
    table.set_ignore_port_in_host_matching(true);
    if (hosts_.empty()) hosts_["*"].routes.push_back(NotFoundRoute());
    for (auto& [name_of_host, host] : hosts_) {
      VirtualHost& to = *table.add_virtual_hosts();
      to.set_name(absl::StrCat(name_of_host, ":", port));
      to.add_domains(name_of_host);
      if (host.redirects) to.set_require_tls(VirtualHost::ALL);
      PutCatchAllLast(host);
      for (Route& route : host.routes) *to.add_routes() = std::move(route);
    }
    return table;
  }

 private:
  // Several VirtualServices of one host are tried one after the other; a route for all requests
  // would hide those behind it.
  static void PutCatchAllLast(Host& host) {
    std::vector<Route> routes;
    const Route* catch_all = nullptr;
    for (Route& route : host.routes) {
      if (!IsAnyRequest(route.match())) {
        routes.push_back(std::move(route));
      } else if (catch_all == nullptr) {
        catch_all = &route;
      }
    }
    if (catch_all != nullptr) {
      routes.push_back(*catch_all);
    } else if (host.redirects) {
      routes.push_back(ToHttps());
    }
    host.routes = std::move(routes);
  }

  RouteContext context_;
  std::map<std::string, Host> hosts_;
  std::set<std::pair<std::string, const TranslationIndex::VirtualServiceConfig*>> taken_;
};

std::string BindSuffix(const RouterPort& port) {
  return port.bind.empty() ? "" : absl::StrCat(".", port.bind);
}

}  // namespace

std::string RouteTableOf(const RouterPort& port) {
  return absl::StrCat("http.", port.port, BindSuffix(port));
}

std::string RouteTableOf(const RouterPort& port, const RouterServer& server) {
  return absl::StrCat("https.", server.server->port().number(), BindSuffix(port), ".",
                      server.server->port().name(), ".", server.gateway->key.name, ".",
                      server.gateway->key.namespace_);
}

EncodedResources RouterRoutes(const RouteContext& context, const RouterPlan& plan) {
  EncodedResources tables;
  const auto add = [&](const std::string& name, uint16_t port,
                       absl::Span<const RouterServer> servers) {
    Table table(context);
    for (const RouterServer& server : servers) table.Add(server);
    tables.emplace(name, EncodeResource(std::move(table).Take(name, port)));
  };
  for (const RouterPort& port : plan.ports) {
    if (port.carries == RouterPort::Carries::kHttp) {
      add(RouteTableOf(port), port.port, port.servers);
      continue;
    }
    for (const RouterServer& server : port.servers) {
      if (ServesHttp(*server.server)) add(RouteTableOf(port, server), port.port, {&server, 1});
    }
  }
  return tables;
}

}  // namespace weft
