#include "controlplane/translate/listeners_outbound.h"

#include "absl/strings/str_cat.h"
#include "api/envoy/tcp_proxy.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/listeners_entry.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/unknown_destinations.h"

namespace weft {
namespace {

using envoy::config::listener::v3::Filter;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
using istio::networking::v1alpha3::RouteDestination;
using istio::networking::v1alpha3::TCPRoute;

Listener VirtualOutbound(const RouteContext& context) {
  Listener listener = NewOutboundListener("virtualOutbound", "0.0.0.0", kOutboundPort);
  listener.mutable_use_original_dst()->set_value(true);
  // A connection to this very port would be passed on to itself without end.
  auto* loop = listener.add_filter_chains();
  loop->set_name("virtualOutbound-blackhole");
  loop->mutable_filter_chain_match()->mutable_destination_port()->set_value(kOutboundPort);
  *loop->add_filters() = TcpProxyFilter(kBlackHoleCluster, kBlackHoleCluster);
  auto* rest = listener.mutable_default_filter_chain();
  rest->set_name("virtualOutbound-catchall-tcp");
  const std::string unknown = UnknownCluster(context);
  *rest->add_filters() = TcpProxyFilter(unknown, unknown);
  return listener;
}

Filter HttpFilter(const std::string& listener, const std::string& routes) {
  auto http = NewHttpConnectionManager(absl::StrCat("outbound_", listener));
  http.mutable_rds()->set_route_config_name(routes);
  *http.mutable_rds()->mutable_config_source() = AdsSource();
  return HttpFilterOf(http);
}

Listener HttpListener(uint16_t port) {
  const std::string name = absl::StrCat("0.0.0.0_", port);
  Listener listener = NewOutboundListener(name, "0.0.0.0", port);
  listener.mutable_bind_to_port()->set_value(false);
  *listener.add_filter_chains()->add_filters() = HttpFilter(name, absl::StrCat(port));
  return listener;
}

bool Applies(const TCPRoute& route, const OutboundScope& scope, uint16_t port) {
  if (route.match().empty()) return true;
  for (const auto& match : route.match()) {
    if (MatchesClient(match, scope, port)) return true;
  }
  return false;
}

// Null if no VirtualService routes the service's connections on this port.
const TCPRoute* TcpRouteFor(const TranslationIndex::VirtualServiceConfig* config,
                            const OutboundScope& scope, uint16_t port) {
  if (config == nullptr) return nullptr;
  for (const TCPRoute& route : config->spec->tcp()) {
    if (Applies(route, scope, port)) return &route;
  }
  return nullptr;
}

// Leads a share of connections to where it says, or else nowhere.
std::string ClusterOf(const RouteContext& context, const RouteDestination& destination,
                      const std::string& object_namespace, uint16_t port) {
  auto resolved = ResolveDestination(context, destination.destination(), object_namespace, port);
  return resolved.ok() ? resolved->cluster : kBlackHoleCluster;
}

Listener TcpListener(const RouteContext& context, const Service& service, uint16_t port) {
  Listener listener =
      NewOutboundListener(absl::StrCat(service.address, "_", port), service.address, port);
  listener.mutable_bind_to_port()->set_value(false);
  *listener.add_filter_chains()->add_filters() = TcpFilter(context, service, port);
  return listener;
}

// Of TCP services of one port the first counts: nothing tells them apart.
Listener ListenerOf(const RouteContext& context, const BoundListener& bound) {
  Listener listener = NewOutboundListener(bound.name(), bound.ip, bound.port);
  Filter& filter = *listener.add_filter_chains()->add_filters();
  if (bound.http) {
    filter = HttpFilter(bound.name(), bound.name());
  } else if (!bound.services.empty()) {
    filter = TcpFilter(context, *bound.services.front(), bound.port);
  } else {
    filter = TcpProxyFilter(kBlackHoleCluster, kBlackHoleCluster);
  }
  return listener;
}

}  // namespace

Listener NewOutboundListener(const std::string& name, absl::string_view ip, uint16_t port) {
  Listener listener;
  listener.set_name(name);
  *listener.mutable_address() = SocketAddressOf(ip, port);
  listener.set_traffic_direction(envoy::config::core::v3::OUTBOUND);
  return listener;
}

Filter TcpFilter(const RouteContext& context, const Service& service, uint16_t port) {
  const std::string own = OutboundClusterName(port, "", service.host);
  const auto* config = context.index.VirtualServiceFor(service.host, context.scope.namespace_);
  const TCPRoute* route = TcpRouteFor(config, context.scope, port);
  if (route == nullptr) return TcpProxyFilter(own, own);
  TcpProxy proxy;
  proxy.set_stat_prefix(own);
  const std::string& ns = config->key.namespace_;
  if (route->route_size() == 1) {
    proxy.set_cluster(ClusterOf(context, route->route(0), ns, port));
  } else {
    for (const RouteDestination& destination : route->route()) {
      if (destination.weight() <= 0) continue;
      auto* share = proxy.mutable_weighted_clusters()->add_clusters();
      share->set_name(ClusterOf(context, destination, ns, port));
      share->set_weight(destination.weight());
    }
    if (!proxy.has_weighted_clusters()) proxy.set_cluster(kBlackHoleCluster);
  }
  Filter filter = TcpProxyFilter(own, own);
  *filter.mutable_typed_config() = PackAny(proxy);
  return filter;
}

EncodedResources OutboundListeners(const RouteContext& context) {
  EncodedResources listeners;
  auto add = [&](const Listener& listener) {
    listeners.emplace(listener.name(), EncodeResource(listener));
  };
  add(VirtualOutbound(context));
  ListenersByPort by_port;
  for (const auto& [port, services] : context.services.http_ports()) {
    by_port.emplace(port, HttpListener(port));
  }
  for (const auto& [service, port] : context.services.tcp_ports()) {
    if (service->entry.has_value()) continue;
    // A headless service has no address to listen for: its pods are called by their own.
    if (!service->address.empty()) add(TcpListener(context, *service, port->port));
  }
  for (const Listener& listener : EntryListeners(context, by_port)) add(listener);
  for (const auto& [port, listener] : by_port) add(listener);
  for (const BoundListener& bound : context.services.bound()) add(ListenerOf(context, bound));
  return listeners;
}

}  // namespace weft
