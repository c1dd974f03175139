// Where the running proxy gets its config from: ADS in both forms from a real gRPC server, and
// files.
#include <stdio.h>

#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/key.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"
#include "test/proxy/xds_server_for_test.h"

namespace weft::test {
namespace {

using testing::HasSubstr;

constexpr char kFilters[] = "type.googleapis.com/envoy.extensions.filters.";

// A listener whose routes come from `source`, a ConfigSource.
std::string RdsListener(const std::string& name, int port, const std::string& source) {
  return absl::StrCat(
      "{name: ", name, ", address: {socket_address: {address: 127.0.0.1, port_value: ", port,
      "}}, filter_chains: [{filters: [{name: http, typed_config: {\"@type\": ", kFilters,
      "network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: ", name,
      ", rds: {route_config_name: routes, config_source: ", source,
      "}, http_filters: [{name: router, typed_config: {\"@type\": ", kFilters,
      "http.router.v3.Router}}]}}]}]}");
}

std::string EdsCluster(const std::string& name, const std::string& source) {
  return absl::StrCat("{name: ", name, ", type: EDS, connect_timeout: 2s, eds_cluster_config: ",
                      "{eds_config: ", source, "}}");
}

std::string Routes(const std::string& action) {
  return absl::StrCat("{name: routes, virtual_hosts: [{name: all, domains: [\"*\"], routes: [",
                      action, "]}]}");
}

std::string Says(const std::string& text) {
  return absl::StrCat(
      "{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: ", text, "}}}");
}

std::string Endpoints(const std::string& cluster, int port) {
  return absl::StrCat("{cluster_name: ", cluster,
                      ", endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: "
                      "{address: 127.0.0.1, port_value: ",
                      port, "}}}}]}]}");
}

// The cluster of the server, and the rest of a bootstrap after it.
std::string XdsCluster(int port, const std::string& dynamic_resources) {
  return Cluster("xds", {port},
                 "typed_extension_protocol_options: "
                 "{envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {\"@type\": "
                 "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, "
                 "explicit_http_config: {http2_protocol_options: {}}}},") +
         "\nnode: {id: a, cluster: b}\ndynamic_resources: " + dynamic_resources;
}

std::string Ads(const std::string& type, const std::string& more = "") {
  return absl::StrCat("{ads_config: {api_type: ", type, ", transport_api_version: V3, ", more,
                      "grpc_services: [{envoy_grpc: {cluster_name: xds}}]}, "
                      "cds_config: {ads: {}}, lds_config: {ads: {}}}");
}

bool Answers(int port, const std::string& body) {
  return Eventually(
      [&] { return Socket::Connect(port).connected() && Ask(port, Get("/")).body == body; });
}

class AdsTest : public testing::TestWithParam<std::string> {
 protected:
  // A static listener, so that there is something to start with.
  std::vector<std::string> StaticListeners() {
    return {HttpListener("static", FreePort(), RouteTo("xds"))};
  }

  XdsServerForTest server_;
};

TEST_P(AdsTest, EverythingComesChangesAndGoes) {
  Upstream upstream(Always("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nup"));
  const int port = FreePort();
  server_.Set(kClusterType, "c", EdsCluster("c", "{ads: {}}"));
  server_.Set(kEndpointType, "c", Endpoints("c", upstream.port()));
  server_.Set(kListenerType, "l", RdsListener("l", port, "{ads: {}}"));
  server_.Set(kRouteType, "routes", Routes(RouteTo("c")));
  ProxyProcess proxy(StaticListeners(), {XdsCluster(server_.port(), Ads(GetParam()))});
  EXPECT_TRUE(Answers(port, "up")) << proxy.Output();

  server_.Set(kRouteType, "routes", Routes(Says("changed")));
  EXPECT_TRUE(Answers(port, "changed")) << proxy.Output();

  server_.Remove(kListenerType, "l");
  EXPECT_TRUE(Eventually([&] { return !Socket::Connect(port).connected(); }));
  server_.Remove(kClusterType, "c");
  EXPECT_TRUE(Eventually(
      [&] { return !absl::StrContains(proxy.Admin("/clusters").body, "c::observability_name"); }));
  EXPECT_THAT(server_.nacks(), testing::IsEmpty());
}

TEST_P(AdsTest, Row69AnInvalidResourceIsRejectedByItsPathAndTheLastGoodStays) {
  const int port = FreePort();
  server_.Set(kListenerType, "l", RdsListener("l", port, "{ads: {}}"));
  server_.Set(kRouteType, "routes", Routes(Says("good")));
  ProxyProcess proxy(StaticListeners(), {XdsCluster(server_.port(), Ads(GetParam()))});
  ASSERT_TRUE(Answers(port, "good")) << proxy.Output();
  server_.Set(kRouteType, "routes",
              Routes("{match: {safe_regex: {regex: \"(\"}}, direct_response: {status: 200}}"));
  ASSERT_TRUE(Eventually([&] { return !server_.nacks().empty(); }));
  EXPECT_THAT(server_.nacks()[0],
              HasSubstr("'routes': virtual_hosts[0].routes[0].match.safe_regex"));
  EXPECT_EQ(Ask(port, Get("/")).body, "good");
  const std::string dump = proxy.Admin("/config_dump?resource=dynamic_route_configs").body;
  EXPECT_THAT(dump, HasSubstr("error_state"));
  EXPECT_THAT(dump, HasSubstr("\"inline_string\": \"good\""));
  EXPECT_GE(proxy.Stat("rds_update_rejected"), 1);
  EXPECT_EQ(server_.nacks().size(), 1u);  // row 71: said once

  server_.Set(kRouteType, "routes", Routes(Says("better")));
  EXPECT_TRUE(Answers(port, "better"));
  EXPECT_THAT(proxy.Admin("/config_dump?resource=dynamic_route_configs").body,
              testing::Not(HasSubstr("error_state")));
}

TEST_P(AdsTest, Row73WhatWasRemovedWhileTheServerWasAwayGoes) {
  const int kept = FreePort();
  const int removed = FreePort();
  server_.Set(kListenerType, "kept", HttpListener("kept", kept, Says("kept")));
  server_.Set(kListenerType, "removed", HttpListener("removed", removed, Says("removed")));
  ProxyProcess proxy(StaticListeners(), {XdsCluster(server_.port(), Ads(GetParam()))});
  ASSERT_TRUE(Answers(kept, "kept") && Answers(removed, "removed")) << proxy.Output();
  server_.Stop();
  EXPECT_EQ(Ask(kept, Get("/")).body, "kept");  // without a server, what was told holds
  server_.Remove(kListenerType, "removed");
  server_.Start();
  EXPECT_TRUE(Eventually([&] { return !Socket::Connect(removed).connected(); }));
  EXPECT_EQ(Ask(kept, Get("/")).body, "kept");
  if (GetParam() == "DELTA_GRPC") {
    EXPECT_THAT(server_.initial(kListenerType), testing::UnorderedElementsAre("kept", "removed"));
  }
}

TEST_P(AdsTest, Row76AbsentThenCreatedIsDelivered) {
  const int port = FreePort();
  server_.Set(kListenerType, "l", RdsListener("l", port, "{ads: {}}"));
  ProxyProcess proxy(StaticListeners(), {XdsCluster(server_.port(), Ads(GetParam()))});
  EXPECT_TRUE(Eventually([&] { return server_.requests() > 2; }));
  EXPECT_FALSE(Socket::Connect(port).connected());  // row 77: it warms
  server_.Set(kRouteType, "routes", Routes(Says("now")));
  EXPECT_TRUE(Answers(port, "now")) << proxy.Output();
}

TEST_P(AdsTest, UnknownFieldsAreIgnoredAndCounted) {
  const int port = FreePort();
  server_.Set(kRouteType, "routes", Routes(Says("known")));
  server_.Set(kListenerType, "l", RdsListener("l", port, "{ads: {}}"));
  // Field 999 of a RouteConfiguration, a varint, appended to the message.
  std::string bytes("\x0a\x06routes", 8);
  bytes += std::string("\xb8\x3e\x01", 3);
  ProxyProcess proxy(StaticListeners(), {XdsCluster(server_.port(), Ads(GetParam()))});
  ASSERT_TRUE(Answers(port, "known"));
  EXPECT_EQ(proxy.Stat("dynamic_unknown_fields"), 0);
  server_.SetBytes(kRouteType, "routes", bytes);
  EXPECT_TRUE(Eventually([&] { return proxy.Stat("dynamic_unknown_fields") == 1; }));
  EXPECT_THAT(server_.nacks(), testing::IsEmpty());
}

TEST_P(AdsTest, TheNodeIsSaidOnceIfTheConfigSaysSo) {
  const int port = FreePort();
  server_.Set(kListenerType, "l", HttpListener("l", port, Says("x")));
  for (const bool once : {false, true}) {
    const int nodes = server_.requests_with_node();
    const int requests = server_.requests();
    ProxyProcess proxy(
        StaticListeners(),
        {XdsCluster(server_.port(),
                    Ads(GetParam(), once ? "set_node_on_first_message_only: true, " : ""))});
    ASSERT_TRUE(Answers(port, "x"));
    ASSERT_TRUE(Eventually([&] { return server_.requests() >= requests + 3; }));
    if (once) {
      EXPECT_EQ(server_.requests_with_node() - nodes, 1);
    } else {
      EXPECT_GE(server_.requests_with_node() - nodes, 3);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, AdsTest, testing::Values("GRPC", "DELTA_GRPC"));

TEST(ConfigSources, WhatDoesNotComeIsGivenUpInTime) {
  const int port = FreePort();
  const std::string nowhere =
      "{api_config_source: {api_type: GRPC, transport_api_version: V3, grpc_services: "
      "[{envoy_grpc: {cluster_name: xds}}]}, initial_fetch_timeout: 0.5s}";
  ProxyProcess proxy({RdsListener("l", port, nowhere)},
                     {EdsCluster("c", nowhere), XdsCluster(FreePort(), "{}")});
  EXPECT_TRUE(Eventually([&] {
    return Socket::Connect(port).connected() && Ask(port, Get("/")).status() == 404;
  })) << proxy.Output();
  EXPECT_THAT(proxy.Output(), HasSubstr("initial_fetch_timeout"));
}

// ---- Files.

constexpr char kTypes[] = "type.googleapis.com/envoy.config.";

std::string Response(const std::string& version, const std::string& type,
                     const std::vector<std::string>& resources) {
  std::string text = absl::StrCat("version_info: \"", version, "\"\nresources:\n");
  for (const std::string& one : resources) {
    absl::StrAppend(&text, "- {\"@type\": ", type, ", ", one.substr(1), "\n");
  }
  return text;
}

// Puts a file in place as a whole.
std::string File(const std::string& path) {
  return absl::StrCat("{path_config_source: {path: ", path, "}}");
}

class FilesTest : public testing::Test {
 protected:
  FilesTest() {
    ReplaceTestFile(routes_, Response("1", absl::StrCat(kTypes, "route.v3.RouteConfiguration"),
                              {Routes(RouteTo("c"))}));
    ReplaceTestFile(endpoints_, Response("1", absl::StrCat(kTypes, "endpoint.v3.ClusterLoadAssignment"),
                                 {Endpoints("c", upstream_.port())}));
    ReplaceTestFile(clusters_, Response("1", absl::StrCat(kTypes, "cluster.v3.Cluster"),
                                {EdsCluster("c", File(endpoints_))}));
    ReplaceTestFile(listeners_, Response("1", absl::StrCat(kTypes, "listener.v3.Listener"),
                                 {RdsListener("l", port_, File(routes_))}));
    proxy_.emplace(std::vector<std::string>{HttpListener("s", FreePort(), Says("s"))},
                   std::vector<std::string>{Cluster("unused", {1}) +
                                            "\ndynamic_resources: {cds_config: " + File(clusters_) +
                                            ", lds_config: " + File(listeners_) + "}"});
  }

  const int port_ = FreePort();
  Upstream upstream_{Always("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nup")};
  const std::string routes_ = WriteTestFile("routes.yaml", "");
  const std::string endpoints_ = WriteTestFile("endpoints.yaml", "");
  const std::string clusters_ = WriteTestFile("clusters.yaml", "");
  const std::string listeners_ = WriteTestFile("listeners.yaml", "");
  std::optional<ProxyProcess> proxy_;
};

TEST_F(FilesTest, AreFollowedAndABadOneChangesNothing) {
  EXPECT_TRUE(Answers(port_, "up")) << proxy_->Output();
  const std::string type = absl::StrCat(kTypes, "route.v3.RouteConfiguration");
  ReplaceTestFile(routes_, Response("2", type, {Routes(Says("two"))}));
  EXPECT_TRUE(Answers(port_, "two")) << proxy_->Output();
  EXPECT_THAT(proxy_->Admin("/config_dump").body, HasSubstr("\"version_info\": \"2\""));

  ReplaceTestFile(routes_, Response("3", type, {Routes("{match: {prefx: /}}")}));
  ASSERT_TRUE(
      Eventually([&] { return absl::StrContains(proxy_->Output(), "config_file_rejected"); }));
  EXPECT_THAT(proxy_->Output(), HasSubstr("virtual_hosts[0].routes[0].match.prefx"));
  EXPECT_THAT(proxy_->Output(), HasSubstr(routes_));
  EXPECT_EQ(Ask(port_, Get("/")).body, "two");

  ReplaceTestFile(routes_, Response("4", type, {Routes(Says("four"))}));
  EXPECT_TRUE(Answers(port_, "four"));
}

TEST_F(FilesTest, ListenersAndClustersOfAFileAreAllThereAre) {
  ASSERT_TRUE(Answers(port_, "up"));
  ReplaceTestFile(listeners_, "version_info: none\nresources: []\n");
  EXPECT_TRUE(Eventually([&] { return !Socket::Connect(port_).connected(); }));
  EXPECT_THAT(proxy_->Admin("/listeners").body, HasSubstr("s::"));
}

// ---- Secrets.

class SecretsTest : public testing::Test {
 protected:
  static constexpr char kTls[] = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.";

  void WriteIdentity() {
    const certs::PrivateKey key = certs::PrivateKey::Generate();
    const auto chain =
        issuer_.Issue(key.public_key(), *certs::SpiffeId::Parse("spiffe://east/ns/a/sa/server"),
                      certs::kLeafValidity, absl::Now());
    ASSERT_TRUE(chain.ok());
    ReplaceTestFile(key_, key.ToPem());
    ReplaceTestFile(chain_, absl::StrJoin(*chain, ""));
  }
  // As /certs shows those of `path`.
  std::string SerialOf(ProxyProcess& proxy) {
    const std::string certs = proxy.Admin("/certs").body;
    const size_t at = certs.find(chain_);
    if (at == std::string::npos) return "";
    const size_t serial = certs.find("serial_number", at);
    return certs.substr(serial, certs.find('\n', serial) - serial);
  }
  std::string Client() {
    return absl::StrCat(
        "transport_socket: {name: tls, typed_config: {\"@type\": ", kTls,
        "UpstreamTlsContext, common_tls_context: {validation_context: {trusted_ca: {filename: ",
        ca_, "}}}}},");
  }
  // A plain listener that originates TLS towards one with `context`.
  std::vector<std::string> Listeners(const std::string& context) {
    return {
        HttpListener("plain", plain_, RouteTo("secure")),
        HttpListener("secure", secure_, Says("secure"), "",
                     absl::StrCat("transport_socket: {name: tls, typed_config: {\"@type\": ", kTls,
                                  "DownstreamTlsContext, common_tls_context: ", context, "}}, "))};
  }

  certs::Issuer issuer_ = *certs::Issuer::CreateRoot("east", absl::Now());
  const int plain_ = FreePort();
  const int secure_ = FreePort();
  const std::string ca_ = WriteTestFile("ca.pem", issuer_.root().ToPem());
  const std::string key_ = WriteTestFile("key.pem", "");
  const std::string chain_ = WriteTestFile("chain.pem", "");
  const std::string secrets_ = WriteTestFile("secrets.yaml", "");
};

TEST_F(SecretsTest, OfAFileAreRotated) {
  WriteIdentity();
  ReplaceTestFile(secrets_,
          absl::StrCat("resources:\n- {\"@type\": ", kTls,
                       "Secret, name: server, tls_certificate: {certificate_chain: {filename: ",
                       chain_, "}, private_key: {filename: ", key_, "}}}\n"));
  ProxyProcess proxy(Listeners(absl::StrCat("{tls_certificate_sds_secret_configs: [{name: server, ",
                                            "sds_config: ", File(secrets_), "}]}")),
                     {Cluster("secure", {secure_}, Client())});
  EXPECT_TRUE(Answers(plain_, "secure")) << proxy.Output();
  const std::string before = SerialOf(proxy);
  ASSERT_NE(before, "");
  WriteIdentity();
  EXPECT_TRUE(Eventually([&] {
    const std::string now = SerialOf(proxy);
    return !now.empty() && now != before &&
           absl::StrContains(proxy.Output(), "certificates_reloaded");
  })) << proxy.Output();
  EXPECT_TRUE(Answers(plain_, "secure")) << proxy.Output();
  EXPECT_THAT(proxy.Admin("/config_dump").body, testing::Not(HasSubstr(key_)));

  ReplaceTestFile(chain_, "no certificate");
  EXPECT_TRUE(
      Eventually([&] { return absl::StrContains(proxy.Output(), "certificates_rejected"); }));
  EXPECT_EQ(Ask(plain_, Get("/")).body, "secure");
}

TEST_F(SecretsTest, AFilenamePairWithAWatchedDirectoryIsRotated) {
  WriteIdentity();
  const std::string folder = chain_.substr(0, chain_.rfind('/'));
  ProxyProcess proxy(Listeners(absl::StrCat("{tls_certificates: [{certificate_chain: {filename: ",
                                            chain_, "}, private_key: {filename: ", key_,
                                            "}, watched_directory: {path: ", folder, "}}]}")),
                     {Cluster("secure", {secure_}, Client())});
  EXPECT_TRUE(Answers(plain_, "secure")) << proxy.Output();
  WriteIdentity();
  EXPECT_TRUE(
      Eventually([&] { return absl::StrContains(proxy.Output(), "certificates_reloaded"); }));
  EXPECT_TRUE(Answers(plain_, "secure")) << proxy.Output();
}

TEST_F(SecretsTest, AListenerWarmsUntilItsSecretComes) {
  ProxyProcess proxy(
      Listeners(absl::StrCat("{tls_certificate_sds_secret_configs: [{name: server, sds_config: ",
                             "{path_config_source: {path: ", secrets_,
                             "}, initial_fetch_timeout: 0.3s}}]}")),
      {Cluster("secure", {secure_}, Client())});
  EXPECT_FALSE(Socket::Connect(secure_).connected());
  WriteIdentity();
  ReplaceTestFile(secrets_,
          absl::StrCat("resources:\n- {\"@type\": ", kTls,
                       "Secret, name: server, tls_certificate: {certificate_chain: {filename: ",
                       chain_, "}, private_key: {filename: ", key_, "}}}\n"));
  EXPECT_TRUE(Answers(plain_, "secure")) << proxy.Output();
}

}  // namespace
}  // namespace weft::test
