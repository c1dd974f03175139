#include "controlplane/translate/listeners_inbound.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/envoy/route.pb.h"
#include "controlplane/translate/access_logs.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/guards.h"
#include "controlplane/translate/inbound_targets.h"
#include "controlplane/translate/parts.h"

namespace weft {
namespace {

using envoy::config::listener::v3::Filter;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

// What a set of chains has in common; port 0: all ports without chains of their own.
struct Target {
  uint16_t port = 0;
  bool http = false;
  std::string cluster;
  std::string name;
};

Filter InboundHttpFilter(const Target& target, const Guards& guards, bool mtls) {
  HttpConnectionManager http =
      NewHttpConnectionManager(absl::StrCat("inbound_0.0.0.0_", target.port));
  auto* routes = http.mutable_route_config();
  routes->set_name(target.cluster);
  auto* host = routes->add_virtual_hosts();
  host->set_name(absl::StrCat("inbound|http|", target.port));
  host->add_domains("*");
  auto* route = host->add_routes();
  route->set_name("default");
  route->mutable_match()->set_prefix("/");
  route->mutable_route()->set_cluster(target.cluster);
  route->mutable_route()->mutable_timeout();  // 0: none
  if (mtls) {
    http.set_forward_client_cert_details(HttpConnectionManager::SANITIZE_SET);
    http.mutable_set_current_client_cert_details()->set_uri(true);
    http.mutable_set_current_client_cert_details()->mutable_subject()->set_value(true);
  } else {
    http.set_forward_client_cert_details(HttpConnectionManager::SANITIZE);
  }
  AddGuards(guards, http);
  return HttpFilterOf(http);
}

void AddTcpFilters(const Target& target, const Guards& guards, FilterChain& chain) {
  for (const Filter& filter : guards.tcp) *chain.add_filters() = filter;
  *chain.add_filters() = TcpProxyFilter(target.cluster, target.cluster);
}

void AddFilters(const Target& target, const Guards& guards, bool mtls, FilterChain& chain) {
  if (!target.http) return AddTcpFilters(target, guards, chain);
  *chain.add_filters() = InboundHttpFilter(target, guards, mtls);
}

FilterChain NewChain(const Target& target, absl::string_view kind) {
  FilterChain chain;
  chain.set_name(absl::StrCat(target.name, kind));
  if (target.port != 0) {
    chain.mutable_filter_chain_match()->mutable_destination_port()->set_value(target.port);
  }
  return chain;
}

void AddMtlsChain(const Target& target, const Guards& guards, Listener& listener) {
  FilterChain chain = NewChain(target, "-mtls");
  auto* match = chain.mutable_filter_chain_match();
  match->set_transport_protocol("tls");
  for (absl::string_view protocol : kMeshProtocols) {
    match->add_application_protocols(std::string(protocol));
  }
  *chain.mutable_transport_socket() = MeshDownstreamTls();
  AddFilters(target, guards, /*mtls=*/true, chain);
  *listener.add_filter_chains() = std::move(chain);
}

void AddPlainChain(const Target& target, const Guards& guards, Listener& listener) {
  FilterChain chain = NewChain(target, "-plain");
  chain.mutable_filter_chain_match()->set_transport_protocol("raw_buffer");
  AddFilters(target, guards, /*mtls=*/false, chain);
  *listener.add_filter_chains() = std::move(chain);
}

// TLS of the application's own: its bytes are none of ours.
void AddTlsPassthroughChain(const Target& target, const Guards& guards, Listener& listener) {
  FilterChain chain = NewChain(target, "-tls-passthrough");
  chain.mutable_filter_chain_match()->set_transport_protocol("tls");
  AddTcpFilters(target, guards, chain);
  *listener.add_filter_chains() = std::move(chain);
}

// Where a port is stricter than the rest, what its mTLS chain does not match must not fall through
// to the listener's default chain, and so round the policy.
void AddRefusals(Target target, Listener& listener) {
  target.http = false;
  target.cluster = kBlackHoleCluster;
  AddPlainChain(target, Guards(), listener);
  AddTlsPassthroughChain(target, Guards(), listener);
}

void AddChains(const Target& target, const Guards& guards, MtlsMode mode, MtlsMode rest,
               Listener& listener) {
  if (mode != MtlsMode::kDisable) AddMtlsChain(target, guards, listener);
  if (mode == MtlsMode::kStrict) {
    if (rest != MtlsMode::kStrict) AddRefusals(target, listener);
    return;
  }
  AddPlainChain(target, guards, listener);
  AddTlsPassthroughChain(target, guards, listener);
}

// Ports that no service names. Without mTLS they are the listener's default, whatever the bytes.
void AddRest(const Guards& guards, MtlsMode mode, Listener& listener) {
  Target rest{0, false, kInboundPassthroughCluster, "virtualInbound-catchall"};
  if (mode != MtlsMode::kDisable) AddMtlsChain(rest, guards, listener);
  if (mode == MtlsMode::kStrict) return;
  auto* chain = listener.mutable_default_filter_chain();
  chain->set_name(rest.name);
  AddFilters(rest, guards, /*mtls=*/false, *chain);
}

Listener NewVirtualInbound(IpFamilies families) {
  Listener listener;
  listener.set_name("virtualInbound");
  ListenAt(WildcardsOf(families), kInboundPort, listener);
  listener.set_traffic_direction(envoy::config::core::v3::INBOUND);
  *listener.add_listener_filters() = OriginalDstFilter();
  *listener.add_listener_filters() = TlsInspectorFilter();
  // A protocol in which the server speaks first shows nothing to inspect: go on after a while.
  listener.set_continue_on_listener_filters_timeout(true);
  // A connection to this very port would be passed on to itself without end.
  auto* loop = listener.add_filter_chains();
  loop->set_name("virtualInbound-blackhole");
  loop->mutable_filter_chain_match()->mutable_destination_port()->set_value(kInboundPort);
  *loop->add_filters() = TcpProxyFilter(kBlackHoleCluster, kBlackHoleCluster);
  return listener;
}

}  // namespace

EncodedResources InboundListeners(const TranslationIndex& index, const ProxyView& view) {
  Listener listener = NewVirtualInbound(view.families());
  const Guards guards = GuardsOf(index, view);
  const auto ports = InboundTargetsOf(index, view);
  const MtlsMode rest = index.MtlsModeOf(view.namespace_, view.labels);
  for (const auto& [port, inbound] : ports) {
    Target target{port, IsHttp(inbound.protocol), InboundClusterName(port),
                  absl::StrCat("0.0.0.0_", port)};
    AddChains(target, guards, index.MtlsModeOf(view.namespace_, view.labels, port), rest, listener);
  }
  for (uint16_t port : index.PortsWithMtlsMode(view.namespace_, view.labels)) {
    if (ports.count(port) > 0) continue;
    Target target{port, false, kInboundPassthroughCluster, absl::StrCat("0.0.0.0_", port)};
    AddChains(target, guards, index.MtlsModeOf(view.namespace_, view.labels, port), rest, listener);
  }
  AddRest(guards, rest, listener);
  AddAccessLogs(index.mesh(), index.telemetries().ServerLogsOf(view.namespace_, view.labels),
                listener);
  return {{listener.name(), EncodeResource(listener)}};
}

}  // namespace weft
