#include "controlplane/translate/http_routes.h"

#include <algorithm>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/envoy/route.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/config_path.h"
#include "controlplane/model/gateway_api_name.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/route_filters.h"
#include "controlplane/translate/route_match.h"
#include "re2/re2.h"

namespace weft {
namespace {

using envoy::config::core::v3::HeaderValueOption;
using envoy::config::route::v3::RedirectAction;
using envoy::config::route::v3::RetryPolicy;
using envoy::config::route::v3::Route;
using envoy::config::route::v3::RouteAction;
using envoy::config::route::v3::RouteMatch;
using istio::networking::v1alpha3::Headers;
using istio::networking::v1alpha3::HTTPDirectResponse;
using istio::networking::v1alpha3::HTTPRedirect;
using istio::networking::v1alpha3::HTTPRetry;
using istio::networking::v1alpha3::HTTPRoute;
using istio::networking::v1alpha3::HTTPRouteDestination;

constexpr char kDefaultRetryOn[] =
    "connect-failure,refused-stream,unavailable,cancelled,reset-before-request,"
    "retriable-status-codes";
constexpr uint32_t kDefaultRetries = 2;
constexpr int64_t kHostSelectionAttempts = 5;

RetryPolicy BaseRetryPolicy(uint32_t attempts, bool other_hosts) {
  RetryPolicy policy;
  policy.mutable_num_retries()->set_value(attempts);
  if (!other_hosts) return policy;
  policy.set_host_selection_retry_max_attempts(kHostSelectionAttempts);
  auto* other_host = policy.add_retry_host_predicate();
  other_host->set_name("envoy.retry_host_predicates.previous_hosts");
  // An empty message, and so no bytes: only its type tells what it is.
  other_host->mutable_typed_config()->set_type_url(
      "type.googleapis.com/"
      "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate");
  return policy;
}

RetryPolicy DefaultRetryPolicy() {
  RetryPolicy policy = BaseRetryPolicy(kDefaultRetries, /*other_hosts=*/true);
  policy.set_retry_on(kDefaultRetryOn);
  policy.add_retriable_status_codes(503);
  return policy;
}

// Istio lets status codes stand among the conditions; in xDS they are a list of their own.
void SetRetryOn(absl::string_view conditions, RetryPolicy& policy) {
  std::vector<absl::string_view> names;
  bool by_status = false;
  for (absl::string_view part : absl::StrSplit(conditions, ',', absl::SkipWhitespace())) {
    part = absl::StripAsciiWhitespace(part);
    uint32_t status;
    if (absl::SimpleAtoi(part, &status)) {
      policy.add_retriable_status_codes(status);
      by_status = true;
    } else {
      names.push_back(part);
    }
  }
  if (by_status && std::find(names.begin(), names.end(), "retriable-status-codes") == names.end()) {
    names.push_back("retriable-status-codes");
  }
  policy.set_retry_on(absl::StrJoin(names, ","));
}

void SetRetries(const HTTPRoute& from, RouteAction& action) {
  if (!from.has_retries()) {
    *action.mutable_retry_policy() = DefaultRetryPolicy();
    return;
  }
  const HTTPRetry& retries = from.retries();
  if (retries.attempts() <= 0) return;
  const bool other_hosts =
      !retries.has_retry_ignore_previous_hosts() || retries.retry_ignore_previous_hosts();
  RetryPolicy policy = BaseRetryPolicy(retries.attempts(), other_hosts);
  if (retries.retry_on().empty()) {
    policy.set_retry_on(kDefaultRetryOn);
    policy.add_retriable_status_codes(503);
  } else {
    SetRetryOn(retries.retry_on(), policy);
  }
  absl::Duration per_try = DurationOr(retries.per_try_timeout(), absl::ZeroDuration());
  if (per_try > absl::ZeroDuration()) SetDuration(per_try, policy.mutable_per_try_timeout());
  absl::Duration backoff = DurationOr(retries.backoff(), absl::ZeroDuration());
  if (backoff > absl::ZeroDuration()) {
    SetDuration(backoff, policy.mutable_retry_back_off()->mutable_base_interval());
  }
  *action.mutable_retry_policy() = policy;
}

// Header operations of the route or of one destination. To is a Route or a ClusterWeight.
template <typename To>
void AddHeaderOperations(const Headers& headers, To& to) {
  auto is_authority = [](absl::string_view name) {
    return absl::EqualsIgnoreCase(name, "host") || name == ":authority";
  };
  auto add = [](const google::protobuf::Map<std::string, std::string>& values,
                HeaderValueOption::HeaderAppendAction action, auto skip, auto add_option) {
    for (const auto& [name, value] :
         std::map<std::string, std::string>(values.begin(), values.end())) {
      if (skip(name)) continue;
      HeaderValueOption* option = add_option();
      option->mutable_header()->set_key(name);
      option->mutable_header()->set_value(value);
      option->set_append_action(action);
    }
  };
  auto none = [](absl::string_view) { return false; };
  const auto& request = headers.request();
  const auto& response = headers.response();
  // The authority is no header that can be set: it is a rewrite of the host.
  add(request.set(), HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD, is_authority,
      [&] { return to.add_request_headers_to_add(); });
  add(request.add(), HeaderValueOption::APPEND_IF_EXISTS_OR_ADD, is_authority,
      [&] { return to.add_request_headers_to_add(); });
  add(response.set(), HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD, none,
      [&] { return to.add_response_headers_to_add(); });
  add(response.add(), HeaderValueOption::APPEND_IF_EXISTS_OR_ADD, none,
      [&] { return to.add_response_headers_to_add(); });
  for (const std::string& name : request.remove()) to.add_request_headers_to_remove(name);
  for (const std::string& name : response.remove()) to.add_response_headers_to_remove(name);
}

// What `headers` sets the authority to; empty if it does not.
std::string AuthorityOf(const Headers& headers) {
  for (const auto& [name, value] : headers.request().set()) {
    if (absl::EqualsIgnoreCase(name, "host") || name == ":authority") return value;
  }
  return "";
}

void AddHashPolicy(const Policy& policy, RouteAction& action) {
  if (policy.load_balancer == nullptr || !policy.load_balancer->has_consistent_hash()) return;
  const auto& hash = policy.load_balancer->consistent_hash();
  if (!hash.http_header_name().empty()) {
    action.add_hash_policy()->mutable_header()->set_header_name(hash.http_header_name());
  } else if (hash.use_source_ip()) {
    action.add_hash_policy()->mutable_connection_properties()->set_source_ip(true);
  } else if (!hash.http_query_parameter_name().empty()) {
    action.add_hash_policy()->mutable_query_parameter()->set_name(hash.http_query_parameter_name());
  } else if (hash.has_http_cookie()) {
    auto* cookie = action.add_hash_policy()->mutable_cookie();
    cookie->set_name(hash.http_cookie().name());
    cookie->set_path(hash.http_cookie().path());
    for (const auto& attribute : hash.http_cookie().attributes()) {
      auto* to = cookie->add_attributes();
      to->set_name(attribute.name());
      to->set_value(attribute.value());
    }
    if (!hash.http_cookie().ttl().empty()) {
      SetDuration(DurationOr(hash.http_cookie().ttl(), absl::ZeroDuration()),
                  cookie->mutable_ttl());
    }
  }
}

// Istio deprecated the whole-number spelling; people's files still use it.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
double MirrorPercentOf(const HTTPRoute& route) {
  if (route.has_mirror_percentage()) return route.mirror_percentage().value();
  return route.has_mirror_percent() ? route.mirror_percent() : 100;
}
#pragma clang diagnostic pop

// `timeout` (0: none) bounds the request. A gRPC client's own deadline ends it earlier, with
// DEADLINE_EXCEEDED, as the client expects.
void SetTimeouts(absl::Duration timeout, RouteAction& action) {
  SetDuration(timeout, action.mutable_timeout());
  SetDuration(timeout, action.mutable_max_stream_duration()->mutable_grpc_timeout_header_max());
}

void SetUnavailable(absl::string_view why, Route& route) {
  route.mutable_direct_response()->set_status(503);
  route.mutable_direct_response()->mutable_body()->set_inline_string(
      absl::StrCat("no destination: ", why, "\n"));
}

void SetRedirect(const HTTPRedirect& from, uint16_t request_port, Route& route) {
  RedirectAction* to = route.mutable_redirect();
  if (!from.prefix_rewrite().empty()) {
    to->set_prefix_rewrite(from.prefix_rewrite());
  } else if (!from.uri().empty()) {
    to->set_path_redirect(from.uri());
  }
  to->set_host_redirect(from.authority());
  if (!from.scheme().empty()) to->set_scheme_redirect(from.scheme());
  if (from.has_port()) {
    to->set_port_redirect(from.port());
  } else if (from.has_derive_port()) {
    bool of_request = from.derive_port() == HTTPRedirect::FROM_REQUEST_PORT;
    to->set_port_redirect(of_request ? request_port : from.scheme() == "https" ? 443 : 80);
  }
  switch (from.redirect_code()) {
    case 302:
      to->set_response_code(RedirectAction::FOUND);
      break;
    case 303:
      to->set_response_code(RedirectAction::SEE_OTHER);
      break;
    case 307:
      to->set_response_code(RedirectAction::TEMPORARY_REDIRECT);
      break;
    case 308:
      to->set_response_code(RedirectAction::PERMANENT_REDIRECT);
      break;
    default:
      to->set_response_code(RedirectAction::MOVED_PERMANENTLY);
      break;
  }
}

// Of "/a/b", without its prefix "/a", "/b" is left and not "//b".
void DropPrefix(Route& route) {
  if (route.redirect().prefix_rewrite() != "/" || !route.match().has_path_separated_prefix())
    return;
  auto& rewrite = *route.mutable_redirect()->mutable_regex_rewrite();
  rewrite.mutable_pattern()->set_regex(
      absl::StrCat("^", RE2::QuoteMeta(route.match().path_separated_prefix()), "/*"));
  rewrite.set_substitution("/");
}

void SetDirectResponse(const HTTPDirectResponse& from, Route& route) {
  auto* to = route.mutable_direct_response();
  to->set_status(from.status());
  if (from.body().has_string()) to->mutable_body()->set_inline_string(from.body().string());
  if (from.body().has_bytes()) to->mutable_body()->set_inline_bytes(from.body().bytes());
}

// Of the destinations, those that get requests: weights count only where several share.
struct Share {
  const HTTPRouteDestination* destination;
  uint32_t weight;
};

std::vector<Share> SharesOf(const HTTPRoute& from) {
  std::vector<Share> shares;
  for (const HTTPRouteDestination& destination : from.route()) {
    if (destination.weight() > 0) {
      shares.push_back({&destination, static_cast<uint32_t>(destination.weight())});
    }
  }
  if (!shares.empty()) return shares;
  for (const HTTPRouteDestination& destination : from.route()) shares.push_back({&destination, 1});
  return shares;
}

// One VirtualService on the way to its routes for one client and port.
class Translation {
 public:
  Translation(const RouteContext& context,
              const TranslationIndex::VirtualServiceConfig& virtual_service, uint16_t port)
      : context_(context), config_(virtual_service), port_(port) {}

  Route RouteOf(const HTTPRoute& from, RouteMatch match, const std::string& match_name) {
    Route route;
    route.set_name(NameOf(from, match_name));
    SetOrigin(from, route);
    *route.mutable_match() = std::move(match);
    if (from.has_headers()) AddHeaderOperations(from.headers(), route);
    if (from.has_redirect()) {
      SetRedirect(from.redirect(), port_, route);
      DropPrefix(route);
    } else if (from.has_direct_response()) {
      SetDirectResponse(from.direct_response(), route);
    } else {
      SetDestinations(from, route);
    }
    SetRouteFilters(from, route);
    return route;
  }

 private:
  static std::string NameOf(const HTTPRoute& from, const std::string& match_name) {
    if (from.name().empty()) return match_name.empty() ? "default" : match_name;
    return match_name.empty() ? from.name() : absl::StrCat(from.name(), ".", match_name);
  }

  // What was made of the Gateway API has routes of several objects, of which each has the name of
  // its own: "namespace.name".
  void SetOrigin(const HTTPRoute& from, Route& route) const {
    ObjectKey key = config_.key;
    if (IsOfGatewayApi(key)) {
      const size_t dot = from.name().find('.');
      key.namespace_ = from.name().substr(0, dot);
      key.name = from.name().substr(dot + 1);
    }
    auto& metadata = *route.mutable_metadata()->mutable_filter_metadata();
    (*metadata[kConfigPathFilter].mutable_fields())[kConfigPathField].set_string_value(
        ConfigPath(key));
  }

  absl::StatusOr<ResolvedDestination> Resolve(
      const istio::networking::v1alpha3::Destination& destination) {
    return ResolveDestination(context_, destination, config_.key.namespace_, port_);
  }

  void SetDestinations(const HTTPRoute& from, Route& route) {
    std::vector<Share> shares = SharesOf(from);
    if (shares.empty()) return SetUnavailable("the route states none", route);
    std::vector<absl::StatusOr<ResolvedDestination>> resolved;
    for (const Share& share : shares) resolved.push_back(Resolve(share.destination->destination()));
    if (std::none_of(resolved.begin(), resolved.end(), [](const auto& r) { return r.ok(); })) {
      return SetUnavailable(resolved.front().status().message(), route);
    }
    RouteAction& action = *route.mutable_route();
    SetTimeouts(DurationOr(from.timeout(), absl::ZeroDuration()), action);
    SetRetries(from, action);
    SetRewrite(from, action);
    AddMirrors(from, action);
    if (shares.size() == 1) {
      SetCluster(*shares.front().destination, *resolved.front(), route);
      return;
    }
    for (size_t i = 0; i < shares.size(); ++i) AddShare(shares[i], resolved[i], action);
  }

  static void SetCluster(const HTTPRouteDestination& destination,
                         const ResolvedDestination& resolved, Route& route) {
    route.mutable_route()->set_cluster(resolved.cluster);
    AddHashPolicy(resolved.policy, *route.mutable_route());
    if (!destination.has_headers()) return;
    AddHeaderOperations(destination.headers(), route);
    std::string authority = AuthorityOf(destination.headers());
    if (!authority.empty()) route.mutable_route()->set_host_rewrite_literal(authority);
  }

  static void AddShare(const Share& share, const absl::StatusOr<ResolvedDestination>& resolved,
                       RouteAction& action) {
    auto* weighted = action.mutable_weighted_clusters()->add_clusters();
    weighted->mutable_weight()->set_value(share.weight);
    if (!resolved.ok()) {
      weighted->set_name(kBlackHoleCluster);
      return;
    }
    weighted->set_name(resolved->cluster);
    AddHashPolicy(resolved->policy, action);
    if (!share.destination->has_headers()) return;
    AddHeaderOperations(share.destination->headers(), *weighted);
    std::string authority = AuthorityOf(share.destination->headers());
    if (!authority.empty()) weighted->set_host_rewrite_literal(authority);
  }

  static void SetRewrite(const HTTPRoute& from, RouteAction& action) {
    std::string authority = AuthorityOf(from.headers());
    if (!from.rewrite().authority().empty()) authority = from.rewrite().authority();
    if (!authority.empty()) action.set_host_rewrite_literal(authority);
    if (from.rewrite().has_uri_regex_rewrite()) {
      const auto& regex = from.rewrite().uri_regex_rewrite();
      action.mutable_regex_rewrite()->mutable_pattern()->set_regex(regex.match());
      action.mutable_regex_rewrite()->set_substitution(regex.rewrite());
    } else if (!from.rewrite().uri().empty()) {
      action.set_prefix_rewrite(from.rewrite().uri());
    }
  }

  void AddMirrors(const HTTPRoute& from, RouteAction& action) {
    if (from.has_mirror()) {
      AddMirror(from.mirror(), MirrorPercentOf(from), action);
    }
    for (const auto& mirror : from.mirrors()) {
      AddMirror(mirror.destination(), mirror.has_percentage() ? mirror.percentage().value() : 100,
                action);
    }
  }

  // A copy that leads nowhere is left out: the request itself is what counts.
  void AddMirror(const istio::networking::v1alpha3::Destination& destination, double percent,
                 RouteAction& action) {
    absl::StatusOr<ResolvedDestination> resolved = Resolve(destination);
    if (!resolved.ok() || percent <= 0) return;
    auto* mirror = action.add_request_mirror_policies();
    mirror->set_cluster(resolved->cluster);
    *mirror->mutable_runtime_fraction()->mutable_default_value() = FractionOf(percent);
  }

  const RouteContext& context_;
  const TranslationIndex::VirtualServiceConfig& config_;
  const uint16_t port_;
};

}  // namespace

std::vector<Route> HttpRoutes(const RouteContext& context,
                              const TranslationIndex::VirtualServiceConfig& virtual_service,
                              uint16_t port) {
  Translation translation(context, virtual_service, port);
  std::vector<Route> routes;
  for (const HTTPRoute& from : virtual_service.spec->http()) {
    if (from.match().empty()) {
      routes.push_back(translation.RouteOf(from, AnyRequest(), ""));
    }
    for (const auto& match : from.match()) {
      if (!MatchesClient(match, context, virtual_service.key.namespace_, port)) continue;
      routes.push_back(translation.RouteOf(
          from, RouteMatchOf(match, IsOfGatewayApi(virtual_service.key)), match.name()));
      if (IsAnyRequest(routes.back().match())) break;
    }
    // Nothing behind a route for all requests is ever reached.
    if (!routes.empty() && IsAnyRequest(routes.back().match())) break;
  }
  return routes;
}

Route DefaultRoute(const std::string& cluster, const Policy& policy) {
  Route route;
  route.set_name("default");
  *route.mutable_match() = AnyRequest();
  RouteAction& action = *route.mutable_route();
  action.set_cluster(cluster);
  SetTimeouts(absl::ZeroDuration(), action);
  *action.mutable_retry_policy() = DefaultRetryPolicy();
  AddHashPolicy(policy, action);
  return route;
}

}  // namespace weft
