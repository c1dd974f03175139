#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/http_protocol_options.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/router.pb.h"
#include "proxy/config/compile.h"
#include "proxy/config/secrets.h"

namespace weft {
namespace {

using ClusterOr = absl::StatusOr<std::shared_ptr<const ClusterConfig>>;

// `config` is what HttpProtocolOptions holds.
ClusterOr Compile(absl::string_view config) {
  envoy::config::cluster::v3::Cluster cluster;
  cluster.set_name("c");
  envoy::extensions::upstreams::http::v3::HttpProtocolOptions options;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(std::string(config), &options));
  (*cluster.mutable_typed_extension_protocol_options())
      ["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
          .PackFrom(options);
  return CompileCluster(cluster, nullptr, Secrets{});
}

TEST(CompileHttp2, AClusterSaysHowItSpeaksIt) {
  const ClusterOr cluster = Compile(R"(explicit_http_config { http2_protocol_options {
      max_concurrent_streams { value: 7 } initial_stream_window_size { value: 70000 }
      allow_connect: true
      connection_keepalive { interval { seconds: 30 } timeout { seconds: 5 } } } })");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ((*cluster)->protocol, UpstreamProtocol::kHttp2);
  EXPECT_EQ((*cluster)->http2.max_concurrent_streams, 7u);
  EXPECT_EQ((*cluster)->http2.initial_stream_window_size, 70000u);
  EXPECT_EQ((*cluster)->http2.initial_connection_window_size, 1024u * 1024);
  EXPECT_TRUE((*cluster)->http2.allow_connect);
  EXPECT_EQ((*cluster)->http2.keepalive_interval, absl::Seconds(30));
  EXPECT_EQ((*cluster)->http2.keepalive_timeout, absl::Seconds(5));
}

TEST(CompileHttp2, TheProtocolMayBeTheClientsOrAgreedUpon) {
  const ClusterOr same = Compile(R"(use_downstream_protocol_config { http2_protocol_options {
      max_concurrent_streams { value: 8 } } })");
  ASSERT_TRUE(same.ok());
  EXPECT_EQ((*same)->protocol, UpstreamProtocol::kDownstream);
  EXPECT_EQ((*same)->http2.max_concurrent_streams, 8u);
  const ClusterOr alpn = Compile(R"(auto_config { http2_protocol_options {
      max_concurrent_streams { value: 9 } } })");
  ASSERT_TRUE(alpn.ok());
  EXPECT_EQ((*alpn)->protocol, UpstreamProtocol::kAlpn);
  EXPECT_EQ((*alpn)->http2.max_concurrent_streams, 9u);
}

TEST(CompileHttp2, ErrorsNameTheField) {
  const struct {
    const char* options;
    const char* error;
  } cases[] = {
      {"max_concurrent_streams { }", "max_concurrent_streams: must be 1 to 2147483647"},
      {"initial_stream_window_size { value: 65534 }", "initial_stream_window_size: must be 65535"},
      {"max_outbound_frames { }", "max_outbound_frames: must be 1"},
      {"allow_metadata: true", "allow_metadata: is not supported"},
      {"custom_settings_parameters { }", "custom_settings_parameters: is not supported"},
      {"override_stream_error_on_invalid_http_message { value: false }",
       "override_stream_error_on_invalid_http_message: only true"},
      {"connection_keepalive { interval { seconds: 1 } }",
       "connection_keepalive.timeout: must be set"},
      {"connection_keepalive { timeout { seconds: 1 } connection_idle_interval { } }",
       "connection_keepalive.connection_idle_interval: is not supported"},
  };
  for (const auto& c : cases) {
    const ClusterOr cluster = Compile(
        absl::StrCat("explicit_http_config { http2_protocol_options { ", c.options, " } }"));
    ASSERT_FALSE(cluster.ok()) << c.error;
    const std::string path = absl::StrCat(
        "typed_extension_protocol_options['envoy.extensions.upstreams.http.v3.HttpProtocolOptions']"
        ".explicit_http_config.http2_protocol_options.",
        c.error);
    EXPECT_TRUE(absl::StartsWith(cluster.status().message(), path)) << cluster.status();
  }
}

TEST(CompileHttp2, AListenersHeadLimitsHoldForHttp2) {
  envoy::config::listener::v3::Listener api;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(R"(
      name: "l" address { socket_address { address: "0.0.0.0" port_value: 80 } }
      filter_chains { filters { name: "hcm" typed_config {
        [type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager] {
          rds { route_config_name: "80" }
          http2_protocol_options { max_concurrent_streams { value: 50 } }
          max_request_headers_kb { value: 90 }
          common_http_protocol_options { max_headers_count { value: 20 } }
          http_filters { name: "r" typed_config {
            [type.googleapis.com/envoy.extensions.filters.http.router.v3.Router] {} } } } } } })",
                                                            &api));
  const auto listener = CompileListener(api, Secrets{});
  ASSERT_TRUE(listener.ok()) << listener.status();
  const auto* config = &std::get<HttpManagerConfig>((*listener)->chains[0].service);
  EXPECT_EQ(config->http2.max_concurrent_streams, 50u);
  EXPECT_EQ(config->http2.max_headers_kb, 90u);
  EXPECT_EQ(config->http2.max_headers_count, 20u);
}

}  // namespace
}  // namespace weft
