#include "proxy/config/compile_http_filters.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/cors.pb.h"
#include "api/envoy/ext_authz.pb.h"
#include "api/envoy/fault.pb.h"
#include "api/envoy/header_mutation.pb.h"
#include "api/envoy/http_rbac.pb.h"
#include "api/envoy/jwt_authn.pb.h"
#include "api/envoy/local_ratelimit.pb.h"
#include "api/envoy/route.pb.h"
#include "api/envoy/router.pb.h"
#include "api/weft/tunnel.pb.h"
#include "proxy/config/compile_ext_authz.h"
#include "proxy/config/compile_jwt.h"
#include "proxy/config/compile_matchers.h"
#include "proxy/config/compile_rbac.h"
#include "proxy/config/compile_route.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace http = envoy::extensions::filters::http;
namespace route = envoy::config::route::v3;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using HttpFilterMessage =
    envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
using google::protobuf::Any;
using http::router::v3::Router;

// Envoy refills no bucket more often.
constexpr absl::Duration kShortestFill = absl::Milliseconds(50);

absl::StatusOr<HttpFilterConfig> CompileCors(const http::cors::v3::CorsPolicy& from,
                                             const Secrets& secrets) {
  CorsConfig to;
  absl::Status status = CompileEach("allow_origin_string_match", from.allow_origin_string_match(),
                                    to.allow_origins, CompileStringMatch);
  if (!status.ok()) return status;
  to.allow_methods = from.allow_methods();
  to.allow_headers = from.allow_headers();
  to.expose_headers = from.expose_headers();
  to.max_age = from.max_age();
  if (from.has_allow_credentials()) to.allow_credentials = from.allow_credentials().value();
  if (from.has_allow_private_network_access()) {
    to.allow_private_network_access = from.allow_private_network_access().value();
  }
  if (from.has_forward_not_matching_preflights()) {
    to.forward_not_matching_preflights = from.forward_not_matching_preflights().value();
  }
  if (from.has_filter_enabled()) {
    to.enabled = CompileFraction(from.filter_enabled(), secrets.runtime);
  }
  if (from.has_shadow_enabled()) {
    to.shadow_enabled = CompileFraction(from.shadow_enabled(), secrets.runtime);
  }
  return HttpFilterConfig(std::move(to));
}

absl::Status CheckFault(const http::fault::v3::HTTPFault& from) {
  using http::fault::v3::FaultAbort;
  if (!from.has_delay() && !from.has_abort()) return Invalid("", "needs one of delay, abort");
  if (from.has_response_rate_limit()) return Invalid("response_rate_limit", "is not supported");
  if (from.delay().has_header_delay()) {
    return Invalid("delay.header_delay", "is not supported: no client injects faults by itself");
  }
  if (from.abort().has_header_abort()) {
    return Invalid("abort.header_abort", "is not supported: no client injects faults by itself");
  }
  if (from.has_delay() && !from.delay().has_fixed_delay()) {
    return Invalid("delay.fixed_delay", "must be set");
  }
  if (from.abort().error_type_case() == FaultAbort::kHttpStatus &&
      (from.abort().http_status() < 200 || from.abort().http_status() > 599)) {
    return Invalid("abort.http_status", "must be 200 to 599");
  }
  if (from.has_abort() && from.abort().error_type_case() == FaultAbort::ERROR_TYPE_NOT_SET) {
    return Invalid("abort", "needs one of http_status, grpc_status");
  }
  return absl::OkStatus();
}

absl::StatusOr<HttpFilterConfig> CompileFault(const http::fault::v3::HTTPFault& from,
                                              const Secrets& secrets) {
  absl::Status status = CheckFault(from);
  if (!status.ok()) return status;
  FaultConfig to;
  const auto share = [&](const envoy::type::v3::FractionalPercent& stated, const std::string& key,
                         const char* usual) {
    return secrets.runtime.Share(key.empty() ? usual : key).value_or(CompileFraction(stated));
  };
  if (from.has_delay()) {
    to.delay = ToDuration(from.delay().fixed_delay());
    to.delay_share = share(from.delay().percentage(), from.delay_percent_runtime(),
                           "fault.http.delay.fixed_delay_percent");
  }
  if (from.has_abort()) {
    to.abort_share = share(from.abort().percentage(), from.abort_percent_runtime(),
                           "fault.http.abort.abort_percent");
    if (from.abort().error_type_case() == http::fault::v3::FaultAbort::kGrpcStatus) {
      to.abort_grpc_status = static_cast<int>(from.abort().grpc_status());
    } else {
      to.abort_status = static_cast<int>(from.abort().http_status());
    }
  }
  to.upstream_cluster = from.upstream_cluster();
  to.downstream_nodes.assign(from.downstream_nodes().begin(), from.downstream_nodes().end());
  if (from.has_max_active_faults()) to.max_active = from.max_active_faults().value();
  status = CompileEach("headers", from.headers(), to.headers, CompileHeaderMatch);
  if (!status.ok()) return status;
  return HttpFilterConfig(std::move(to));
}

absl::Status CheckRateLimit(const http::local_ratelimit::v3::LocalRateLimit& from) {
  if (from.stat_prefix().empty()) return Invalid("stat_prefix", "must not be empty");
  if (!from.descriptors().empty()) return Invalid("descriptors", "is not supported");
  if (from.stage() != 0) return Invalid("stage", "is not supported");
  if (from.local_rate_limit_per_downstream_connection()) {
    return Invalid("local_rate_limit_per_downstream_connection", "is not supported");
  }
  if (from.has_local_cluster_rate_limit()) {
    return Invalid("local_cluster_rate_limit", "is not supported");
  }
  return absl::OkStatus();
}

absl::Status CompileBucket(const envoy::type::v3::TokenBucket& from, LocalRateLimitConfig& to) {
  to.limited = true;
  to.max_tokens = from.max_tokens();
  if (to.max_tokens == 0) return Invalid("max_tokens", "must be above 0");
  if (from.has_tokens_per_fill()) to.tokens_per_fill = from.tokens_per_fill().value();
  if (to.tokens_per_fill == 0) return Invalid("tokens_per_fill", "must be above 0");
  to.fill_interval = ToDuration(from.fill_interval());
  if (to.fill_interval < kShortestFill) return Invalid("fill_interval", "must be at least 50ms");
  return absl::OkStatus();
}

absl::StatusOr<HttpFilterConfig> CompileRateLimit(
    const http::local_ratelimit::v3::LocalRateLimit& from, const Secrets& secrets) {
  absl::Status status = CheckRateLimit(from);
  if (!status.ok()) return status;
  LocalRateLimitConfig to;
  to.stat_prefix = from.stat_prefix();
  if (static_cast<int>(from.status().code()) >= 400) {
    to.status = static_cast<int>(from.status().code());
  }
  if (from.has_token_bucket()) {
    status = CompileBucket(from.token_bucket(), to);
    if (!status.ok()) return Under("token_bucket", status);
  }
  if (from.has_filter_enabled()) {
    to.enabled = CompileFraction(from.filter_enabled(), secrets.runtime);
  }
  if (from.has_filter_enforced()) {
    to.enforced = CompileFraction(from.filter_enforced(), secrets.runtime);
  }
  status = CompileEach("response_headers_to_add", from.response_headers_to_add(),
                       to.response_headers.add, CompileHeaderToAdd);
  if (!status.ok()) return status;
  status = CompileEach("request_headers_to_add_when_not_enforced",
                       from.request_headers_to_add_when_not_enforced(), to.request_headers.add,
                       CompileHeaderToAdd);
  if (!status.ok()) return status;
  to.x_ratelimit_headers =
      from.enable_x_ratelimit_headers() != envoy::extensions::common::ratelimit::v3::OFF;
  to.grpc_resource_exhausted = from.rate_limited_as_resource_exhausted();
  return HttpFilterConfig(std::move(to));
}

absl::StatusOr<HeaderMutationConfig::Step> CompileStep(
    const envoy::config::common::mutation_rules::v3::HeaderMutation& from) {
  using envoy::config::common::mutation_rules::v3::HeaderMutation;
  switch (from.action_case()) {
    case HeaderMutation::kRemove: {
      absl::StatusOr<std::string> name = CompileHeaderToRemove(from.remove());
      if (!name.ok()) return Under("remove", name.status());
      return HeaderMutationConfig::Step(HeaderMutationConfig::Remove{*std::move(name)});
    }
    case HeaderMutation::kAppend: {
      absl::StatusOr<HeaderToAdd> add = CompileHeaderToAdd(from.append());
      if (!add.ok()) return Under("append", add.status());
      return HeaderMutationConfig::Step(*std::move(add));
    }
    case HeaderMutation::kRemoveOnMatch: {
      absl::StatusOr<StringMatch> name = CompileStringMatch(from.remove_on_match().key_matcher());
      if (!name.ok()) return Under("remove_on_match.key_matcher", name.status());
      return HeaderMutationConfig::Step(HeaderMutationConfig::RemoveMatching{*std::move(name)});
    }
    case HeaderMutation::ACTION_NOT_SET:
      break;
  }
  return Invalid("", "needs one of remove, append, remove_on_match");
}

absl::StatusOr<HttpFilterConfig> CompileMutations(const http::header_mutation::v3::Mutations& from,
                                                  bool most_specific_wins) {
  if (!from.query_parameter_mutations().empty()) {
    return Invalid("mutations.query_parameter_mutations", "is not supported");
  }
  HeaderMutationConfig to;
  to.most_specific_wins = most_specific_wins;
  absl::Status status =
      CompileEach("mutations.request_mutations", from.request_mutations(), to.request, CompileStep);
  if (!status.ok()) return status;
  status = CompileEach("mutations.response_mutations", from.response_mutations(), to.response,
                       CompileStep);
  if (!status.ok()) return status;
  return HttpFilterConfig(std::move(to));
}

absl::StatusOr<HttpFilterConfig> RbacFilter(
    absl::StatusOr<std::shared_ptr<const RbacConfig>> compiled) {
  if (!compiled.ok()) return compiled.status();
  return HttpFilterConfig(RbacFilterConfig{*std::move(compiled)});
}

absl::StatusOr<HttpFilterConfig> JwtFilter(const http::jwt_authn::v3::JwtAuthentication& from,
                                           const Secrets& secrets) {
  absl::StatusOr<std::shared_ptr<const JwtAuthnConfig>> compiled = CompileJwtAuthn(from, secrets);
  if (!compiled.ok()) return compiled.status();
  return HttpFilterConfig(JwtFilterConfig{*std::move(compiled), nullptr});
}

absl::StatusOr<HttpFilterConfig> JwtOfRoute(const http::jwt_authn::v3::PerRouteConfig& from) {
  absl::StatusOr<JwtRouteConfig> compiled = CompileJwtPerRoute(from);
  if (!compiled.ok()) return compiled.status();
  return HttpFilterConfig(
      JwtFilterConfig{nullptr, std::make_shared<const JwtRouteConfig>(*std::move(compiled))});
}

absl::StatusOr<HttpFilterConfig> ExtAuthzFilter(const http::ext_authz::v3::ExtAuthz& from,
                                                const Secrets& secrets) {
  absl::StatusOr<std::shared_ptr<const ExtAuthzConfig>> compiled = CompileExtAuthz(from, secrets);
  if (!compiled.ok()) return compiled.status();
  return HttpFilterConfig(ExtAuthzFilterConfig{*std::move(compiled), nullptr});
}

absl::StatusOr<HttpFilterConfig> ExtAuthzOfRoute(
    const http::ext_authz::v3::ExtAuthzPerRoute& from) {
  absl::StatusOr<ExtAuthzRouteConfig> compiled = CompileExtAuthzPerRoute(from);
  if (!compiled.ok()) return compiled.status();
  return HttpFilterConfig(ExtAuthzFilterConfig{
      nullptr, std::make_shared<const ExtAuthzRouteConfig>(*std::move(compiled))});
}

// The config that a filter, or an override of it, holds. `in_route`: all but two have other
// messages there.
absl::StatusOr<HttpFilterConfig> CompileConfig(const Any& any, bool in_route,
                                               const Secrets& secrets) {
  if (any.Is<http::cors::v3::Cors>() && !in_route) return HttpFilterConfig(CorsConfig());
  if (any.Is<http::cors::v3::CorsPolicy>() && in_route) {
    auto message = Unpack<http::cors::v3::CorsPolicy>(any);
    return message.ok() ? CompileCors(*message, secrets) : message.status();
  }
  if (any.Is<http::fault::v3::HTTPFault>()) {
    auto message = Unpack<http::fault::v3::HTTPFault>(any);
    // The filter itself may be empty: routes say what to inject.
    if (message.ok() && !in_route && !message->has_delay() && !message->has_abort()) {
      return HttpFilterConfig(FaultConfig());
    }
    return message.ok() ? CompileFault(*message, secrets) : message.status();
  }
  if (any.Is<http::local_ratelimit::v3::LocalRateLimit>()) {
    auto message = Unpack<http::local_ratelimit::v3::LocalRateLimit>(any);
    if (message.ok() && in_route && !message->has_token_bucket()) {
      return Invalid("token_bucket", "must be set");
    }
    return message.ok() ? CompileRateLimit(*message, secrets) : message.status();
  }
  if (any.Is<http::header_mutation::v3::HeaderMutation>() && !in_route) {
    auto message = Unpack<http::header_mutation::v3::HeaderMutation>(any);
    if (!message.ok()) return message.status();
    return CompileMutations(message->mutations(), message->most_specific_header_mutations_wins());
  }
  if (any.Is<http::header_mutation::v3::HeaderMutationPerRoute>() && in_route) {
    auto message = Unpack<http::header_mutation::v3::HeaderMutationPerRoute>(any);
    return message.ok() ? CompileMutations(message->mutations(), false) : message.status();
  }
  if (any.Is<http::rbac::v3::RBAC>() && !in_route) {
    auto message = Unpack<http::rbac::v3::RBAC>(any);
    return message.ok() ? RbacFilter(CompileHttpRbac(*message)) : message.status();
  }
  if (any.Is<http::rbac::v3::RBACPerRoute>() && in_route) {
    auto message = Unpack<http::rbac::v3::RBACPerRoute>(any);
    return message.ok() ? RbacFilter(CompileRbacPerRoute(*message)) : message.status();
  }
  if (any.Is<http::jwt_authn::v3::JwtAuthentication>() && !in_route) {
    auto message = Unpack<http::jwt_authn::v3::JwtAuthentication>(any);
    return message.ok() ? JwtFilter(*message, secrets) : message.status();
  }
  if (any.Is<http::jwt_authn::v3::PerRouteConfig>() && in_route) {
    auto message = Unpack<http::jwt_authn::v3::PerRouteConfig>(any);
    return message.ok() ? JwtOfRoute(*message) : message.status();
  }
  if (any.Is<proxy::v1::TunnelTermination>() && !in_route) {
    auto message = Unpack<proxy::v1::TunnelTermination>(any);
    if (!message.ok()) return message.status();
    TunnelTerminationConfig to;
    to.gateways.insert(message->gateways().begin(), message->gateways().end());
    to.pod_name_key = message->pod_name_key();
    return HttpFilterConfig(std::move(to));
  }
  if (any.Is<http::ext_authz::v3::ExtAuthz>() && !in_route) {
    auto message = Unpack<http::ext_authz::v3::ExtAuthz>(any);
    return message.ok() ? ExtAuthzFilter(*message, secrets) : message.status();
  }
  if (any.Is<http::ext_authz::v3::ExtAuthzPerRoute>() && in_route) {
    auto message = Unpack<http::ext_authz::v3::ExtAuthzPerRoute>(any);
    return message.ok() ? ExtAuthzOfRoute(*message) : message.status();
  }
  return absl::UnimplementedError(TypeOf(any));
}

absl::Status CompileRouter(const Any& any, HttpManagerConfig& to) {
  absl::StatusOr<Router> router = Unpack<Router>(any);
  if (!router.ok()) return router.status();
  if (!router->upstream_log().empty()) return Invalid("upstream_log", "is not supported");
  if (!router->strict_check_headers().empty()) {
    return Invalid("strict_check_headers", "is not supported");
  }
  to.suppress_envoy_headers = router->suppress_envoy_headers();
  return absl::OkStatus();
}

absl::Status AddFilter(const HttpFilterMessage& from, const Secrets& secrets,
                       std::vector<HttpFilter>& to) {
  if (from.has_config_discovery()) return Invalid("config_discovery", "is not supported");
  absl::StatusOr<HttpFilterConfig> config = CompileConfig(from.typed_config(), false, secrets);
  if (absl::IsUnimplemented(config.status())) {
    if (from.is_optional() || from.disabled()) return absl::OkStatus();
    return Invalid("", absl::StrCat("unsupported filter '", from.name(), "'"));
  }
  if (!config.ok()) return Under("typed_config", config.status());
  HttpFilter& filter = to.emplace_back();
  filter.name = from.name();
  filter.disabled = from.disabled();
  filter.config = std::make_shared<const HttpFilterConfig>(*std::move(config));
  return absl::OkStatus();
}

absl::StatusOr<FilterOverride> CompileOverride(const std::string& name, const Any& from,
                                               const Secrets& secrets) {
  FilterOverride to;
  to.filter = name;
  Any any = from;
  bool optional = false;
  if (from.Is<route::FilterConfig>()) {
    absl::StatusOr<route::FilterConfig> wrapped = Unpack<route::FilterConfig>(from);
    if (!wrapped.ok()) return wrapped.status();
    to.disabled = wrapped->disabled();
    optional = wrapped->is_optional();
    if (to.disabled || !wrapped->has_config()) return to;
    any = wrapped->config();
  }
  absl::StatusOr<HttpFilterConfig> config = CompileConfig(any, true, secrets);
  if (absl::IsUnimplemented(config.status())) {
    if (optional) return to;
    return Invalid("", absl::StrCat("unsupported filter config ", TypeOf(any)));
  }
  if (!config.ok()) return config.status();
  to.config = std::make_shared<const HttpFilterConfig>(*std::move(config));
  return to;
}

// What the specific policy leaves open, as Envoy fills it: field by field.
CorsConfig Join(CorsConfig specific, const CorsConfig& general) {
  const auto text = [](std::string& to, const std::string& from) {
    if (to.empty()) to = from;
  };
  text(specific.allow_methods, general.allow_methods);
  text(specific.allow_headers, general.allow_headers);
  text(specific.expose_headers, general.expose_headers);
  text(specific.max_age, general.max_age);
  if (specific.allow_origins.empty()) specific.allow_origins = general.allow_origins;
  if (!specific.allow_credentials) specific.allow_credentials = general.allow_credentials;
  if (!specific.allow_private_network_access) {
    specific.allow_private_network_access = general.allow_private_network_access;
  }
  if (!specific.forward_not_matching_preflights) {
    specific.forward_not_matching_preflights = general.forward_not_matching_preflights;
  }
  return specific;
}

// Every level's changes are made, the most specific first.
HeaderMutationConfig Join(HeaderMutationConfig specific, const HeaderMutationConfig& general) {
  specific.request.insert(specific.request.end(), general.request.begin(), general.request.end());
  specific.response.insert(specific.response.end(), general.response.begin(),
                           general.response.end());
  return specific;
}

// Unless one of them switches it off: what the general one says of the request counts too.
ExtAuthzFilterConfig Join(const ExtAuthzFilterConfig& specific,
                          const ExtAuthzFilterConfig& general) {
  if (specific.route->disabled || general.route->disabled) return specific;
  auto joined = std::make_shared<ExtAuthzRouteConfig>(*specific.route);
  joined->context_extensions.insert(general.route->context_extensions.begin(),
                                    general.route->context_extensions.end());
  return {nullptr, std::move(joined)};
}

template <typename Config>
void JoinIf(const FilterOverride& general, FilterOverride& specific) {
  if (general.config == nullptr || specific.config == nullptr) return;
  const auto* from = std::get_if<Config>(&*general.config);
  const auto* to = std::get_if<Config>(&*specific.config);
  if (from == nullptr || to == nullptr) return;
  specific.config = std::make_shared<const HttpFilterConfig>(Join(*to, *from));
}

}  // namespace

absl::Status CompileHttpFilters(const HttpConnectionManager& from, const Secrets& secrets,
                                HttpManagerConfig& to) {
  if (from.http_filters().empty()) return Invalid("http_filters", "must hold the router");
  const int last = from.http_filters_size() - 1;
  for (int i = 0; i < last; ++i) {
    absl::Status status = AddFilter(from.http_filters(i), secrets, to.filters);
    if (!status.ok()) return Under(Index("http_filters", i), status);
  }
  const HttpFilterMessage& router = from.http_filters(last);
  if (!router.typed_config().Is<Router>()) {
    return Invalid(Index("http_filters", last),
                   absl::StrCat("the last filter must be the router, not '", router.name(), "'"));
  }
  absl::Status status = CompileRouter(router.typed_config(), to);
  return status.ok() ? status
                     : Under(absl::StrCat(Index("http_filters", last), ".typed_config"), status);
}

absl::StatusOr<FilterOverrides> CompileFilterOverrides(
    const google::protobuf::Map<std::string, Any>& from, const Secrets& secrets) {
  FilterOverrides to;
  for (const auto& [name, any] : from) {
    absl::StatusOr<FilterOverride> one = CompileOverride(name, any, secrets);
    if (!one.ok()) return Under(absl::StrCat("typed_per_filter_config[", name, "]"), one.status());
    to.push_back(*std::move(one));
  }
  return to;
}

void InheritOverrides(const FilterOverrides& general, FilterOverrides& specific) {
  for (const FilterOverride& above : general) {
    const auto own = std::find_if(specific.begin(), specific.end(), [&](const FilterOverride& one) {
      return one.filter == above.filter;
    });
    if (own == specific.end()) {
      specific.push_back(above);
      continue;
    }
    JoinIf<CorsConfig>(above, *own);
    JoinIf<HeaderMutationConfig>(above, *own);
    JoinIf<ExtAuthzFilterConfig>(above, *own);
  }
}

}  // namespace weft
