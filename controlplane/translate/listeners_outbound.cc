#include "controlplane/translate/listeners_outbound.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/l4_routes.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/route_filters.h"

namespace weft {
namespace {

using envoy::config::listener::v3::Listener;

Listener NewListener(const std::string& name, absl::string_view ip, uint16_t port) {
  Listener listener;
  listener.set_name(name);
  *listener.mutable_address() = SocketAddressOf(ip, port);
  listener.set_traffic_direction(envoy::config::core::v3::OUTBOUND);
  return listener;
}

Listener VirtualOutbound() {
  Listener listener = NewListener("virtualOutbound", "0.0.0.0", kOutboundPort);
  listener.mutable_use_original_dst()->set_value(true);
  // A connection to this very port would be passed on to itself without end.
  auto* loop = listener.add_filter_chains();
  loop->set_name("virtualOutbound-blackhole");
  loop->mutable_filter_chain_match()->mutable_destination_port()->set_value(kOutboundPort);
  *loop->add_filters() = TcpProxyFilter(kBlackHoleCluster, kBlackHoleCluster);
  auto* rest = listener.mutable_default_filter_chain();
  rest->set_name("virtualOutbound-catchall-tcp");
  *rest->add_filters() = TcpProxyFilter(kPassthroughCluster, kPassthroughCluster);
  return listener;
}

Listener HttpListener(uint16_t port) {
  Listener listener = NewListener(absl::StrCat("0.0.0.0_", port), "0.0.0.0", port);
  listener.mutable_bind_to_port()->set_value(false);
  auto http = NewHttpConnectionManager(absl::StrCat("outbound_0.0.0.0_", port));
  http.mutable_rds()->set_route_config_name(absl::StrCat(port));
  *http.mutable_rds()->mutable_config_source() = AdsSource();
  AddRouteFilters(http);
  *listener.add_filter_chains()->add_filters() = HttpFilterOf(http);
  return listener;
}

Listener TcpListener(const RouteContext& context, const Service& service, const ServicePort& port,
                     const std::string& address, uint16_t listened, const std::string& own) {
  Listener listener = NewListener(absl::StrCat(address, "_", listened), address, listened);
  listener.mutable_bind_to_port()->set_value(false);
  AddConnectionRoutes(context, service, port, own, listener);
  return listener;
}

// A service's own address; or, of a headless one, those of its pods here, at the ports that they
// listen on: its clients have them from DNS and call one of their choice.
std::vector<Listener> TcpListeners(const RouteContext& context, const Service& service,
                                   const ServicePort& port) {
  if (!IsHeadless(service)) {
    return {TcpListener(context, service, port, service.address, port.port,
                        OutboundClusterName(port.port, "", service.host))};
  }
  std::vector<Listener> listeners;
  const std::string pods = OutboundPodsClusterName(port.port, service.host);
  for (const Endpoint& endpoint : context.index.EndpointsOf(service)) {
    auto target = endpoint.target_ports.find(port.port);
    if (endpoint.remote() || target == endpoint.target_ports.end()) continue;
    listeners.push_back(
        TcpListener(context, service, port, endpoint.address, target->second, pods));
  }
  return listeners;
}

}  // namespace

EncodedResources OutboundListeners(const RouteContext& context) {
  EncodedResources listeners;
  auto add = [&](const Listener& listener) {
    listeners.emplace(listener.name(), EncodeResource(listener));
  };
  add(VirtualOutbound());
  for (const auto& [port, services] : context.index.http_ports()) add(HttpListener(port));
  for (const auto& [service, port] : context.index.tcp_ports()) {
    for (const Listener& listener : TcpListeners(context, *service, *port)) add(listener);
  }
  return listeners;
}

}  // namespace weft
