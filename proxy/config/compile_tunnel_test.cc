// What tunnels are compiled to: above all that clusters share the TLS context of their gateways, as
// by it they share connections.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "api/envoy/cluster.pb.h"
#include "api/weft/tunnel.pb.h"
#include "certs/issuer.h"
#include "certs/key.h"
#include "proxy/config/compile.h"
#include "proxy/config/secrets.h"

namespace weft {
namespace {

constexpr char kGateway[] = R"(gateway { common_tls_context {
    tls_certificate_sds_secret_configs { name: "default" }
    combined_validation_context {
      default_validation_context {
        match_typed_subject_alt_names { san_type: URI matcher { suffix: "/sa/gateway" } } }
      validation_context_sds_secret_config { name: "ROOTCA" } } } } )";

class CompileTunnel : public ::testing::Test {
 protected:
  CompileTunnel() {
    Rotate();
    PeerTrust trust;
    trust.ca_pem = issuer_.root().ToPem();
    secrets_.trust["ROOTCA"] = trust;
  }

  void Rotate() {
    const certs::PrivateKey key = certs::PrivateKey::Generate();
    const auto chain =
        issuer_.Issue(key.public_key(), *certs::SpiffeId::Parse("spiffe://east/ns/default/sa/app"),
                      certs::kLeafValidity, absl::Now());
    secrets_.certificates["default"] = {absl::StrJoin(*chain, ""), key.ToPem()};
  }

  absl::StatusOr<std::shared_ptr<const ClusterConfig>> Compile(const std::string& tunnel) {
    const std::string text = absl::StrCat(R"(name: "c" transport_socket { name: "tunnel"
        typed_config { [type.googleapis.com/weft.proxy.v1.TunnelTransport] { )",
                                          tunnel, " } } }");
    envoy::config::cluster::v3::Cluster message;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
    return CompileCluster(message, nullptr, secrets_);
  }
  std::shared_ptr<const TunnelConfig> Tunnel(const std::string& authority) {
    auto cluster = Compile(absl::StrCat("authority: '", authority, "' ", kGateway));
    EXPECT_TRUE(cluster.ok()) << cluster.status();
    return (*cluster)->tunnel;
  }

  const certs::Issuer issuer_ = *certs::Issuer::CreateRoot("east", absl::Now());
  Secrets secrets_;
};

TEST_F(CompileTunnel, ClustersShareTheContextOfTheirGateways) {
  const auto first = Tunnel("outbound_.80_._.a");
  const auto second = Tunnel("outbound_.80_._.b");
  ASSERT_NE(first->gateway, nullptr);
  EXPECT_EQ(first->gateway, second->gateway);
  EXPECT_EQ(second->authority, "outbound_.80_._.b");
}

TEST_F(CompileTunnel, ARotationMakesAnotherContext) {
  const auto before = Tunnel("a");
  Rotate();
  const auto after = Tunnel("a");
  EXPECT_NE(before->gateway, after->gateway);
  EXPECT_EQ(after->gateway, Tunnel("b")->gateway);
  EXPECT_EQ(secrets_.gateway_contexts.size(), 2u);
}

TEST_F(CompileTunnel, OtherTrustMakesAnotherContext) {
  const auto before = Tunnel("a");
  secrets_.trust["ROOTCA"].ca_pem = certs::Issuer::CreateRoot("west", absl::Now())->root().ToPem();
  EXPECT_NE(before->gateway, Tunnel("a")->gateway);
}

TEST_F(CompileTunnel, ContextsThatNobodyHasAreForgotten) {
  for (int i = 0; i < 5; ++i) {
    Rotate();
    Tunnel("a");
  }
  EXPECT_EQ(secrets_.gateway_contexts.size(), 1u);
}

TEST_F(CompileTunnel, WhatIsWithinIsCompiledAsAnySocket) {
  EXPECT_EQ((*Compile(absl::StrCat("authority: 'a' ", kGateway)))->tls, nullptr);
  const auto reverse = Compile("authority: 'a' reverse_of: 'west'");
  ASSERT_TRUE(reverse.ok()) << reverse.status();
  EXPECT_EQ((*reverse)->tunnel->reverse_of, "west");
  EXPECT_EQ((*reverse)->tunnel->gateway, nullptr);
}

TEST_F(CompileTunnel, ErrorsNameTheField) {
  const struct {
    std::string tunnel;
    const char* error;
  } kCases[] = {
      {kGateway, "transport_socket.authority: must not be empty"},
      {"authority: 'a'", "transport_socket.gateway: exactly one of gateway, reverse_of"},
      {absl::StrCat("authority: 'a' reverse_of: 'west' ", kGateway),
       "transport_socket.gateway: exactly one of gateway, reverse_of"},
      {R"(authority: 'a' reverse_of: 'west' inner { name: "t" typed_config {
          [type.googleapis.com/weft.proxy.v1.TunnelTransport] {} } })",
       "transport_socket.inner: is a tunnel itself"},
      {R"(authority: 'a' reverse_of: 'west' inner { name: "unknown" })",
       "transport_socket.inner: unsupported transport socket 'unknown'"},
      {"authority: 'a' gateway { allow_renegotiation: true }",
       "transport_socket.gateway.allow_renegotiation: is not supported"},
  };
  for (const auto& one : kCases) {
    const auto cluster = Compile(one.tunnel);
    EXPECT_TRUE(absl::StartsWith(cluster.status().message(), one.error)) << cluster.status();
  }
}

// Without its identity a tunnel cannot be opened: the cluster waits for the secret.
TEST_F(CompileTunnel, WaitsForTheSecretsOfItsGateway) {
  secrets_.certificates.clear();
  EXPECT_EQ(Compile(absl::StrCat("authority: 'a' ", kGateway)).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace weft
