#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/cors.pb.h"
#include "api/envoy/ext_authz.pb.h"
#include "api/envoy/fault.pb.h"
#include "api/envoy/header_mutation.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/http_rbac.pb.h"
#include "api/envoy/jwt_authn.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/local_ratelimit.pb.h"
#include "api/envoy/route.pb.h"
#include "api/envoy/router.pb.h"
#include "proxy/config/compile.h"
#include "proxy/config/ext_authz_config.h"
#include "proxy/config/http_filters.h"
#include "proxy/config/jwt_config.h"
#include "proxy/config/rbac_config.h"
#include "proxy/config/secrets.h"

namespace weft {
namespace {

template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

// A connection manager with this in it, between its routes and its router.
absl::StatusOr<HttpManagerConfig> Manager(const std::string& more, const Secrets& secrets = {}) {
  auto listener = CompileListener(
      FromText<envoy::config::listener::v3::Listener>(absl::StrCat(
          R"(name: "l" address { socket_address { address: "0.0.0.0" port_value: 80 } }
      filter_chains { filters { name: "hcm" typed_config {
      [type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager] {
      stat_prefix: "in" rds { route_config_name: "r" } )",
          more, R"( http_filters { name: "r" typed_config {
      [type.googleapis.com/envoy.extensions.filters.http.router.v3.Router] { } } } } } } })")),
      secrets);
  if (!listener.ok()) return listener.status();
  return std::get<HttpManagerConfig>((*listener)->chains[0].service);
}

std::string Filter(const std::string& name, const std::string& type, const std::string& config,
                   const std::string& more = "") {
  return absl::StrCat("http_filters { name: '", name, "' ", more,
                      " typed_config { [type.googleapis.com/envoy.extensions.filters.http.", type,
                      "] { ", config, " } } } ");
}

std::string Override(const std::string& name, const std::string& type, const std::string& config) {
  return absl::StrCat("typed_per_filter_config { key: '", name,
                      "' value { [type.googleapis.com/envoy.extensions.filters.http.", type, "] { ",
                      config, " } } } ");
}

absl::StatusOr<std::shared_ptr<const RouteTable>> Routes(const std::string& text,
                                                         const Secrets& secrets = {}) {
  return CompileRoutes(FromText<envoy::config::route::v3::RouteConfiguration>(text), secrets);
}

TEST(CompileHttpFilters, KeepTheirOrderAndNames) {
  auto manager = Manager(absl::StrCat(
      Filter("first", "cors.v3.Cors", ""),
      Filter("second", "fault.v3.HTTPFault",
             "abort { http_status: 418 percentage { numerator: 50 } } "
             "delay { fixed_delay { seconds: 1 } percentage { numerator: 3 denominator: MILLION } }"
             "max_active_faults { value: 2 } headers { name: 'x' present_match: true }"),
      Filter("third", "local_ratelimit.v3.LocalRateLimit",
             "stat_prefix: 's' status { code: ServiceUnavailable } token_bucket { max_tokens: 5 "
             "tokens_per_fill { value: 2 } fill_interval { seconds: 1 } } "
             "filter_enabled { default_value { numerator: 100 } } "
             "enable_x_ratelimit_headers: DRAFT_VERSION_03"),
      Filter("fourth", "header_mutation.v3.HeaderMutation",
             "mutations { request_mutations { remove: 'X-A' } response_mutations { append { "
             "header { key: 'x-b' value: '%PROTOCOL%' } } } }",
             "disabled: true")));
  ASSERT_TRUE(manager.ok()) << manager.status();
  const auto& filters = manager->filters;
  ASSERT_EQ(filters.size(), 4u);
  EXPECT_EQ(filters[0].name, "first");
  const auto& fault = std::get<FaultConfig>(*filters[1].config);
  EXPECT_EQ(fault.abort_status, 418);
  EXPECT_EQ(fault.abort_share.numerator, 50u);
  EXPECT_EQ(fault.delay, absl::Seconds(1));
  EXPECT_EQ(fault.delay_share.denominator, 1'000'000u);
  EXPECT_EQ(fault.max_active, 2u);
  EXPECT_EQ(fault.headers.size(), 1u);
  const auto& limit = std::get<LocalRateLimitConfig>(*filters[2].config);
  EXPECT_EQ(limit.status, 503);
  EXPECT_EQ(limit.max_tokens, 5u);
  EXPECT_EQ(limit.tokens_per_fill, 2u);
  EXPECT_TRUE(limit.enabled.always() && limit.enforced.never() && limit.x_ratelimit_headers);
  EXPECT_TRUE(filters[3].disabled);
  const auto& mutation = std::get<HeaderMutationConfig>(*filters[3].config);
  EXPECT_EQ(std::get<HeaderMutationConfig::Remove>(mutation.request[0]).name, "x-a");
  EXPECT_FALSE(std::get<HeaderToAdd>(mutation.response[0]).format.empty());
}

// An RBAC of one policy for this principal.
std::string Rules(const std::string& principal) {
  return absl::StrCat("rules { policies { key: 'p' value { permissions { any: true } principals { ",
                      principal, " } } } } ");
}

constexpr char kRemoteProvider[] =
    "providers { key: 'a' value { issuer: 'a' remote_jwks { http_uri { uri: 'https://k/j' cluster: "
    "'keys' timeout { seconds: 1 } } } } } ";

TEST(CompileHttpFilters, AuthorizationIsAmongThem) {
  auto listener = CompileListener(
      FromText<envoy::config::listener::v3::Listener>(absl::StrCat(
          R"(name: "l" address { socket_address { address: "0.0.0.0" port_value: 80 } }
      filter_chains { filters { name: "hcm" typed_config {
      [type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager] {
      stat_prefix: "in" rds { route_config_name: "r" } )",
          Filter("jwt", "jwt_authn.v3.JwtAuthentication",
                 absl::StrCat(kRemoteProvider, "stat_prefix: 's'")),
          Filter("rbac", "rbac.v3.RBAC",
                 Rules("remote_ip { address_prefix: '10.0.0.0' prefix_len { value: 8 } }") +
                     "rules_stat_prefix: 'a' shadow_rules_stat_prefix: 'b' track_per_rule_stats: "
                     "true"),
          Filter("plain", "rbac.v3.RBAC", Rules("any: true")),
          R"( http_filters { name: "r" typed_config {
      [type.googleapis.com/envoy.extensions.filters.http.router.v3.Router] { } } } } } } })")),
      {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  const auto& filters = std::get<HttpManagerConfig>((*listener)->chains[0].service).filters;
  ASSERT_EQ(filters.size(), 3u);
  const auto& jwt = std::get<JwtFilterConfig>(*filters[0].config);
  ASSERT_NE(jwt.authn, nullptr);
  EXPECT_EQ(jwt.route, nullptr);
  EXPECT_EQ(jwt.authn->stat_prefix, "s");
  ASSERT_EQ((*listener)->jwks_sources.size(), 1u);
  EXPECT_EQ((*listener)->jwks_sources[0]->cluster, "keys");
  EXPECT_TRUE((*listener)->clusters.empty()) << "the keys are what it waits for";
  const RbacConfig& rbac = *std::get<RbacFilterConfig>(*filters[1].config).rbac;
  EXPECT_TRUE(rbac.rules.has_value() && rbac.asks_remote_ip && rbac.counts_policies);
  EXPECT_EQ(rbac.rules_stat_prefix, "a");
  EXPECT_EQ(rbac.shadow_stat_prefix, "b");
  EXPECT_FALSE(std::get<RbacFilterConfig>(*filters[2].config).rbac->asks_remote_ip);
}

TEST(CompileHttpFilters, RoutesOverrideAuthorization) {
  const auto table = Routes(absl::StrCat(
      "name: 'r' virtual_hosts { name: 'v' domains: '*' ",
      Override("rbac", "rbac.v3.RBACPerRoute", absl::StrCat("rbac { ", Rules("any: true"), "}")),
      "routes { match { prefix: '/a' } route { cluster: 'c' } ",
      Override("rbac", "rbac.v3.RBACPerRoute", ""),
      Override("jwt", "jwt_authn.v3.PerRouteConfig", "requirement_name: 'n'"),
      "} routes { match { prefix: '/b' } route { cluster: 'c' } ",
      Override("jwt", "jwt_authn.v3.PerRouteConfig", "disabled: true"), "} }"));
  ASSERT_TRUE(table.ok()) << table.status();
  const auto& routes = (*table)->virtual_hosts[0].routes;
  const auto rbac_of = [](const Route& route) {
    return std::get<RbacFilterConfig>(*FindOverride(route.filters, "rbac")->config).rbac;
  };
  const auto jwt_of = [](const Route& route) {
    return std::get<JwtFilterConfig>(*FindOverride(route.filters, "jwt")->config);
  };
  EXPECT_FALSE(rbac_of(routes[0])->rules.has_value()) << "the most specific wins as a whole";
  EXPECT_TRUE(rbac_of(routes[1])->rules.has_value());
  ASSERT_NE(jwt_of(routes[0]).route, nullptr);
  EXPECT_EQ(jwt_of(routes[0]).route->requirement_name, "n");
  EXPECT_TRUE(jwt_of(routes[1]).route->disabled);
}

TEST(CompileHttpFilters, ErrorsNameTheField) {
  constexpr char kIn[] = "filter_chains[0].filters[0].";
  const struct {
    std::string manager;
    const char* error;
  } cases[] = {
      {Filter("f", "fault.v3.HTTPFault", "abort { http_status: 99 }"),
       "http_filters[0].typed_config.abort.http_status: must be 200 to 599"},
      {Filter("f", "fault.v3.HTTPFault", "abort { header_abort {} }"),
       "http_filters[0].typed_config.abort.header_abort: is not supported"},
      {Filter("f", "fault.v3.HTTPFault", "delay { header_delay {} }"),
       "http_filters[0].typed_config.delay.header_delay: is not supported"},
      {Filter("f", "local_ratelimit.v3.LocalRateLimit", ""),
       "http_filters[0].typed_config.stat_prefix: must not be empty"},
      {Filter("f", "local_ratelimit.v3.LocalRateLimit",
              "stat_prefix: 's' token_bucket { max_tokens: 1 fill_interval { nanos: 1000000 } }"),
       "http_filters[0].typed_config.token_bucket.fill_interval: must be at least 50ms"},
      {Filter("f", "local_ratelimit.v3.LocalRateLimit", "stat_prefix: 's' descriptors { }"),
       "http_filters[0].typed_config.descriptors: is not supported"},
      {Filter("f", "header_mutation.v3.HeaderMutation", "mutations { request_mutations { } }"),
       "http_filters[0].typed_config.mutations.request_mutations[0]: needs one of"},
      {Filter("f", "rbac.v3.RBAC", Rules("any: false")),
       "http_filters[0].typed_config.rules.policies['p'].principals[0].any: must be true"},
      {Filter("f", "rbac.v3.RBACPerRoute", ""), "http_filters[0]: unsupported filter 'f'"},
      {Filter("f", "jwt_authn.v3.JwtAuthentication", "providers { key: 'a' value { } }"),
       "http_filters[0].typed_config.providers['a']: needs one of remote_jwks, local_jwks"},
      {"http_filters { name: 'gzip' }", "http_filters[0]: unsupported filter 'gzip'"},
      {"add_user_agent { value: true }", "add_user_agent: is not supported"},
      {"early_header_mutation_extensions { name: 'x' }", "early_header_mutation_extensions: is"},
      {"original_ip_detection_extensions { name: 'x' }", "original_ip_detection_extensions: is"},
      {"local_reply_config { mappers { } }", "local_reply_config.mappers[0].filter: must be set"},
      {"internal_address_config { cidr_ranges { address_prefix: 'x' } }",
       "internal_address_config.cidr_ranges[0]"},
      {"scheme_header_transformation { scheme_to_overwrite: 'ftp' }",
       "scheme_header_transformation.scheme_to_overwrite: must be"},
  };
  for (const auto& c : cases) {
    auto manager = Manager(c.manager);
    ASSERT_FALSE(manager.ok()) << c.error;
    EXPECT_TRUE(absl::StartsWith(manager.status().message(), absl::StrCat(kIn, c.error)))
        << manager.status();
  }
}

TEST(CompileHttpFilters, AnOptionalFilterThatNobodyKnowsIsLeftOut) {
  auto manager = Manager("http_filters { name: 'x' is_optional: true }");
  ASSERT_TRUE(manager.ok()) << manager.status();
  EXPECT_TRUE(manager->filters.empty());
}

TEST(CompileHttpManager, EveryFieldHasItsValue) {
  auto manager = Manager(R"(
      server_name: "srv" server_header_transformation: PASS_THROUGH via: "1.1 weft"
      proxy_100_continue: true use_remote_address { value: true } xff_num_trusted_hops: 2
      skip_xff_append: true append_x_forwarded_port: true preserve_external_request_id: true
      always_set_request_id_in_response: true strip_trailing_host_dot: true
      internal_address_config { cidr_ranges { address_prefix: "10.0.0.0" prefix_len { value: 8 } } }
      scheme_header_transformation { scheme_to_overwrite: "https" }
      http_protocol_options { default_host_for_http_10: "old" }
      common_http_protocol_options { idle_timeout { seconds: 7 } max_connection_duration { seconds: 8 }
        max_stream_duration { seconds: 9 } max_requests_per_connection { value: 10 }
        max_headers_count { value: 11 } headers_with_underscores_action: DROP_HEADER }
      local_reply_config { mappers { status_code { value: 599 } body { inline_string: "b" }
        filter { response_flag_filter { flags: "NR" } } } body_format { text_format: "%LOCAL_REPLY_BODY%" } })");
  ASSERT_TRUE(manager.ok()) << manager.status();
  EXPECT_EQ(manager->server_name, "srv");
  EXPECT_EQ(manager->server_header, ServerHeader::kPassThrough);
  EXPECT_EQ(manager->via, "1.1 weft");
  EXPECT_TRUE(manager->proxy_100_continue);
  EXPECT_TRUE(manager->use_remote_address && manager->skip_xff_append);
  EXPECT_EQ(manager->xff_trusted_hops, 2u);
  EXPECT_TRUE(manager->append_x_forwarded_port && manager->preserve_external_request_id);
  EXPECT_TRUE(manager->request_id_in_response && manager->strip_trailing_host_dot);
  ASSERT_EQ(manager->internal_ranges.size(), 1u);
  EXPECT_EQ(manager->scheme_to_overwrite, "https");
  EXPECT_EQ(manager->default_host_for_http_10, "old");
  EXPECT_EQ(manager->idle_timeout, absl::Seconds(7));
  EXPECT_EQ(manager->max_connection_duration, absl::Seconds(8));
  EXPECT_EQ(manager->max_stream_duration, absl::Seconds(9));
  EXPECT_EQ(manager->max_requests_per_connection, 10u);
  EXPECT_EQ(manager->max_headers_count, 11u);
  EXPECT_EQ(manager->underscores, UnderscoreAction::kDrop);
  ASSERT_EQ(manager->local_reply.mappers.size(), 1u);
  EXPECT_EQ(manager->local_reply.mappers[0].status, 599u);
  EXPECT_EQ(manager->local_reply.mappers[0].body, "b");
  EXPECT_NE(manager->local_reply.body_format, nullptr);
}

TEST(CompileFilterOverrides, TheMostSpecificWins) {
  auto routes = Routes(absl::StrCat(
      Override("a", "fault.v3.HTTPFault", "abort { http_status: 501 }"),
      Override("b", "fault.v3.HTTPFault", "abort { http_status: 502 }"),
      R"(virtual_hosts { name: "v" domains: "*" )",
      Override("a", "fault.v3.HTTPFault", "abort { http_status: 503 }"),
      R"(routes { match { prefix: "/w" } route { weighted_clusters { clusters { name: "c" weight { value: 1 } )",
      Override("a", "fault.v3.HTTPFault", "abort { http_status: 505 }"), "} } } ",
      Override("a", "fault.v3.HTTPFault", "abort { http_status: 504 }"),
      R"(} routes { match { prefix: "/" } route { cluster: "c" } typed_per_filter_config { key: "b"
      value { [type.googleapis.com/envoy.config.route.v3.FilterConfig] { disabled: true } } } } })"));
  ASSERT_TRUE(routes.ok()) << routes.status();
  const auto status = [](const FilterOverrides& from, const char* name) {
    return std::get<FaultConfig>(*FindOverride(from, name)->config).abort_status;
  };
  const Route& weighted = (*routes)->virtual_hosts[0].routes[0];
  EXPECT_EQ(status(weighted.filters, "a"), 504);
  EXPECT_EQ(status(weighted.filters, "b"), 502);
  const FilterOverrides& target = std::get<ForwardAction>(weighted.action).clusters[0].filters;
  EXPECT_EQ(status(target, "a"), 505);
  EXPECT_EQ(status(target, "b"), 502);
  const Route& plain = (*routes)->virtual_hosts[0].routes[1];
  EXPECT_EQ(status(plain.filters, "a"), 503);
  EXPECT_TRUE(FindOverride(plain.filters, "b")->disabled);
  EXPECT_EQ(FindOverride(plain.filters, "c"), nullptr);
}

TEST(CompileFilterOverrides, CorsPoliciesAreJoinedFieldByField) {
  auto routes = Routes(absl::StrCat(
      R"(virtual_hosts { name: "v" domains: "*" )",
      Override("cors", "cors.v3.CorsPolicy",
               "allow_origin_string_match { exact: 'o' } allow_methods: 'GET' max_age: '9'"),
      R"(routes { match { prefix: "/" } route { cluster: "c" } )",
      Override("cors", "cors.v3.CorsPolicy", "allow_methods: 'PUT'"), "} }"));
  ASSERT_TRUE(routes.ok()) << routes.status();
  const Route& route = (*routes)->virtual_hosts[0].routes[0];
  const auto& policy = std::get<CorsConfig>(*FindOverride(route.filters, "cors")->config);
  EXPECT_EQ(policy.allow_methods, "PUT");
  EXPECT_EQ(policy.max_age, "9");
  EXPECT_EQ(policy.allow_origins.size(), 1u);
}

TEST(CompileFilterOverrides, ErrorsNameTheFilter) {
  auto routes = Routes(absl::StrCat(R"(virtual_hosts { name: "v" domains: "*" )",
                                    Override("x", "router.v3.Router", ""), "}"));
  EXPECT_TRUE(
      absl::StartsWith(routes.status().message(),
                       "virtual_hosts[0].typed_per_filter_config[x]: unsupported filter config "))
      << routes.status();
}

// ---- Routes.

absl::StatusOr<Route> OneRoute(const std::string& route, const Secrets& secrets = {}) {
  auto routes = Routes(
      absl::StrCat(R"(virtual_hosts { name: "v" domains: "*" routes { match { prefix: "/" } )",
                   route, "} }"),
      secrets);
  if (!routes.ok()) return routes.status();
  return (*routes)->virtual_hosts[0].routes[0];
}

TEST(CompileRoute, ForwardFields) {
  auto route = OneRoute(R"(route { cluster: "c" append_x_forwarded_host: true
      host_rewrite_path_regex { pattern { regex: "^/(.+)/.*" } substitution: "\\1" }
      max_stream_duration { max_stream_duration { seconds: 1 } grpc_timeout_header_max { seconds: 2 }
        grpc_timeout_header_offset { nanos: 5000000 } }
      idle_timeout { seconds: 3 } timeout {}
      metadata_match { filter_metadata { key: "envoy.lb" value { fields { key: "v" value { string_value: "1" } } } } }
      hash_policy { header { header_name: "X-H" regex_rewrite { pattern { regex: "a" } substitution: "b" } } }
      hash_policy { cookie { name: "k" ttl { seconds: 60 } path: "/p" attributes { name: "Secure" }
        attributes { name: "SameSite" value: "None" } } terminal: true }
      request_mirror_policies { cluster: "m" runtime_fraction { default_value { numerator: 5 denominator: TEN_THOUSAND } } }
      retry_policy { retry_on: "5xx,envoy-ratelimited" rate_limited_retry_back_off { reset_headers { name: "Retry-After" }
        reset_headers { name: "x-reset" format: UNIX_TIMESTAMP } max_interval { seconds: 30 } }
        retry_host_predicate { name: "envoy.retry_host_predicates.previous_hosts" } } })");
  ASSERT_TRUE(route.ok()) << route.status();
  const auto& forward = std::get<ForwardAction>(route->action);
  EXPECT_TRUE(forward.append_x_forwarded_host);
  EXPECT_TRUE(forward.host_rewrite_path.has_value());
  EXPECT_EQ(forward.max_stream_duration, absl::Seconds(1));
  EXPECT_EQ(forward.grpc_timeout_max, absl::Seconds(2));
  EXPECT_EQ(forward.grpc_timeout_offset, absl::Milliseconds(5));
  EXPECT_EQ(forward.idle_timeout, absl::Seconds(3));
  EXPECT_EQ(forward.timeout, absl::InfiniteDuration());
  ASSERT_EQ(forward.clusters[0].subset.size(), 1u);
  EXPECT_EQ(forward.clusters[0].subset[0].second, "\"1\"");
  EXPECT_TRUE(forward.hash_policies[0].regex_rewrite.has_value());
  EXPECT_EQ(forward.hash_policies[1].cookie_attributes, "; Secure; SameSite=None");
  EXPECT_EQ(forward.hash_policies[1].cookie_ttl, absl::Minutes(1));
  ASSERT_EQ(forward.mirrors.size(), 1u);
  EXPECT_EQ(forward.mirrors[0].share.denominator, 10'000u);
  ASSERT_EQ(forward.retry->reset_headers.size(), 2u);
  EXPECT_EQ(forward.retry->reset_headers[0].name, "retry-after");
  EXPECT_TRUE(forward.retry->reset_headers[1].unix_timestamp);
  EXPECT_EQ(forward.retry->most_reset, absl::Seconds(30));
  EXPECT_NE(forward.retry->retry_on & kRetryOnEnvoyRateLimited, 0u);
}

TEST(CompileRoute, ErrorsNameTheField) {
  const struct {
    const char* route;
    const char* error;
  } cases[] = {
      {"route { cluster: 'c' rate_limits {} }", "route.rate_limits: is not supported"},
      {"route { cluster: 'c' cors {} }", "route.cors: give it as"},
      {"route { cluster: 'c' internal_redirect_policy {} }", "route.internal_redirect_policy: is"},
      {"route { cluster: 'c' upgrade_configs {} }", "route.upgrade_configs[0]: is not supported"},
      {"route { cluster_specifier_plugin: 'p' }", "route.cluster_specifier_plugin: is not"},
      {"route { cluster: 'c' retry_policy { retry_priority {} } }",
       "route.retry_policy.retry_priority: is not supported"},
      {"route { cluster: 'c' retry_policy { retry_host_predicate { name: 'canary' } } }",
       "route.retry_policy.retry_host_predicate[0]: unsupported predicate 'canary'"},
      {"route { cluster: 'c' retry_policy { rate_limited_retry_back_off {} } }",
       "route.retry_policy.rate_limited_retry_back_off.reset_headers: must not be empty"},
      {"route { cluster: 'c' request_mirror_policies {} }",
       "route.request_mirror_policies[0]: needs one of cluster"},
      {"route { weighted_clusters { clusters { name: 'a' weight { value: 1 } } use_hash_policy { "
       "value: true } } }",
       "route.weighted_clusters.use_hash_policy: is not supported"},
      {"direct_response { status: 200 body { filename: 'f' } }",
       "direct_response.body.filename: files are not read"},
  };
  for (const auto& c : cases) {
    auto route = OneRoute(c.route);
    ASSERT_FALSE(route.ok()) << c.error;
    EXPECT_TRUE(absl::StartsWith(route.status().message(),
                                 absl::StrCat("virtual_hosts[0].routes[0].", c.error)))
        << route.status();
  }
  EXPECT_TRUE(absl::StartsWith(Routes("vhds {}").status().message(), "vhds: is not supported"));
  EXPECT_TRUE(absl::StartsWith(
      Routes("virtual_hosts { name: 'v' domains: '*' rate_limits {} }").status().message(),
      "virtual_hosts[0].rate_limits: is not supported"));
}

TEST(CompileRoute, TheRuntimeGoesBeforeTheDefault) {
  Secrets secrets;
  secrets.runtime.values["k"] = {"3", "7"};  // of two layers
  secrets.runtime.values["f.numerator"] = {"3", ""};
  secrets.runtime.values["f.denominator"] = {"MILLION", ""};
  secrets.read_file = [](const std::string& path) -> absl::StatusOr<std::string> { return path; };
  auto routes = Routes(R"(virtual_hosts { name: "v" domains: "*"
      routes { match { prefix: "/" runtime_fraction { runtime_key: "k" default_value { numerator: 50 } } }
        direct_response { status: 200 body { filename: "file" } } }
      routes { match { prefix: "/" runtime_fraction { runtime_key: "f" } } redirect {} }
      routes { match { prefix: "/" runtime_fraction { runtime_key: "none" default_value { numerator: 50 } } } redirect {} } })",
                       secrets);
  ASSERT_TRUE(routes.ok()) << routes.status();
  const auto& list = (*routes)->virtual_hosts[0].routes;
  EXPECT_EQ(list[0].match.share.numerator, 7u);
  EXPECT_EQ(std::get<DirectResponse>(list[0].action).body, "file");
  EXPECT_EQ(list[1].match.share.denominator, 1'000'000u);
  EXPECT_EQ(list[2].match.share.numerator, 50u);
}

TEST(CompileRoute, VirtualHostFieldsReachTheirRoutes) {
  auto routes = Routes(R"(internal_only_headers: "X-In"
      virtual_hosts { name: "v" domains: "*" require_tls: ALL
        include_request_attempt_count: true include_attempt_count_in_response: true
        request_mirror_policies { cluster: "m" }
        routes { match { prefix: "/" } route { cluster_header: "X-To" } } })");
  ASSERT_TRUE(routes.ok()) << routes.status();
  EXPECT_EQ((*routes)->internal_only_headers, std::vector<std::string>{"x-in"});
  const Route& route = (*routes)->virtual_hosts[0].routes[0];
  EXPECT_EQ(route.require_tls, RequireTls::kAll);
  EXPECT_EQ(route.virtual_host, "v");
  EXPECT_TRUE(route.attempt_count_in_request && route.attempt_count_in_response);
  const auto& forward = std::get<ForwardAction>(route.action);
  EXPECT_EQ(forward.mirrors[0].cluster, "m");
  EXPECT_EQ(forward.cluster_header, "x-to");
  EXPECT_EQ((*routes)->clusters, std::vector<std::string>{"m"});
}

// ---- ext_authz.

const ExtAuthzConfig& AuthzOf(const HttpFilter& filter) {
  return *std::get<ExtAuthzFilterConfig>(*filter.config).authz;
}

constexpr char kAuthzOverHttp[] =
    "http_service { server_uri { uri: 'http://a.example' cluster: 'a' } } ";

TEST(CompileExtAuthz, TakesEitherService) {
  const auto manager = Manager(absl::StrCat(
      Filter(
          "h", "ext_authz.v3.ExtAuthz",
          "http_service { server_uri { uri: 'http://a.example' cluster: 'a' timeout { seconds: "
          "600 } } path_prefix: '/p' authorization_request { allowed_headers { patterns { exact: "
          "'X-Old' } } } authorization_response { allowed_client_headers { patterns { prefix: "
          "'x-' } } } } failure_mode_allow: true status_on_error { code: ServiceUnavailable } "
          "with_request_body { max_request_bytes: 9 allow_partial_message: true } "
          "clear_route_cache: true"),
      Filter("g", "ext_authz.v3.ExtAuthz",
             "grpc_service { envoy_grpc { cluster_name: 'b' } } stat_prefix: 's'")));
  ASSERT_TRUE(manager.ok()) << manager.status();
  const ExtAuthzConfig& http = AuthzOf(manager->filters.at(0));
  EXPECT_EQ(http.cluster, "a");
  EXPECT_EQ(http.timeout, absl::Seconds(600));
  EXPECT_TRUE(http.told_headers->Has("x-old"));
  EXPECT_TRUE(http.told_headers->Has("X-OLD"));
  EXPECT_FALSE(http.told_headers->Has("x-older"));
  EXPECT_EQ(http.most_body, 9);
  EXPECT_TRUE(http.partial_body && http.allow_on_error && http.clear_route_cache);
  EXPECT_EQ(http.status_on_error, 503);
  const auto& service = std::get<ExtAuthzConfig::Http>(http.service);
  EXPECT_EQ(service.path_prefix, "/p");
  EXPECT_TRUE(service.client->Has("x-any"));
  const ExtAuthzConfig& grpc = AuthzOf(manager->filters.at(1));
  EXPECT_EQ(std::get<ExtAuthzConfig::Grpc>(grpc.service).authority, "b");
  EXPECT_EQ(grpc.timeout, absl::Milliseconds(200));
  EXPECT_EQ(grpc.stat_prefix, "s");
  EXPECT_FALSE(grpc.told_headers.has_value());
}

TEST(CompileExtAuthz, NamesTheFieldThatIsWrong) {
  const struct {
    std::string config;
    const char* field;
  } rows[] = {
      {"", "needs one of grpc_service, http_service"},
      {"grpc_service { }", "grpc_service.envoy_grpc.cluster_name"},
      {"http_service { server_uri { uri: 'http://a' } }", "http_service.server_uri.cluster"},
      {"http_service { server_uri { uri: 'a' cluster: 'a' } }", "http_service.server_uri.uri"},
      {"http_service { server_uri { uri: 'http://a' cluster: 'a' } path_prefix: 'p' }",
       "http_service.path_prefix"},
      {"http_service { server_uri { uri: 'http://a' cluster: 'a' timeout { } } }",
       "http_service.server_uri.timeout"},
      {"http_service { server_uri { uri: 'http://a' cluster: 'a' } authorization_request { "
       "headers_to_add { key: 'host' value: 'x' } } }",
       "headers_to_add[0]"},
      {absl::StrCat(kAuthzOverHttp, "with_request_body { }"),
       "with_request_body.max_request_bytes"},
      {absl::StrCat(kAuthzOverHttp, "status_on_error { code: Continue }"), "status_on_error.code"},
      {absl::StrCat(kAuthzOverHttp, "include_peer_certificate: true"), "include_peer_certificate"},
      {absl::StrCat(kAuthzOverHttp, "allowed_headers { patterns { } }"),
       "allowed_headers.patterns[0]"},
      {absl::StrCat(kAuthzOverHttp,
                    "filter_enabled_metadata { filter: 'other' path { key: 'k' } "
                    "value { present_match: true } }"),
       "filter_enabled_metadata.filter"},
      {absl::StrCat(kAuthzOverHttp,
                    "filter_enabled_metadata { filter: 'envoy.filters.http.rbac' "
                    "path { key: 'k' } }"),
       "filter_enabled_metadata.value"},
  };
  for (const auto& row : rows) {
    const auto manager = Manager(Filter("f", "ext_authz.v3.ExtAuthz", row.config));
    ASSERT_FALSE(manager.ok()) << row.config;
    EXPECT_TRUE(absl::StrContains(manager.status().message(), row.field)) << manager.status();
  }
}

TEST(CompileExtAuthz, LevelsOfRoutesAreJoined) {
  const auto routes = Routes(
      absl::StrCat("name: 'r' virtual_hosts { name: 'v' domains: '*' ",
                   Override("a", "ext_authz.v3.ExtAuthzPerRoute",
                            "check_settings { context_extensions { key: 'x' value: 'general' } "
                            "context_extensions { key: 'y' value: 'general' } }"),
                   "routes { match { prefix: '/off' } route { cluster: 'c' } ",
                   Override("a", "ext_authz.v3.ExtAuthzPerRoute", "disabled: true"),
                   "} routes { match { prefix: '/' } route { cluster: 'c' } ",
                   Override("a", "ext_authz.v3.ExtAuthzPerRoute",
                            "check_settings { context_extensions { key: 'x' value: 'own' } }"),
                   "} }"));
  ASSERT_TRUE(routes.ok()) << routes.status();
  const auto& all = (*routes)->virtual_hosts.at(0).routes;
  const auto of = [](const Route& route) {
    return std::get<ExtAuthzFilterConfig>(*FindOverride(route.filters, "a")->config).route;
  };
  EXPECT_TRUE(of(all.at(0))->disabled);
  EXPECT_EQ(of(all.at(1))->context_extensions,
            (std::map<std::string, std::string>{{"x", "own"}, {"y", "general"}}));
}

}  // namespace
}  // namespace weft
