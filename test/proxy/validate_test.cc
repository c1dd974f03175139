// `weft-proxy --mode validate`: which bootstraps of Envoy's users are taken as they are, and which
// are refused by the name and the path of what is not supported. None is taken and then ignored.
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

using testing::HasSubstr;

// What the texts below leave out, to be read at a glance: $HCM{…} is an HTTP connection manager's
// filter with these fields, and so on.
std::string Expand(std::string text) {
  return absl::StrReplaceAll(
      text, {{"$ANY", "address: {socket_address: {address: 0.0.0.0, port_value: 10000}}"},
             {"$HCM",
              "name: envoy.filters.network.http_connection_manager, typed_config: {\"@type\": "
              "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."
              "HttpConnectionManager, stat_prefix: ingress_http"},
             {"$TCP",
              "name: envoy.filters.network.tcp_proxy, typed_config: {\"@type\": "
              "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, "
              "stat_prefix: tcp"},
             {"$ROUTER",
              "{name: envoy.filters.http.router, typed_config: {\"@type\": "
              "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}"},
             {"$ALL",
              "route_config: {name: local_route, virtual_hosts: [{name: all, domains: [\"*\"], "
              "routes: [{match: {prefix: \"/\"}, route: {cluster: some_service}}]}]}"},
             {"$CLUSTER",
              "{name: some_service, type: STRICT_DNS, lb_policy: ROUND_ROBIN, "
              "load_assignment: {cluster_name: some_service, endpoints: [{lb_endpoints: "
              "[{endpoint: {address: {socket_address: {address: localhost, port_value: "
              "1234}}}}]}]}}"},
             {"$HTTP", "type.googleapis.com/envoy.extensions.filters.http"},
             {"$NET", "type.googleapis.com/envoy.extensions.filters.network"},
             {"$TLS", "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"}});
}

// A listener with these HTTP filters in front of the router.
std::string WithFilter(const std::string& filter) {
  return absl::StrCat(
      "static_resources: {listeners: [{name: l, $ANY, filter_chains: [{filters: [{$HCM, $ALL, "
      "http_filters: [",
      filter, ", $ROUTER]}}]}]}], clusters: [$CLUSTER]}");
}

std::string Chain(const std::string& filters, const std::string& more = "") {
  return absl::StrCat("static_resources: {listeners: [{name: l, $ANY, filter_chains: [{", more,
                      "filters: [", filters, "]}]}], clusters: [$CLUSTER]}");
}

constexpr char kHttp[] = "{$HCM, $ALL, http_filters: [$ROUTER]}}";

RunResult Validate(const std::string& text) {
  return RunProxy({"--mode", "validate", "-c", WriteTestFile("bootstrap.yaml", Expand(text))});
}

TEST(Validate, TakesWhatEnvoysUsersWrite) {
  const std::pair<const char*, std::string> kCases[] = {
      {"front proxy", Chain(kHttp)},
      {"enums in any case, camelCase, durations and wrappers", R"(
          admin: {address: {socketAddress: {address: 127.0.0.1, portValue: 9901}}}
          staticResources: {clusters: [{name: c, type: static, connectTimeout: 0.25s,
            lbPolicy: least_request, circuitBreakers: {thresholds: [{maxConnections: 5}]},
            loadAssignment: {clusterName: c, endpoints: [{lbEndpoints: [{endpoint: {address:
              {socketAddress: {address: 10.0.0.1, portValue: 80}}}}]}]}}]})"},
      {"admin with what changes nothing", R"(
          admin: {access_log_path: /dev/null, profile_path: /tmp/p,
            address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
          flags_path: /etc/flags
          stats_flush_interval: 5s
          stats_config: {use_all_default_tags: true}
          static_resources: {})"},
      {"node and static runtime", R"(
          node: {id: a, cluster: b, metadata: {x: [1, y]}, locality: {region: r}}
          layered_runtime: {layers: [{name: static, static_layer: {a: 1, b: {c: true}}},
                                     {name: admin, admin_layer: {}}]}
          static_resources: {})"},
      {"tcp proxy", Chain("{$TCP, cluster: some_service}}")},
      {"tls origination", R"(
          static_resources: {clusters: [{name: c, type: LOGICAL_DNS, load_assignment:
            {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address:
              {address: example.org, port_value: 443}}}}]}]}, transport_socket:
            {name: envoy.transport_sockets.tls, typed_config: {"@type": $TLS.UpstreamTlsContext,
              sni: example.org}}}]})"},
      {"sni passthrough", R"(
          static_resources: {listeners: [{name: l, $ANY, listener_filters: [{name:
            envoy.filters.listener.tls_inspector, typed_config: {"@type":
            type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}],
            filter_chains: [{filter_chain_match: {server_names: [a.example]},
              filters: [{$TCP, cluster: some_service}}]}]}], clusters: [$CLUSTER]})"},
      {"direct response, redirect and weighted clusters", R"(
          static_resources: {listeners: [{name: l, $ANY, filter_chains: [{filters: [{$HCM,
            route_config: {name: r, virtual_hosts: [{name: v, domains: [a.example, "*.b.example"],
              routes: [{match: {path: /health}, direct_response: {status: 200, body:
                  {inline_string: ok}}},
                {match: {prefix: /old}, redirect: {path_redirect: /new, response_code: FOUND}},
                {match: {safe_regex: {regex: "/v[0-9]+/.*"}}, route: {weighted_clusters: {clusters:
                  [{name: some_service, weight: 90}, {name: some_service, weight: 10}]},
                  retry_policy: {retry_on: "5xx,connect-failure", num_retries: 2},
                  timeout: 3s}}]}]}, http_filters: [$ROUTER]}}]}]}], clusters: [$CLUSTER]})"},
      {"dynamic from files", R"(
          node: {id: a, cluster: b}
          dynamic_resources: {lds_config: {path_config_source: {path: /etc/envoy/lds.yaml}},
            cds_config: {path_config_source: {path: /etc/envoy/cds.yaml,
              watched_directory: {path: /etc/envoy}}}})"},
      {"delta ads", R"(
          node: {id: a, cluster: b}
          dynamic_resources: {ads_config: {api_type: DELTA_GRPC, transport_api_version: V3,
            set_node_on_first_message_only: true,
            grpc_services: [{envoy_grpc: {cluster_name: some_service}}]},
            cds_config: {ads: {}, resource_api_version: V3}, lds_config: {ads: {}}}
          static_resources: {clusters: [$CLUSTER]})"},
  };
  for (const auto& [name, text] : kCases) {
    const RunResult result = Validate(text);
    EXPECT_EQ(result.exit_code, 0) << name << "\n" << result.output;
    EXPECT_THAT(result.output, HasSubstr("OK")) << name;
  }
}

TEST(Validate, RefusesByTypeAndPathWhatIsNotSupported) {
  struct Case {
    std::string text;
    std::string place;
    std::string what;
  };
  const std::string filters =
      "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0]";
  const Case kCases[] = {
      {WithFilter("{name: lua, typed_config: {\"@type\": $HTTP.lua.v3.Lua}}"), filters,
       "lua.v3.Lua"},
      {WithFilter("{name: ext, typed_config: {\"@type\": $HTTP.ext_proc.v3.ExternalProcessor}}"), filters,
       "ext_proc.v3.ExternalProcessor"},
      {WithFilter("{name: wasm, typed_config: {\"@type\": $HTTP.wasm.v3.Wasm}}"), filters,
       "wasm.v3.Wasm"},
      {Chain("{name: redis, typed_config: {\"@type\": $NET.redis_proxy.v3.RedisProxy}}"),
       "static_resources.listeners[0].filter_chains[0].filters[0]", "redis_proxy.v3.RedisProxy"},
      {Chain(kHttp,
             "transport_socket: {name: quic, typed_config: {\"@type\": "
             "type.googleapis.com/envoy.extensions.transport_sockets.quic.v3."
             "QuicDownstreamTransport}}, "),
       "static_resources.listeners[0].filter_chains[0].transport_socket",
       "QuicDownstreamTransport"},
      {"static_resources: {clusters: [{name: c, lb_polcy: RANDOM}]}",
       "static_resources.clusters[0].lb_polcy", "unknown field"},
      {Chain("{$HCM, $ALL, http_filters: [$ROUTER], codec_tpye: AUTO}}"),
       "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.codec_tpye",
       "unknown field"},
      {Chain("{name: envoy.http_connection_manager, config: {stat_prefix: x}}"),
       "static_resources.listeners[0].filter_chains[0].filters[0].config", "unknown field"},
      {"layered_runtime: {layers: [{name: rtds, rtds_layer: {name: x}}]}",
       "layered_runtime.layers[0]", "static_layer"},
      {"stats_sinks: [{name: envoy.stat_sinks.statsd}]", "stats_sinks", "not supported"},
      {"admin: {allow_paths: [{exact: /ready}]}", "admin.allow_paths", "not supported"},
      {"dynamic_resources: {lds_config: {ads: {}}}", "dynamic_resources.lds_config.ads",
       "ads_config"},
      {"dynamic_resources: {cds_config: {api_config_source: {api_type: REST}}}",
       "dynamic_resources.cds_config.api_config_source.api_type", "GRPC"},
      {"dynamic_resources: {cds_config: {api_config_source: {api_type: GRPC, grpc_services: "
       "[{envoy_grpc: {cluster_name: nobody}}]}}}",
       "dynamic_resources.cds_config.api_config_source.grpc_services[0].envoy_grpc.cluster_name",
       "nobody"},
      {Chain("{$HCM, rds: {route_config_name: r, config_source: {ads: {}}}, http_filters: "
             "[$ROUTER]}}"),
       "listener 'l'", "route configuration 'r'"},
  };
  for (const Case& one : kCases) {
    const RunResult result = Validate(one.text);
    EXPECT_EQ(result.exit_code, 1) << one.text << "\n" << result.output;
    EXPECT_THAT(result.output, HasSubstr(one.place)) << one.text;
    EXPECT_THAT(result.output, HasSubstr(one.what)) << one.text;
  }
}

TEST(CommandLine, IsEnvoys) {
  const RunResult version = RunProxy({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.output, HasSubstr("weft-proxy"));
  const RunResult yaml =
      RunProxy({"--mode", "validate", "--config-yaml",
                "{admin: {address: {socket_address: {address: 127.0.0.1, "
                "port_value: 1}}}}",
                "--base-id", "3", "--parent-shutdown-time-s", "5", "--disable-hot-restart"});
  EXPECT_EQ(yaml.exit_code, 0) << yaml.output;
  const RunResult merged =
      RunProxy({"--mode", "validate", "-c", WriteTestFile("b.yaml", "node: {id: a}"),
                "--config-yaml", "{nod: {id: b}}"});
  EXPECT_EQ(merged.exit_code, 1);
  EXPECT_THAT(merged.output, HasSubstr("--config-yaml"));
}

TEST(CommandLine, TheAdminAddressIsWrittenToAFile) {
  const std::string path = WriteTestFile("admin-address", "");
  ProxyProcess proxy({HttpListener("in", FreePort(), RouteTo("up"))}, {Cluster("up", {1})},
                     {"--admin-address-path", path});
  std::string written;
  EXPECT_TRUE(Eventually([&] {
    FILE* file = fopen(path.c_str(), "r");
    char line[64] = {};
    if (file != nullptr) {
      written = fgets(line, sizeof(line), file) != nullptr ? line : "";
      fclose(file);
    }
    return !written.empty();
  }));
  EXPECT_EQ(written, absl::StrCat("127.0.0.1:", proxy.admin_port()));
}

}  // namespace
}  // namespace weft::test
