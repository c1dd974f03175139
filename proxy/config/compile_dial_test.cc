// Listeners of the two ends of a connection that a gateway dials so that others may open streams to
// it (api/weft/tunnel.proto).
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/router.pb.h"
#include "api/envoy/tcp_proxy.pb.h"
#include "api/envoy/tls.pb.h"
#include "api/envoy/tls_inspector.pb.h"
#include "api/weft/tunnel.pb.h"
#include "certs/issuer.h"
#include "certs/trust_bundle.h"
#include "proxy/config/compile.h"
#include "proxy/config/secrets.h"
#include "proxy/tls/tls_context.h"

namespace weft {
namespace {

constexpr char kGateway[] =
    R"(gateways { socket_address { address: "192.0.2.1" port_value: 15008 } } )";
constexpr char kTls[] =
    R"(tls { common_tls_context { validation_context_sds_secret_config { name: "ROOTCA" } } } )";
constexpr char kInspector[] = R"(listener_filters { name: "i" typed_config {
    [type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector] {} } } )";

std::string DialFilter(const std::string& dial) {
  return absl::StrCat(
      R"(name: "d" listener_filters { name: "weft.filters.listener.dial" typed_config {
      [type.googleapis.com/weft.proxy.v1.Dial] { )",
      dial, " } } } ");
}

std::string Chain(const std::string& filter, const std::string& more = "") {
  return absl::StrCat("filter_chains { ", more, R"( filters { name: "f" typed_config { )", filter,
                      " } } } ");
}

std::string Http(const std::string& manager) {
  return absl::StrCat(
      "[type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."
      "HttpConnectionManager] { ",
      manager, R"( route_config {} http_filters { name: "r" typed_config {
      [type.googleapis.com/envoy.extensions.filters.http.router.v3.Router] {} } } })");
}

const std::string kUsual = absl::StrCat(kGateway, kTls, "connections: 2");
const std::string kServes = Chain(Http("codec_type: HTTP2"));

class CompileDial : public testing::Test {
 protected:
  CompileDial() {
    auto bundles = std::make_shared<certs::TrustBundles>();
    EXPECT_TRUE(bundles->Set("west", west_.root().ToPem()).ok());
    secrets_.trust["ROOTCA"].bundles = std::move(bundles);
  }

  absl::StatusOr<std::shared_ptr<const ListenerConfig>> Compile(const std::string& text) {
    envoy::config::listener::v3::Listener message;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
    return CompileListener(message, secrets_);
  }

  const certs::Issuer west_ = *certs::Issuer::CreateRoot("west", absl::Now());
  Secrets secrets_;
};

TEST_F(CompileDial, ItsConnectionsAreToldApartByTheirServerNames) {
  const auto compiled = Compile(DialFilter(kUsual) + kServes);
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  const ListenerConfig& listener = **compiled;
  EXPECT_FALSE(listener.bind_to_port);
  EXPECT_TRUE(listener.sockets.empty());
  ASSERT_NE(listener.dial, nullptr);
  ASSERT_EQ(listener.dial->gateways.size(), 1u);
  EXPECT_EQ(listener.dial->gateways[0].ToString(), "192.0.2.1:15008");
  ASSERT_EQ(listener.dial->tls.size(), 2u);
  EXPECT_EQ(listener.dial->tls[0]->SniFor(""), "0.reverse.weft");
  EXPECT_EQ(listener.dial->tls[1]->SniFor(""), "1.reverse.weft");
}

// Whatever its filter says of idle connections and pings.
TEST_F(CompileDial, ItsConnectionsAreKeptAndWatched) {
  const auto compiled =
      Compile(DialFilter(kUsual) + Chain(Http("codec_type: HTTP2 common_http_protocol_options { "
                                              "idle_timeout { seconds: 9 } }")));
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  const auto& http = std::get<HttpManagerConfig>((*compiled)->chains[0].service);
  EXPECT_EQ(http.idle_timeout, absl::InfiniteDuration());
  EXPECT_EQ(http.http2.keepalive_interval, kGatewayPingInterval);
  EXPECT_EQ(http.http2.keepalive_timeout, kGatewayPingTimeout);
}

TEST_F(CompileDial, ErrorsNameTheField) {
  const std::string tcp = Chain(
      "[type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy] { cluster: "
      "\"c\" }");
  std::string many;
  for (int i = 0; i < 65; ++i) many += kGateway;
  const struct {
    std::string text;
    const char* error;
  } kCases[] = {
      {DialFilter(absl::StrCat(kGateway, kTls)) + kServes, "connections: must be 1 to 16"},
      {DialFilter(absl::StrCat(kGateway, kTls, "connections: 17")) + kServes,
       "connections: must be 1 to 16"},
      {DialFilter(absl::StrCat(kTls, "connections: 1")) + kServes, "gateways: must be 1 to 64"},
      {DialFilter(absl::StrCat(many, kTls, "connections: 1")) + kServes,
       "gateways: must be 1 to 64"},
      {DialFilter(absl::StrCat(kGateway, "connections: 1")) + kServes,
       "tls.common_tls_context.validation_context: is needed"},
      {DialFilter(kUsual), "filter_chains: "},
      {DialFilter(kUsual) + kServes + kServes, "filter_chains: exactly one"},
      {DialFilter(kUsual) + kInspector + kServes, "listener_filters: none may stand beside Dial"},
      {DialFilter(kUsual) + tcp, "filter_chains[0].filters: what Dial dials"},
      {DialFilter(kUsual) + Chain(Http("")), "filter_chains[0].filters: what Dial dials"},
  };
  for (const auto& one : kCases) {
    SCOPED_TRACE(one.error);
    const auto compiled = Compile(one.text);
    ASSERT_FALSE(compiled.ok());
    EXPECT_TRUE(absl::StrContains(compiled.status().message(), one.error)) << compiled.status();
  }
}

TEST_F(CompileDial, WhoDialsUsHasToProveWhoItIs) {
  constexpr char kAddress[] =
      R"(name: "l" address { socket_address { address: "0.0.0.0" port_value: 15008 } } )";
  constexpr char kReverse[] = "[type.googleapis.com/weft.proxy.v1.ReverseTunnel] {}";
  const auto plain = Compile(absl::StrCat(kAddress, Chain(kReverse)));
  ASSERT_FALSE(plain.ok());
  EXPECT_TRUE(absl::StrContains(plain.status().message(),
                                "filter_chains[0].transport_socket: must be TLS with "
                                "require_client_certificate"))
      << plain.status();
}

}  // namespace
}  // namespace weft
