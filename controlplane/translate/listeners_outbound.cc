#include "controlplane/translate/listeners_outbound.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "controlplane/translate/access_logs.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/l4_routes.h"
#include "controlplane/translate/listeners_entry.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/reach.h"
#include "controlplane/translate/route_filters.h"
#include "controlplane/translate/unknown_destinations.h"

namespace weft {
namespace {

using envoy::config::listener::v3::Filter;
using envoy::config::listener::v3::Listener;

Listener VirtualOutbound(const RouteContext& context) {
  Listener listener =
      NewOutboundListener("virtualOutbound", WildcardsOf(context.scope.families), kOutboundPort);
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
  AddRouteFilters(http);
  return HttpFilterOf(http);
}

Listener HttpListener(IpFamilies families, uint16_t port) {
  const std::string name = absl::StrCat("0.0.0.0_", port);
  Listener listener = NewOutboundListener(name, WildcardsOf(families), port);
  listener.mutable_bind_to_port()->set_value(false);
  *listener.add_filter_chains()->add_filters() = HttpFilter(name, absl::StrCat(port));
  return listener;
}

Listener TcpListener(const RouteContext& context, const Service& service, const ServicePort& port,
                     const std::string& address, uint16_t listened, const std::string& own) {
  Listener listener =
      NewOutboundListener(absl::StrCat(address, "_", listened), {address}, listened);
  listener.mutable_bind_to_port()->set_value(false);
  AddConnectionRoutes(context, service, port, own, listener);
  return listener;
}

// A service's own addresses; or, of a headless one, those of its pods here, at the ports that they
// listen on: its clients have them from DNS and call one of their choice. A listener for each, as a
// route may be for one of them (destinationSubnets).
std::vector<Listener> TcpListeners(const RouteContext& context, const Service& service,
                                   const ServicePort& port) {
  std::vector<Listener> listeners;
  const auto add = [&](const std::string& address, const std::string& other, uint16_t listened,
                       const std::string& own) {
    for (const std::string& one : AddressesFor(context.scope.families, address, other)) {
      listeners.push_back(TcpListener(context, service, port, one, listened, own));
    }
  };
  if (!IsHeadless(service)) {
    add(service.address, service.other_address, port.port,
        OutboundClusterName(port.port, "", service.host));
    return listeners;
  }
  const std::string pods = OutboundPodsClusterName(port.port, service.host);
  for (const Endpoint& endpoint : context.index.EndpointsOf(service)) {
    auto target = endpoint.target_ports.find(port.port);
    if (target == endpoint.target_ports.end()) continue;
    if (!IsDialed(context.index, context.scope, service, endpoint)) continue;
    add(endpoint.address, endpoint.other_address, target->second, pods);
  }
  return listeners;
}

// Of TCP services of one port the first counts: nothing tells them apart.
Listener ListenerOf(const RouteContext& context, const BoundListener& bound) {
  Listener listener = NewOutboundListener(bound.name(), {bound.ip}, bound.port);
  if (bound.http) {
    *listener.add_filter_chains()->add_filters() = HttpFilter(bound.name(), bound.name());
  } else if (!bound.services.empty()) {
    const Service& service = *bound.services.front();
    const ServicePort& port = *FindPort(service, bound.port);
    AddConnectionRoutes(context, service, port, OutboundClusterName(port.port, "", service.host),
                        listener);
  } else {
    *listener.add_filter_chains()->add_filters() =
        TcpProxyFilter(kBlackHoleCluster, kBlackHoleCluster);
  }
  return listener;
}

}  // namespace

Listener NewOutboundListener(const std::string& name, const std::vector<std::string>& ips,
                             uint16_t port) {
  Listener listener;
  listener.set_name(name);
  ListenAt(ips, port, listener);
  listener.set_traffic_direction(envoy::config::core::v3::OUTBOUND);
  return listener;
}

EncodedResources OutboundListeners(const RouteContext& context) {
  EncodedResources listeners;
  auto add = [&](Listener listener) {
    AddAccessLogs(context.index.mesh(), context.scope.access_logs, listener);
    listeners.emplace(listener.name(), EncodeResource(listener));
  };
  add(VirtualOutbound(context));
  ListenersByPort by_port;
  for (const auto& [port, services] : context.services.http_ports()) {
    by_port.emplace(port, HttpListener(context.scope.families, port));
  }
  for (const auto& [service, port] : context.services.tcp_ports()) {
    if (service->entry.has_value()) continue;
    for (const Listener& listener : TcpListeners(context, *service, *port)) add(listener);
  }
  for (const Listener& listener : EntryListeners(context, by_port)) add(listener);
  for (const auto& [port, listener] : by_port) add(listener);
  for (const BoundListener& bound : context.services.bound()) add(ListenerOf(context, bound));
  return listeners;
}

}  // namespace weft
