#include "controlplane/translate/router_listeners.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/sni_cluster.pb.h"
#include "api/envoy/tls.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/guards.h"
#include "controlplane/translate/hosts.h"
#include "controlplane/translate/l4_routes.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/route_filters.h"
#include "controlplane/translate/router_routes.h"
#include "controlplane/translate/router_tls.h"

namespace weft {
namespace {

using envoy::config::listener::v3::Filter;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::FilterChainMatch;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

// Names in the order of the Gateway; none where any will do.
void SetServerNames(const std::vector<std::string>& hosts, FilterChainMatch& match) {
  if (std::find(hosts.begin(), hosts.end(), "*") != hosts.end()) return;
  for (const std::string& host : hosts) match.add_server_names(host);
}

std::vector<std::string> HostsOf(const RouterServer& server) {
  std::vector<std::string> hosts;
  for (const std::string& written : server.server->hosts()) {
    hosts.push_back(written.substr(written.find('/') + 1));
  }
  return hosts;
}

class ListenerBuilder {
 public:
  ListenerBuilder(const RouteContext& context, const Guards& guards, const RouterPort& port)
      : context_(context), guards_(guards), port_(port) {}

  std::optional<Listener> Build() && {
    listener_.set_name(port_.listener_name());
    if (port_.bind.empty()) {
      ListenAt(WildcardsOf(context_.scope.families), port_.port, listener_);
    } else {
      *listener_.mutable_address() = AddressOf(port_.bind, port_.port);
    }
    listener_.set_traffic_direction(envoy::config::core::v3::OUTBOUND);
    switch (port_.carries) {
      case RouterPort::Carries::kHttp:
        *listener_.add_filter_chains()->add_filters() =
            HttpFilter(RouteTableOf(port_), /*client_certificates=*/false);
        break;
      case RouterPort::Carries::kTls:
        *listener_.add_listener_filters() = TlsInspectorFilter();
        for (const RouterServer& server : port_.servers) AddTls(server);
        break;
      case RouterPort::Carries::kTcp:
        AddTcp(port_.servers.front(), FilterChain());
        break;
    }
    if (listener_.filter_chains().empty()) return std::nullopt;
    return std::move(listener_);
  }

 private:
  Filter HttpFilter(const std::string& routes, bool client_certificates) {
    HttpConnectionManager http =
        NewHttpConnectionManager(absl::StrCat("outbound_", port_.listener_name()));
    // The client is whoever dials us: what it says of others is its own word.
    http.mutable_use_remote_address()->set_value(true);
    http.mutable_rds()->set_route_config_name(routes);
    *http.mutable_rds()->mutable_config_source() = AdsSource();
    if (client_certificates) {
      http.set_forward_client_cert_details(HttpConnectionManager::SANITIZE_SET);
      auto& details = *http.mutable_set_current_client_cert_details();
      details.mutable_subject()->set_value(true);
      details.set_cert(true);
      details.set_dns(true);
      details.set_uri(true);
    } else {
      http.set_forward_client_cert_details(HttpConnectionManager::SANITIZE);
    }
    AddRouteFilters(http);
    AddGuards(guards_, http);
    return HttpFilterOf(http);
  }

  // Of the same name two chains would contradict each other; the first one counts.
  void AddChain(FilterChain chain) {
    if (matches_.insert(chain.filter_chain_match().SerializeAsString()).second) {
      *listener_.add_filter_chains() = std::move(chain);
    }
  }

  static FilterChain TlsChain(const std::vector<std::string>& hosts) {
    FilterChain chain;
    chain.mutable_filter_chain_match()->set_transport_protocol("tls");
    SetServerNames(hosts, *chain.mutable_filter_chain_match());
    return chain;
  }

  void AddTls(const RouterServer& server) {
    if (PassesByServerName(*server.server)) return AddByServerName(server);
    if (!TerminatesTls(*server.server)) return AddPassthrough(server);
    FilterChain chain = TlsChain(HostsOf(server));
    *chain.mutable_transport_socket() = RouterDownstreamTls(server);
    if (!ServesHttp(*server.server)) return AddTcp(server, std::move(chain));
    chain.set_name(RouteTableOf(port_, server));
    *chain.add_filters() = HttpFilter(RouteTableOf(port_, server), AsksClients(server));
    AddChain(std::move(chain));
  }

  // TLS of the mesh itself goes on to the cluster that is named as its server name is.
  void AddByServerName(const RouterServer& server) {
    FilterChain chain = TlsChain(HostsOf(server));
    chain.set_name(absl::StrCat("by-server-name.", server.gateway_name()));
    for (absl::string_view protocol : kMeshProtocols) {
      chain.mutable_filter_chain_match()->add_application_protocols(std::string(protocol));
    }
    auto* by_server_name = chain.add_filters();
    by_server_name->set_name("envoy.filters.network.sni_cluster");
    *by_server_name->mutable_typed_config() =
        PackAny(envoy::extensions::filters::network::sni_cluster::v3::SniCluster());
    *chain.add_filters() = TcpProxyFilter(kBlackHoleCluster, kBlackHoleCluster);
    AddChain(std::move(chain));
  }

  void AddPassthrough(const RouterServer& server) {
    for (const auto* config : Configs(server)) {
      const std::vector<std::string> hosts = HostsAt(context_.index, server, *config);
      for (const auto& route : config->spec->tls()) {
        for (const auto& match : route.match()) {
          if (!Matches(match, server, *config)) continue;
          std::vector<std::string> names;
          for (const std::string& name : match.sni_hosts()) {
            for (const std::string& host : hosts) {
              if (auto both = Intersection(name, host)) names.push_back(*std::move(both));
            }
          }
          if (!names.empty()) AddRoute(server, *config, route.route(), TlsChain(names));
        }
      }
    }
  }

  // The first route that holds takes all there is.
  void AddTcp(const RouterServer& server, FilterChain chain) {
    for (const auto* config : Configs(server)) {
      if (HostsAt(context_.index, server, *config).empty()) continue;
      for (const auto& route : config->spec->tcp()) {
        const bool holds =
            route.match().empty() ||
            std::any_of(route.match().begin(), route.match().end(),
                        [&](const auto& match) { return Matches(match, server, *config); });
        if (holds) return AddRoute(server, *config, route.route(), std::move(chain));
      }
    }
  }

  template <typename Destinations>
  void AddRoute(const RouterServer& server, const TranslationIndex::VirtualServiceConfig& config,
                const Destinations& destinations, FilterChain chain) {
    for (const Filter& guard : guards_.tcp) *chain.add_filters() = guard;
    context_.gateway = server.gateway_name();
    *chain.add_filters() =
        TcpRouteFilter(context_, destinations, config.key.namespace_, PortOf(server),
                       absl::StrCat("outbound_", port_.listener_name()), Policy());
    AddChain(std::move(chain));
  }

  template <typename Match>
  bool Matches(const Match& match, const RouterServer& server,
               const TranslationIndex::VirtualServiceConfig& config) {
    context_.gateway = server.gateway_name();
    return MatchesClient(match, context_, config.key.namespace_, PortOf(server));
  }

  std::vector<const TranslationIndex::VirtualServiceConfig*> Configs(const RouterServer& server) {
    return VirtualServicesAt(context_.index, server, context_.scope.namespace_);
  }
  static uint16_t PortOf(const RouterServer& server) {
    return static_cast<uint16_t>(server.server->port().number());
  }

  RouteContext context_;
  const Guards& guards_;
  const RouterPort& port_;
  Listener listener_;
  std::set<std::string> matches_;
};

}  // namespace

EncodedResources RouterListeners(const RouteContext& context, const ProxyView& view,
                                 const RouterPlan& plan) {
  const Guards guards = GuardsOf(context.index, view);
  EncodedResources listeners;
  for (const RouterPort& port : plan.ports) {
    const std::optional<Listener> listener = ListenerBuilder(context, guards, port).Build();
    if (listener.has_value()) listeners.emplace(listener->name(), EncodeResource(*listener));
  }
  return listeners;
}

}  // namespace weft
