#include "controlplane/translate/l4_routes.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "api/envoy/tcp_proxy.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/subnet.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/parts.h"

namespace weft {
namespace {

using envoy::config::listener::v3::Filter;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::FilterChainMatch;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
using istio::networking::v1alpha3::L4MatchAttributes;
using istio::networking::v1alpha3::RouteDestination;
using istio::networking::v1alpha3::TLSMatchAttributes;

// What a rule says of a connection as a whole.
void SetPolicy(const Policy& policy, TcpProxy& proxy) {
  if (policy.connection_pool != nullptr) {
    const auto& tcp = policy.connection_pool->tcp();
    if (!tcp.idle_timeout().empty()) {
      SetDuration(DurationOr(tcp.idle_timeout(), absl::Hours(1)), proxy.mutable_idle_timeout());
    }
    if (!tcp.max_connection_duration().empty()) {
      SetDuration(DurationOr(tcp.max_connection_duration(), absl::ZeroDuration()),
                  proxy.mutable_max_downstream_connection_duration());
    }
  }
  if (policy.load_balancer != nullptr && policy.load_balancer->consistent_hash().use_source_ip()) {
    proxy.add_hash_policy()->mutable_source_ip();
  }
}

Filter TcpFilter(const std::string& stat_prefix, const Policy& policy, TcpProxy& proxy) {
  proxy.set_stat_prefix(stat_prefix);
  SetPolicy(policy, proxy);
  Filter filter;
  filter.set_name("envoy.filters.network.tcp_proxy");
  *filter.mutable_typed_config() = PackAny(proxy);
  return filter;
}

// A listener takes connections to one address, so that which subnets it is in is known here.
template <typename Match>
bool IsDestination(const Match& match, const std::string& address) {
  const auto& subnets = match.destination_subnets();
  return subnets.empty() || std::any_of(subnets.begin(), subnets.end(), [&](const auto& text) {
           const std::optional<Subnet> subnet = ParseSubnet(text);
           return subnet.has_value() && subnet->Contains(address);
         });
}

// A TCP route takes whatever comes.
FilterChainMatch MatchOf(const L4MatchAttributes&) { return FilterChainMatch(); }

FilterChainMatch MatchOf(const TLSMatchAttributes& from) {
  FilterChainMatch to;
  to.set_transport_protocol("tls");
  const auto& names = from.sni_hosts();
  if (std::find(names.begin(), names.end(), "*") == names.end()) *to.mutable_server_names() = names;
  return to;
}

class ConnectionRoutes {
 public:
  ConnectionRoutes(const RouteContext& context, const Service& service, const ServicePort& port,
                   const std::string& own, const std::string& address)
      : context_(context), service_(service), port_(port), own_(own), address_(address) {}

  std::vector<FilterChain> Chains() && {
    const auto* config = context_.index.VirtualServiceFor(service_.host, context_.scope.namespace_);
    if (config != nullptr) {
      namespace_ = config->key.namespace_;
      if (port_.protocol == Protocol::kTls) {
        for (const auto& route : config->spec->tls()) AddRoute(route);
      }
      for (const auto& route : config->spec->tcp()) AddRoute(route);
    }
    if (taken_.count("") == 0) AddChain(FilterChainMatch(), OwnFilter());
    return std::move(chains_);
  }

 private:
  template <typename Route>
  void AddRoute(const Route& route) {
    if (route.match().empty()) AddChain(FilterChainMatch(), FilterFor(route.route()));
    for (const auto& match : route.match()) {
      if (!MatchesClient(match, context_, namespace_, port_.port)) continue;
      if (IsDestination(match, address_)) AddChain(MatchOf(match), FilterFor(route.route()));
    }
  }

  // The first of those that match the same is the one that counts.
  void AddChain(FilterChainMatch match, Filter filter) {
    if (!taken_.insert(match.SerializeAsString()).second) return;
    FilterChain& chain = chains_.emplace_back();
    if (match.ByteSizeLong() > 0) *chain.mutable_filter_chain_match() = std::move(match);
    *chain.add_filters() = std::move(filter);
  }

  Filter OwnFilter() {
    TcpProxy proxy;
    proxy.set_cluster(own_);
    return Finish(context_.rules.at(&service_).For(port_.port, nullptr), proxy);
  }

  template <typename Destinations>
  Filter FilterFor(const Destinations& destinations) {
    // Of several, the rule of the service that was called.
    return TcpRouteFilter(context_, destinations, namespace_, port_.port, own_,
                          context_.rules.at(&service_).For(port_.port, nullptr));
  }

  Filter Finish(const Policy& policy, TcpProxy& proxy) { return TcpFilter(own_, policy, proxy); }

  const RouteContext& context_;
  const Service& service_;
  const ServicePort& port_;
  const std::string& own_;
  const std::string& address_;
  std::vector<FilterChain> chains_;
  std::string namespace_;        // of the VirtualService
  std::set<std::string> taken_;  // matches, as bytes; "" is everything
};

}  // namespace

Filter TcpRouteFilter(const RouteContext& context,
                      const google::protobuf::RepeatedPtrField<RouteDestination>& destinations,
                      absl::string_view object_namespace, uint16_t port,
                      const std::string& stat_prefix, const Policy& of_several) {
  TcpProxy proxy;
  const auto resolve = [&](const RouteDestination& destination) {
    return ResolveDestination(context, destination.destination(), object_namespace, port);
  };
  if (destinations.size() == 1) {
    auto resolved = resolve(destinations.Get(0));
    proxy.set_cluster(resolved.ok() ? resolved->cluster : kBlackHoleCluster);
    return TcpFilter(stat_prefix, resolved.ok() ? resolved->policy : Policy(), proxy);
  }
  for (const RouteDestination& destination : destinations) {
    if (destination.weight() <= 0) continue;
    auto resolved = resolve(destination);
    auto* share = proxy.mutable_weighted_clusters()->add_clusters();
    share->set_name(resolved.ok() ? resolved->cluster : kBlackHoleCluster);
    share->set_weight(destination.weight());
  }
  if (!proxy.has_weighted_clusters()) proxy.set_cluster(kBlackHoleCluster);
  return TcpFilter(stat_prefix, of_several, proxy);
}

void InspectTls(Listener& listener) {
  if (!listener.listener_filters().empty()) return;
  *listener.add_listener_filters() = TlsInspectorFilter();
  // A protocol in which the server speaks first shows nothing to inspect: go on after a while.
  listener.set_continue_on_listener_filters_timeout(true);
}

std::vector<FilterChain> ConnectionChains(const RouteContext& context, const Service& service,
                                          const ServicePort& port, const std::string& own,
                                          const std::string& address) {
  return ConnectionRoutes(context, service, port, own, address).Chains();
}

void AddConnectionRoutes(const RouteContext& context, const Service& service,
                         const ServicePort& port, const std::string& own, Listener& listener) {
  const std::string& address = listener.address().socket_address().address();
  for (FilterChain& chain : ConnectionChains(context, service, port, own, address)) {
    if (chain.filter_chain_match().transport_protocol() == "tls") InspectTls(listener);
    *listener.add_filter_chains() = std::move(chain);
  }
}

}  // namespace weft
