#include "proxy/config/bootstrap.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include "api/envoy/bootstrap.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/http_protocol_options.pb.h"
#include "api/envoy/tcp_proxy.pb.h"
#include "api/envoy/tls.pb.h"
#include "api/yaml/yaml_to_message.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::envoy::config::bootstrap::v3::Bootstrap;
using ::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using ::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
using ::envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
using ::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
using ::testing::HasSubstr;

// What a file of an edge proxy commonly holds.
constexpr char kStaticFile[] = R"(
node: {id: edge-1, cluster: edge, locality: {region: eu, zone: a}}
admin:
  address:
    socket_address: {address: 127.0.0.1, port_value: 9901}
static_resources:
  listeners:
  - name: https
    address:
      socket_address: {address: 0.0.0.0, port_value: 8443, protocol: TCP}
    listener_filters:
    - name: envoy.filters.listener.tls_inspector
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector
    filter_chains:
    - filter_chain_match: {server_names: [shop.example, "*.shop.example"]}
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_params: {tls_minimum_protocol_version: TLSv1_2}
            tls_certificates:
            - certificate_chain: {filename: /etc/certs/server.pem}
              private_key: {filename: /etc/certs/server.key}
            validation_context:
              trusted_ca: {filename: /etc/certs/ca.pem}
              match_typed_subject_alt_names:
              - {san_type: URI, matcher: {prefix: "spiffe://example/"}}
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress_http
          codec_type: auto
          use_remote_address: true
          access_log:
          - name: envoy.access_loggers.stdout
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
              log_format: {text_format_source: {inline_string: "%PROTOCOL% %RESPONSE_CODE%\n"}}
          route_config:
            name: local
            virtual_hosts:
            - name: shop
              domains: ["*"]
              routes:
              - match: {prefix: /api, headers: [{name: x-v, string_match: {exact: "2"}}]}
                route:
                  cluster: api
                  timeout: 3s
                  prefix_rewrite: /
                  retry_policy: {retry_on: 5xx, num_retries: 2, per_try_timeout: 0.5s}
              - match: {safe_regex: {regex: "/item/[0-9]+"}}
                route:
                  weighted_clusters: {clusters: [{name: api, weight: 90}, {name: new, weight: 10}]}
              - match: {path: /old}
                redirect: {path_redirect: /new, response_code: PERMANENT_REDIRECT}
              - match: {prefix: /}
                direct_response: {status: 404, body: {inline_string: "nothing here"}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  - name: database
    address: {socket_address: {address: 127.0.0.1, port_value: 5432}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: db
          cluster: database
          idle_timeout: 3600s
  clusters:
  - name: api
    type: STRICT_DNS
    connect_timeout: 0.25s
    lb_policy: LEAST_REQUEST
    dns_lookup_family: V4_ONLY
    circuit_breakers: {thresholds: [{max_connections: 100, max_retries: 3}]}
    outlier_detection: {consecutive_5xx: 5, base_ejection_time: 30s}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {max_concurrent_streams: 100}}
    health_checks:
    - timeout: 1s
      interval: 5s
      unhealthy_threshold: 3
      healthy_threshold: 1
      http_health_check: {path: /healthz}
    load_assignment:
      cluster_name: api
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: api.internal, port_value: 8080}}}
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: api.internal
        common_tls_context: {validation_context: {trusted_ca: {filename: /etc/ssl/ca.pem}}}
  - name: database
    connect_timeout: 1s
    load_assignment:
      cluster_name: database
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 10.0.0.9, port_value: 5432}}}
layered_runtime:
  layers:
  - {name: static, static_layer: {overload: {global_downstream_max_connections: 50000}}}
)";

std::string Error(absl::string_view text) {
  const absl::StatusOr<Bootstrap> bootstrap = ParseBootstrap(text, "edge.yaml");
  return bootstrap.ok() ? "(accepted)" : std::string(bootstrap.status().message());
}

TEST(Bootstrap, ReadsATypicalStaticFile) {
  const absl::StatusOr<Bootstrap> bootstrap = ParseBootstrap(kStaticFile, "edge.yaml");
  ASSERT_TRUE(bootstrap.ok()) << bootstrap.status();
  EXPECT_EQ(bootstrap->node().locality().zone(), "a");
  EXPECT_EQ(bootstrap->admin().address().socket_address().port_value(), 9901u);
  ASSERT_EQ(bootstrap->static_resources().listeners_size(), 2);
  const auto& chain = bootstrap->static_resources().listeners(0).filter_chains(0);

  DownstreamTlsContext tls;
  ASSERT_TRUE(chain.transport_socket().typed_config().UnpackTo(&tls));
  EXPECT_TRUE(tls.require_client_certificate().value());
  EXPECT_EQ(tls.common_tls_context().tls_certificates(0).private_key().filename(),
            "/etc/certs/server.key");

  HttpConnectionManager http;
  ASSERT_TRUE(chain.filters(0).typed_config().UnpackTo(&http));
  const auto& routes = http.route_config().virtual_hosts(0).routes();
  ASSERT_EQ(routes.size(), 4);
  EXPECT_EQ(routes[0].route().retry_policy().per_try_timeout().nanos(), 500'000'000);
  EXPECT_EQ(routes[1].route().weighted_clusters().clusters(1).weight().value(), 10u);
  EXPECT_EQ(routes[2].redirect().path_redirect(), "/new");
  EXPECT_EQ(routes[3].direct_response().status(), 404u);

  TcpProxy tcp;
  ASSERT_TRUE(bootstrap->static_resources()
                  .listeners(1)
                  .filter_chains(0)
                  .filters(0)
                  .typed_config()
                  .UnpackTo(&tcp));
  EXPECT_EQ(tcp.cluster(), "database");

  const auto& api = bootstrap->static_resources().clusters(0);
  HttpProtocolOptions options;
  ASSERT_TRUE(api.typed_extension_protocol_options().begin()->second.UnpackTo(&options));
  EXPECT_TRUE(options.explicit_http_config().has_http2_protocol_options());
}

TEST(Bootstrap, ReadsTheSameAsJson) {
  const absl::StatusOr<Bootstrap> yaml = ParseBootstrap(kStaticFile, "edge.yaml");
  ASSERT_TRUE(yaml.ok()) << yaml.status();
  for (const bool pretty : {false, true}) {
    for (const JsonNames names : {JsonNames::kCamelCase, JsonNames::kSnakeCase}) {
      const std::string json = MessageToJson(*yaml, pretty, names);
      const absl::StatusOr<Bootstrap> again = ParseBootstrap(json, "edge.json");
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(MessageToJson(*again, pretty, names), json);
    }
  }
}

TEST(Bootstrap, ReadsTheDynamicPartOfASidecar) {
  const absl::StatusOr<Bootstrap> bootstrap = ParseBootstrap(R"({
    "node": {"id": "sidecar~10.0.0.1~a.b~b.svc.cluster.local", "metadata": {"CLUSTER_ID": "east"}},
    "dynamic_resources": {
      "lds_config": {"ads": {}, "resource_api_version": "V3"},
      "cds_config": {"ads": {}, "initial_fetch_timeout": "0s"},
      "ads_config": {"api_type": "DELTA_GRPC", "transport_api_version": "V3",
                     "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}]}}})",
                                                             "sidecar.json");
  ASSERT_TRUE(bootstrap.ok()) << bootstrap.status();
  EXPECT_EQ(
      bootstrap->dynamic_resources().ads_config().grpc_services(0).envoy_grpc().cluster_name(),
      "xds");
  EXPECT_TRUE(bootstrap->dynamic_resources().lds_config().has_ads());
}

TEST(Bootstrap, NamesFileAndLineOfWhatItRefuses) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"static_resources:\n  listners: []\n",
       "edge.yaml: static_resources.listners (line 2): unknown field; did you mean 'listeners'?"},
      {"static_resources:\n  clusters:\n  - transport_socket:\n      typed_config:\n"
       "        \"@type\": type.googleapis.com/acme.Socket\n",
       "edge.yaml: static_resources.clusters[0].transport_socket.typed_config (line 5): "
       "unknown type 'type.googleapis.com/acme.Socket'"},
      {"", "edge.yaml: expected one document, got 0"},
      {"node: {}\n---\nadmin: {}\n", "edge.yaml: expected one document, got 2"},
      {"just text", "edge.yaml: line 1: expected a mapping, got string 'just text'"},
  };
  for (const auto& c : cases) EXPECT_EQ(Error(c.text), c.error) << c.text;
  EXPECT_THAT(Error("node: {id: a\nadmin: ]"), HasSubstr("edge.yaml: line "));
}

TEST(Bootstrap, LoadsAFileAndSaysWhyItCannot) {
  const char* dir = std::getenv("TEST_TMPDIR");
  ASSERT_NE(dir, nullptr);
  const std::string path = std::string(dir) + "/bootstrap.yaml";
  std::ofstream(path) << kStaticFile;
  EXPECT_TRUE(LoadBootstrap(path).ok());

  const absl::Status missing = LoadBootstrap(path + ".none").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr(path + ".none"));
  EXPECT_FALSE(LoadBootstrap(dir).ok()) << "a directory";
}

}  // namespace
}  // namespace weft
