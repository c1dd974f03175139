#include "controlplane/translate/proxyless.h"

#include <array>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/endpoint.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/route.pb.h"
#include "api/envoy/router.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/translate/clusters.h"
#include "controlplane/translate/destination_rule.h"
#include "controlplane/translate/destinations.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/endpoints.h"
#include "controlplane/translate/http_routes.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/route_match.h"
#include "controlplane/translate/sidecar_scope.h"
#include "re2/re2.h"

namespace weft {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::HeaderMatcher;
using envoy::config::route::v3::RetryPolicy;
using envoy::config::route::v3::Route;
using envoy::config::route::v3::RouteAction;
using envoy::config::route::v3::RouteConfiguration;
using envoy::config::route::v3::RouteMatch;
using envoy::config::route::v3::WeightedCluster;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::type::matcher::v3::StringMatcher;

// gRFC A44: the conditions that its clients retry on; others they do not know.
constexpr std::array<absl::string_view, 5> kRetryOn = {"cancelled", "deadline-exceeded", "internal",
                                                       "resource-exhausted", "unavailable"};

std::string ListenerName(const Service& service, uint16_t port) {
  return absl::StrCat(service.host, ":", port);
}

Listener ApiListenerOf(const Service& service, uint16_t port) {
  HttpConnectionManager http;
  http.set_stat_prefix(ListenerName(service, port));
  http.mutable_rds()->set_route_config_name(OutboundClusterName(port, "", service.host));
  *http.mutable_rds()->mutable_config_source() = AdsSource();
  auto* router = http.add_http_filters();
  router->set_name("envoy.filters.http.router");
  *router->mutable_typed_config() = PackAny(envoy::extensions::filters::http::router::v3::Router());
  Listener listener;
  listener.set_name(ListenerName(service, port));
  *listener.mutable_api_listener()->mutable_api_listener() = PackAny(http);
  return listener;
}

// ---- Routes: those of a sidecar, less what these clients refuse or misread.

absl::string_view PatternOf(const StringMatcher& text) {
  if (text.has_prefix()) return text.prefix();
  if (text.has_suffix()) return text.suffix();
  if (text.has_contains()) return text.contains();
  return text.exact();
}

// Every call is a POST, which gRPC's matchers do not get to see. False: such a route is never
// taken.
bool DropMethod(RouteMatch& match) {
  for (int i = 0; i < match.headers_size(); ++i) {
    const auto& header = match.headers(i);
    if (header.name() != ":method") continue;
    if (header.string_match().exact() != "POST") return false;
    match.mutable_headers()->DeleteSubrange(i, 1);
    return true;
  }
  return true;
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
// The conditions on headers in their former fields: gRPC 1.51 refuses a StringMatcher there.
void UseFormerMatchers(RouteMatch& match) {
  for (HeaderMatcher& header : *match.mutable_headers()) {
    if (!header.has_string_match()) continue;
    const StringMatcher text = header.string_match();
    const std::string quoted = RE2::QuoteMeta(std::string(PatternOf(text)));
    if (text.ignore_case()) {
      const char* before = text.has_suffix() || text.has_contains() ? "(?i).*" : "(?i)";
      const char* after = text.has_prefix() || text.has_contains() ? ".*" : "";
      header.mutable_safe_regex_match()->set_regex(absl::StrCat(before, quoted, after));
    } else if (text.has_exact()) {
      header.set_exact_match(text.exact());
    } else if (text.has_prefix()) {
      header.set_prefix_match(text.prefix());
    } else if (text.has_suffix()) {
      header.set_suffix_match(text.suffix());
    } else if (text.has_contains()) {
      header.set_contains_match(text.contains());
    } else if (text.has_safe_regex()) {
      *header.mutable_safe_regex_match() = text.safe_regex();
    }
  }
}
#pragma clang diagnostic pop

// Nothing if no condition is left, or no retry: they refuse a policy of none.
void SetRetryPolicy(const RetryPolicy& from, RouteAction& action) {
  std::vector<absl::string_view> conditions;
  for (absl::string_view condition : absl::StrSplit(from.retry_on(), ',', absl::SkipEmpty())) {
    for (absl::string_view known : kRetryOn) {
      if (condition == known) conditions.push_back(condition);
    }
  }
  if (conditions.empty() || from.num_retries().value() == 0) return;
  RetryPolicy& to = *action.mutable_retry_policy();
  to.set_retry_on(absl::StrJoin(conditions, ","));
  to.mutable_num_retries()->set_value(from.num_retries().value());
  if (from.has_retry_back_off()) *to.mutable_retry_back_off() = from.retry_back_off();
}

// The sum is deprecated, and some clients take 100 for it unless it is stated.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
void SetWeightedClusters(const WeightedCluster& from, WeightedCluster& to) {
  uint32_t total = 0;
  for (const auto& share : from.clusters()) {
    auto* weighted = to.add_clusters();
    weighted->set_name(share.name());
    *weighted->mutable_weight() = share.weight();
    total += share.weight().value();
  }
  to.mutable_total_weight()->set_value(total);
}
#pragma clang diagnostic pop

RouteAction ActionOf(const RouteAction& from) {
  RouteAction to;
  if (from.has_weighted_clusters()) {
    SetWeightedClusters(from.weighted_clusters(), *to.mutable_weighted_clusters());
  } else {
    to.set_cluster(from.cluster());
  }
  if (from.timeout().seconds() != 0 || from.timeout().nanos() != 0) {
    *to.mutable_max_stream_duration()->mutable_max_stream_duration() = from.timeout();
  }
  if (from.has_retry_policy()) SetRetryPolicy(from.retry_policy(), to);
  for (const auto& hash : from.hash_policy()) {
    if (hash.has_header()) *to.add_hash_policy() = hash;
  }
  return to;
}

std::vector<Route> RoutesTo(const RouteContext& context, const Service& service, uint16_t port) {
  std::vector<Route> routes;
  const auto* config = context.index.VirtualServiceFor(service.host, context.scope.namespace_);
  if (config != nullptr) routes = HttpRoutes(context, *config, port);
  if (routes.empty()) {
    routes.push_back(DefaultRoute(OutboundClusterName(port, "", service.host),
                                  context.rules.at(&service).For(port, nullptr)));
  }
  return routes;
}

RouteConfiguration RouteConfigurationOf(const RouteContext& context, const Service& service,
                                        uint16_t port) {
  RouteConfiguration configuration;
  configuration.set_name(OutboundClusterName(port, "", service.host));
  auto* host = configuration.add_virtual_hosts();
  host->set_name(ListenerName(service, port));
  // What is matched is the target as it was dialed, with its port.
  host->add_domains(ListenerName(service, port));
  host->add_domains(service.host);
  for (const Route& from : RoutesTo(context, service, port)) {
    Route route;
    route.set_name(from.name());
    *route.mutable_match() = from.match();
    if (!DropMethod(*route.mutable_match())) continue;
    UseFormerMatchers(*route.mutable_match());
    if (from.has_route()) {
      *route.mutable_route() = ActionOf(from.route());
    } else {
      // Not to be forwarded: a call that takes it fails with UNAVAILABLE.
      route.mutable_direct_response()->set_status(503);
    }
    *host->add_routes() = std::move(route);
  }
  if (host->routes().empty()) {
    Route* none = host->add_routes();
    *none->mutable_match() = AnyRequest();
    none->mutable_direct_response()->set_status(404);
  }
  return configuration;
}

// ---- Clusters.

Cluster NewEdsCluster(const std::string& name) {
  Cluster cluster;
  cluster.set_name(name);
  cluster.set_type(Cluster::EDS);
  cluster.mutable_eds_cluster_config()->set_service_name(name);
  *cluster.mutable_eds_cluster_config()->mutable_eds_config() = AdsSource();
  cluster.set_lb_policy(Cluster::ROUND_ROBIN);
  return cluster;
}

Cluster ClusterOf(const OutboundCluster& from) {
  Cluster cluster = NewEdsCluster(from.name);
  // Of balancing they know this and round robin; LEAST_REQUEST is refused by gRPC 1.51.
  if (from.policy.load_balancer != nullptr && from.policy.load_balancer->has_consistent_hash()) {
    cluster.set_lb_policy(Cluster::RING_HASH);
  }
  // The only limit that they read; unlike ours, theirs is 1024 unless stated.
  uint32_t max_requests = std::numeric_limits<uint32_t>::max();
  if (from.policy.connection_pool != nullptr &&
      from.policy.connection_pool->http().http2_max_requests() > 0) {
    max_requests = from.policy.connection_pool->http().http2_max_requests();
  }
  cluster.mutable_circuit_breakers()->add_thresholds()->mutable_max_requests()->set_value(
      max_requests);
  cluster.mutable_lrs_server()->mutable_self();  // reports its load to us
  return cluster;
}

// Where shares of a route go that lead nowhere: STATIC clusters are refused.
void AddBlackHole(Resources& resources) {
  ClusterLoadAssignment nowhere;
  nowhere.set_cluster_name(kBlackHoleCluster);
  auto* group = nowhere.add_endpoints();
  group->mutable_locality();
  group->mutable_load_balancing_weight()->set_value(1);
  resources.clusters.emplace(kBlackHoleCluster, EncodeResource(NewEdsCluster(kBlackHoleCluster)));
  resources.endpoints.emplace(kBlackHoleCluster, EncodeResource(nowhere));
}

}  // namespace

Resources ProxylessResources(const TranslationIndex& index, const OutboundScope& scope) {
  const VisibleServices services(index, scope);
  const AppliedRules rules = RulesFor(index, scope, services);
  const std::vector<OutboundCluster> clusters = ListOutboundClusters(services, rules);
  const RouteContext context{index, scope, rules, services};
  Resources resources;
  for (const OutboundCluster& cluster : clusters) {
    if (cluster.own_choice) continue;  // these clients have no address to go to
    resources.clusters.emplace(cluster.name, EncodeResource(ClusterOf(cluster)));
    if (cluster.subset != nullptr) continue;
    const Service& service = *cluster.service;
    const uint16_t port = cluster.port->port;
    resources.listeners.emplace(ListenerName(service, port),
                                EncodeResource(ApiListenerOf(service, port)));
    const RouteConfiguration routes = RouteConfigurationOf(context, service, port);
    resources.routes.emplace(routes.name(), EncodeResource(routes));
  }
  resources.endpoints = PlainEndpoints(index, scope, clusters);
  AddBlackHole(resources);
  return resources;
}

}  // namespace weft
