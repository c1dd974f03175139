#include "proxy/config/compile.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/route.pb.h"
#include "api/envoy/router.pb.h"
#include "api/envoy/sni_cluster.pb.h"
#include "api/envoy/tcp_proxy.pb.h"
#include "api/envoy/tls.pb.h"
#include "api/envoy/tls_inspector.pb.h"
#include "proxy/config/secrets.h"

namespace weft {
namespace {

template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

constexpr char kAddress[] =
    R"(name: "l" address { socket_address { address: "0.0.0.0" port_value: 80 } } )";
constexpr char kTcp[] = R"(filters { name: "tcp" typed_config {
    [type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy] { cluster: "c" } } } )";

absl::StatusOr<std::shared_ptr<const ListenerConfig>> Listener(const std::string& text) {
  return CompileListener(FromText<envoy::config::listener::v3::Listener>(text), Secrets{});
}

absl::StatusOr<std::shared_ptr<const RouteTable>> Routes(const std::string& text) {
  return CompileRoutes(FromText<envoy::config::route::v3::RouteConfiguration>(text), Secrets{});
}

std::string HttpChain(const std::string& manager) {
  return absl::StrCat(R"(filter_chains { filters { name: "hcm" typed_config {
      [type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager] { )",
                      manager, " } } } }");
}

constexpr char kRouter[] = R"(http_filters { name: "r" typed_config {
    [type.googleapis.com/envoy.extensions.filters.http.router.v3.Router] {} } } )";

TEST(CompileListener, ErrorsNameTheField) {
  const struct {
    std::string text;
    const char* error;
  } cases[] = {
      {R"(name: "l")", "address: needs one of"},
      {R"(address { socket_address { address: "host" port_value: 80 } })",
       "address.socket_address.address: 'host' is not an IP address"},
      {R"(address { socket_address { address: "::" port_value: 70000 } })",
       "address.socket_address.port_value: 70000 is above 65535"},
      {kAddress, "filter_chains: must not be empty"},
      {absl::StrCat(kAddress, "filter_chains {}"), "filter_chains[0].filters: must not be empty"},
      {absl::StrCat(kAddress, "filter_chains { ", kTcp,
                    "} filter_chains { filters { name: 'envoy.filters.network.mongo_proxy' } ",
                    kTcp, "}"),
       "filter_chains[1].filters[0]: unsupported filter 'envoy.filters.network.mongo_proxy'"},
      {absl::StrCat(kAddress, "default_filter_chain { filter_chain_match { source_ports: 0 } ",
                    kTcp, "}"),
       "default_filter_chain.filter_chain_match.source_ports[0]: must be 1 to 65535"},
      {absl::StrCat(kAddress, "filter_chains { filter_chain_match { address_suffix: 'x' } ", kTcp,
                    "}"),
       "filter_chains[0].filter_chain_match.address_suffix: is not supported"},
      {absl::StrCat(kAddress, "socket_options { level: 1 name: 2 } filter_chains { ", kTcp, "}"),
       "socket_options[0]: needs one of int_value, buf_value"},
      {absl::StrCat(kAddress, "additional_addresses {} filter_chains { ", kTcp, "}"),
       "additional_addresses[0].address: needs one of"},
      {absl::StrCat(kAddress, "listener_filters { name: 'x' } filter_chains { ", kTcp, "}"),
       "listener_filters[0]: unsupported filter 'x'"},
      {absl::StrCat(kAddress, HttpChain("")), "filter_chains[0].filters[0]: needs one of rds"},
      {absl::StrCat(kAddress, HttpChain("rds { route_config_name: 'x' }")),
       "filter_chains[0].filters[0].http_filters: must hold the router"},
      {absl::StrCat(kAddress, HttpChain(absl::StrCat("rds { route_config_name: 'x' } "
                                                     "http_filters { name: 'lua' } ",
                                                     kRouter))),
       "filter_chains[0].filters[0].http_filters[0]: unsupported filter 'lua'"},
      {absl::StrCat(kAddress, HttpChain(absl::StrCat(
                                  "route_config { virtual_hosts { name: 'v' } } ", kRouter))),
       "filter_chains[0].filters[0].route_config.virtual_hosts[0].domains: must not be empty"},
      {absl::StrCat(kAddress,
                    HttpChain(absl::StrCat("rds { route_config_name: 'x' } max_request_headers_kb "
                                           "{ value: 9000 } ",
                                           kRouter))),
       "filter_chains[0].filters[0].max_request_headers_kb: must be 1 to 8192"},
  };
  for (const auto& c : cases) {
    auto listener = Listener(c.text);
    ASSERT_FALSE(listener.ok()) << c.error;
    EXPECT_TRUE(absl::StartsWith(listener.status().message(), c.error)) << listener.status();
  }
}

TEST(CompileListener, TheGatewaysChainTakesTheServerNameAsCluster) {
  auto listener = Listener(absl::StrCat(kAddress, R"(
      listener_filters { name: "tls" typed_config {
        [type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector] {} } }
      filter_chains { filter_chain_match { transport_protocol: "tls" server_names: "*.Example.org" }
        filters { name: "sni" typed_config {
          [type.googleapis.com/envoy.extensions.filters.network.sni_cluster.v3.SniCluster] {} } } )",
                                        kTcp, "}"));
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ((*listener)->filters, std::vector{ListenerFilter::kTlsInspector});
  const FilterChainConfig& chain = (*listener)->chains[0];
  EXPECT_EQ(chain.match.server_names, std::vector<std::string>{".example.org"});
  EXPECT_TRUE(std::get<TcpProxyConfig>(chain.service).sni_cluster);
  EXPECT_EQ((*listener)->clusters, std::vector<std::string>{"c"});
}

TEST(CompileListener, HttpSettings) {
  auto listener = Listener(
      absl::StrCat(kAddress, HttpChain(absl::StrCat(R"(stat_prefix: "s" stream_idle_timeout {}
          forward_client_cert_details: SANITIZE_SET
          set_current_client_cert_details { subject { value: true } uri: true }
          normalize_path { value: true } merge_slashes: true
          rds { route_config_name: "80" } )",
                                                    kRouter))));
  ASSERT_TRUE(listener.ok()) << listener.status();
  const auto& http = std::get<HttpManagerConfig>((*listener)->chains[0].service);
  EXPECT_EQ(http.stream_idle_timeout, absl::InfiniteDuration());
  EXPECT_EQ(http.forward_client_cert, ForwardClientCert::kSanitizeSet);
  EXPECT_TRUE(http.client_cert_details.uri && http.client_cert_details.subject);
  EXPECT_TRUE(http.path.normalize && http.path.merge_slashes);
  EXPECT_EQ((*listener)->route_names, std::vector<std::string>{"80"});
}

TEST(CompileListener, AMissingSecretIsToBeWaitedFor) {
  auto listener = Listener(absl::StrCat(kAddress, "filter_chains { ", kTcp, R"(
      transport_socket { name: "tls" typed_config {
        [type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext] {
          common_tls_context { tls_certificate_sds_secret_configs { name: "default" } } } } } })"));
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(listener.status().message(), "'default'")) << listener.status();
}

TEST(CompileListener, AFileIsReadOnlyByTheReaderGiven) {
  const std::string text = absl::StrCat(kAddress, "filter_chains { ", kTcp, R"(
      transport_socket { name: "tls" typed_config {
        [type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext] {
          common_tls_context { tls_certificates {
            certificate_chain { filename: "c.pem" } private_key { filename: "k.pem" } } } } } } })");
  EXPECT_TRUE(absl::StrContains(Listener(text).status().message(),
                                "tls_certificates[0].certificate_chain.filename: files are not"));
  Secrets secrets;
  std::vector<std::string> read;
  secrets.read_file = [&](const std::string& path) -> absl::StatusOr<std::string> {
    read.push_back(path);
    return std::string("not PEM");
  };
  EXPECT_FALSE(
      CompileListener(FromText<envoy::config::listener::v3::Listener>(text), secrets).ok());
  EXPECT_EQ(read, (std::vector<std::string>{"c.pem", "k.pem"}));
}

TEST(CompileRoutes, ErrorsNameTheField) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {R"(virtual_hosts { name: "v" domains: "A" } virtual_hosts { name: "w" domains: "a" })",
       "virtual_hosts[1].domains[0]: 'a' is the domain of another"},
      {R"(virtual_hosts { name: "v" domains: "*" domains: "*" })",
       "virtual_hosts[0].domains[1]: '*'"},
      {R"(virtual_hosts { name: "v" domains: "a*b" })", "virtual_hosts[0].domains[0]: 'a*b'"},
      {R"(virtual_hosts { name: "v" domains: "" })", "virtual_hosts[0].domains[0]: ''"},
      {R"(virtual_hosts { name: "v" domains: "a" routes { } })",
       "virtual_hosts[0].routes[0].match: needs one of prefix"},
      {R"(virtual_hosts { name: "v" domains: "a" routes { match { prefix: "/" } } })",
       "virtual_hosts[0].routes[0]: needs one of route"},
      {R"(virtual_hosts { name: "v" domains: "a" routes { match { safe_regex { regex: "(" } } } })",
       "virtual_hosts[0].routes[0].match.safe_regex.regex: '(' does not compile"},
      {R"(virtual_hosts { name: "v" domains: "a" routes { match { prefix: "/" }
          route { weighted_clusters { clusters { name: "a" } } } } })",
       "virtual_hosts[0].routes[0].route.weighted_clusters: the weights must not sum to 0"},
      {R"(virtual_hosts { name: "v" domains: "a" routes { match { prefix: "/" } route { cluster: "a" }
          request_headers_to_add { header { key: "x" value: "%REQUEST(y)%" } } } })",
       "virtual_hosts[0].routes[0].request_headers_to_add[0].header.value: 'REQUEST(y)': is not a"},
      {R"(request_headers_to_add { header { key: "Host" value: "x" } })",
       "request_headers_to_add[0].header.key: 'Host' cannot be added"},
      {R"(virtual_hosts { name: "v" domains: "a" routes { match { prefix: "/" }
          direct_response { status: 100 } } })",
       "virtual_hosts[0].routes[0].direct_response.status: must be"},
  };
  for (const auto& c : cases) {
    auto routes = Routes(c.text);
    ASSERT_FALSE(routes.ok()) << c.error;
    EXPECT_TRUE(absl::StartsWith(routes.status().message(), c.error)) << routes.status();
  }
}

TEST(CompileRoutes, LevelsAboveGiveWhatTheRouteLeavesOpen) {
  auto routes = Routes(R"(
      request_headers_to_add { header { key: "x" value: "config" } }
      virtual_hosts { name: "v" domains: "a" retry_policy { retry_on: "5xx" num_retries { value: 7 } }
        request_headers_to_add { header { key: "x" value: "100%%" } }
        routes { match { prefix: "/a" } route { cluster: "b" timeout {} }
          request_headers_to_add { header { key: "x" value: "route" } } }
        routes { match { prefix: "/" } route { cluster: "a" retry_policy { retry_on: "reset" } } } })");
  ASSERT_TRUE(routes.ok()) << routes.status();
  const std::vector<Route>& list = (*routes)->virtual_hosts[0].routes;
  ASSERT_EQ(list[0].request_headers.add.size(), 3u);
  EXPECT_EQ(list[0].request_headers.add[0].value, "route");
  EXPECT_EQ(list[0].request_headers.add[1].value, "100%");
  EXPECT_EQ(list[0].request_headers.add[2].value, "config");
  EXPECT_EQ(std::get<ForwardAction>(list[0].action).retry->num_retries, 7u);
  EXPECT_EQ(std::get<ForwardAction>(list[0].action).timeout, absl::InfiniteDuration());
  EXPECT_EQ(std::get<ForwardAction>(list[1].action).retry->num_retries, 1u);
  EXPECT_EQ(std::get<ForwardAction>(list[1].action).timeout, absl::Seconds(15));
  EXPECT_EQ((*routes)->clusters, (std::vector<std::string>{"a", "b"}));
}

TEST(CompileCluster, PrioritiesWeightsAndTheSourceAddress) {
  auto cluster = CompileCluster(FromText<envoy::config::cluster::v3::Cluster>(R"(
      name: "inbound|80||" lb_policy: RING_HASH
      upstream_bind_config {
        source_address { address: "127.0.0.6" port_value: 0 }
        extra_source_addresses { address { address: "::6" port_value: 0 } }
      }
      circuit_breakers { thresholds { max_retries { value: 9 } } }
      load_assignment {
        endpoints { priority: 1 lb_endpoints { endpoint { address { socket_address {
          address: "10.0.0.1" port_value: 80 } } } load_balancing_weight { value: 3 } } }
        endpoints { lb_endpoints { endpoint { address { socket_address {
          address: "10.0.0.2" port_value: 80 } } } } } })"),
                                nullptr, Secrets{});
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const auto source_for = [&](const char* endpoint) {
    return SourceFor(**cluster, *Address::Parse(endpoint))->ToString();
  };
  EXPECT_EQ(source_for("10.0.0.1:80"), "127.0.0.6:0");
  EXPECT_EQ(source_for("[fd00::1]:80"), "[::6]:0");
  EXPECT_FALSE(SourceFor(**cluster, *Address::Parse("unix:/run/app.sock")).has_value());
  EXPECT_EQ((*cluster)->limits.max_retries, 9u);
  const EndpointSet& set = *(*cluster)->endpoints;
  ASSERT_EQ(set.priorities.size(), 2u);
  EXPECT_EQ(set.endpoints[set.priorities[1].localities[0].first].weight, 3u);
  ASSERT_EQ(set.tables.size(), 2u);
  EXPECT_EQ(set.tables[1]->ring.size(), 1024u);
}

TEST(CompileCluster, BalancingOutliersChecksAndLimits) {
  auto compiled = CompileCluster(FromText<envoy::config::cluster::v3::Cluster>(R"(
      name: "a" lb_policy: LEAST_REQUEST
      least_request_lb_config { choice_count { value: 3 } slow_start_config {
        slow_start_window { seconds: 60 } aggression { default_value: 2 } } }
      common_lb_config { zone_aware_lb_config { routing_enabled { value: 50 } } }
      circuit_breakers {
        thresholds { max_requests { value: 7 } }
        thresholds { priority: HIGH max_requests { value: 9 }
                     retry_budget { budget_percent { value: 30 } } } }
      outlier_detection { consecutive_5xx { value: 3 } interval { seconds: 1 }
        enforcing_consecutive_gateway_failure { value: 100 } }
      health_checks { timeout { seconds: 1 } interval { seconds: 5 }
        unhealthy_threshold { value: 2 } healthy_threshold { value: 3 }
        http_health_check { path: "/ok" expected_statuses { start: 200 end: 300 } } }
      lb_subset_config { fallback_policy: ANY_ENDPOINT subset_selectors { keys: "version" } }
      load_assignment { endpoints {
        lb_endpoints { endpoint { address { socket_address { address: "10.0.0.1" port_value: 80 } } }
          metadata { filter_metadata { key: "envoy.lb" value {
            fields { key: "version" value { string_value: "1" } } } } } } } })"),
                                 nullptr, Secrets{});
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  const ClusterConfig& cluster = **compiled;
  EXPECT_EQ(cluster.options->choice_count, 3u);
  EXPECT_EQ(cluster.options->slow_start.window, absl::Seconds(60));
  EXPECT_EQ(cluster.options->slow_start.aggression, 2);
  EXPECT_EQ(cluster.options->zone_aware->routing_enabled, 0.5);
  EXPECT_EQ(cluster.limits.max_requests, 7u);
  EXPECT_EQ(cluster.high_limits.max_requests, 9u);
  EXPECT_EQ(cluster.high_limits.retry_budget->percent, 30);
  EXPECT_EQ(cluster.outlier->consecutive_5xx, 3u);
  EXPECT_EQ(cluster.outlier->enforcing_consecutive_gateway_failure, 100u);
  EXPECT_EQ(cluster.outlier->base_ejection_time, absl::Seconds(30));
  EXPECT_EQ(cluster.health_check->path, "/ok");
  EXPECT_EQ(cluster.health_check->expected_statuses, (std::vector<StatusRange>{{200, 299}}));
  EXPECT_EQ(cluster.endpoints->endpoints[0].checked, CheckedHealth::kFailing) << "until checked";
  const Subsets& subsets = *cluster.endpoints->subsets;
  EXPECT_EQ(subsets.by_hash.count(MakeSubsetCriteria({{"version", "\"1\""}}).hash), 1u);

  auto checked = WithHealth(*compiled, {{"10.0.0.1:80", CheckedHealth::kPassing}});
  EXPECT_EQ(checked->endpoints->endpoints[0].checked, CheckedHealth::kPassing);
  EXPECT_EQ(WithHealth(checked, {{"10.0.0.1:80", CheckedHealth::kPassing}}), checked) << "known";
}

TEST(CompileCluster, WhatStatesNothingSharesItsOptions) {
  auto a = CompileCluster(FromText<envoy::config::cluster::v3::Cluster>("name: 'a'"), nullptr, {});
  auto b = CompileCluster(FromText<envoy::config::cluster::v3::Cluster>("name: 'b'"), nullptr, {});
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ((*a)->options, (*b)->options);
  EXPECT_EQ((*a)->outlier, nullptr);
}

TEST(CompileCluster, ErrorsNameTheField) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"", "name: must not be empty"},
      {R"(name: "a" cluster_type { name: "redis" })",
       "cluster_type: unsupported cluster type 'redis'"},
      {R"(name: "a" lb_policy: LOAD_BALANCING_POLICY_CONFIG)", "lb_policy: unsupported policy"},
      {R"(name: "a" load_balancing_policy { policies { typed_extension_config { name: "x" } } })",
       "load_balancing_policy: none of its policies is supported"},
      {R"(name: "a" lb_policy: MAGLEV maglev_lb_config { table_size { value: 100 } })",
       "maglev_lb_config.table_size: must be a prime"},
      {R"(name: "a" ring_hash_lb_config { hash_function: MURMUR_HASH_2 })",
       "ring_hash_lb_config.hash_function: only XX_HASH"},
      {R"(name: "a" least_request_lb_config { choice_count { value: 1 } })",
       "least_request_lb_config.choice_count: must be at least 2"},
      {R"(name: "a" round_robin_lb_config { slow_start_config { } })",
       "round_robin_lb_config.slow_start_config.slow_start_window: must be above 0"},
      {R"(name: "a" lb_subset_config { subset_selectors { } })",
       "lb_subset_config.subset_selectors[0].keys: must not be empty"},
      {R"(name: "a" lb_subset_config { subset_selectors { keys: "k" fallback_policy: KEYS_SUBSET
          fallback_keys_subset: "k" } })",
       "lb_subset_config.subset_selectors[0].fallback_keys_subset: must be some"},
      {R"(name: "a" outlier_detection { enforcing_success_rate { value: 101 } })",
       "outlier_detection.enforcing_success_rate: must be 0 to 100"},
      {R"(name: "a" outlier_detection { interval { } })",
       "outlier_detection.interval: must be above 0"},
      {R"(name: "a" circuit_breakers { per_host_thresholds { } })",
       "circuit_breakers.per_host_thresholds: are not supported"},
      {R"(name: "a" health_checks { })", "health_checks[0].timeout: must be above 0"},
      {R"(name: "a" health_checks { timeout { seconds: 1 } interval { seconds: 1 }
          unhealthy_threshold { value: 1 } healthy_threshold { value: 1 } })",
       "health_checks[0]: needs one of"},
      {R"(name: "a" health_checks { timeout { seconds: 1 } interval { seconds: 1 }
          unhealthy_threshold { value: 1 } healthy_threshold { value: 1 }
          http_health_check { path: "x" } })",
       "health_checks[0].http_health_check.path: must be a path"},
      {R"(name: "a" health_checks { timeout { seconds: 1 } interval { seconds: 1 }
          unhealthy_threshold { value: 1 } healthy_threshold { value: 1 }
          tcp_health_check { send { text: "zz" } } })",
       "health_checks[0].tcp_health_check.send.text: must be bytes in hexadecimal"},
      {R"(name: "a" common_lb_config { healthy_panic_threshold { value: 101 } })",
       "common_lb_config.healthy_panic_threshold: must be 0 to 100"},
      {R"(name: "a" transport_socket { name: "quic" })",
       "transport_socket: unsupported transport socket 'quic'"},
      {R"(name: "a" load_assignment { endpoints { lb_endpoints { } } })",
       "load_assignment.endpoints[0].lb_endpoints[0].endpoint: must be set"},
      {R"(name: "a" load_assignment { endpoints { priority: 1000 } })",
       "load_assignment.endpoints[0].priority: must be at most 128"},
      {R"(name: "a" type: STRICT_DNS dns_resolvers { })", "dns_resolvers: is not supported"},
      {R"(name: "a" type: STRICT_DNS dns_refresh_rate { })", "dns_refresh_rate: must be above 1ms"},
      {R"(name: "a" type: STRICT_DNS dns_failure_refresh_rate {
          base_interval { seconds: 9 } max_interval { seconds: 1 } })",
       "dns_failure_refresh_rate.max_interval: must not be below base_interval"},
      {R"(name: "a" type: LOGICAL_DNS)",
       "load_assignment.endpoints: a LOGICAL_DNS cluster needs exactly one"},
      {R"(name: "a" type: STRICT_DNS load_assignment { endpoints { lb_endpoints { endpoint {
          address { socket_address { port_value: 80 } } } } } })",
       "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address: needs a "
       "host"},
  };
  for (const auto& c : cases) {
    auto cluster =
        CompileCluster(FromText<envoy::config::cluster::v3::Cluster>(c.text), nullptr, Secrets{});
    ASSERT_FALSE(cluster.ok()) << c.error;
    EXPECT_TRUE(absl::StartsWith(cluster.status().message(), c.error)) << cluster.status();
  }
}

}  // namespace
}  // namespace weft
