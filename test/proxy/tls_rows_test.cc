// Rows of BAD_INPUTS about TLS, on the running proxy, with raw bytes as the client.
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/key.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

constexpr char kTls[] = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.";

class TlsRows : public testing::Test {
 protected:
  std::string Common(const std::string& more = "") {
    const certs::PrivateKey key = certs::PrivateKey::Generate();
    const auto chain =
        issuer_.Issue(key.public_key(), *certs::SpiffeId::Parse("spiffe://east/ns/a/sa/x"),
                      certs::kLeafValidity, absl::Now());
    return absl::StrCat("common_tls_context: {tls_certificates: [{certificate_chain: {filename: ",
                        WriteTestFile("chain.pem", absl::StrJoin(*chain, "")),
                        "}, private_key: {filename: ", WriteTestFile("key.pem", key.ToPem()),
                        "}}], validation_context: {trusted_ca: {filename: ", root_, "}}", more,
                        "}");
  }

  std::string ServerChain(const std::string& common, const std::string& more = "") {
    return absl::StrCat(
        "transport_socket_connect_timeout: 0.2s, transport_socket: {name: tls, typed_config: "
        "{\"@type\": ",
        kTls, "DownstreamTlsContext, require_client_certificate: true, ", more, common, "}}, ");
  }

  std::string ClientSocket(const std::string& common, const std::string& more = "") {
    return absl::StrCat("transport_socket: {name: tls, typed_config: {\"@type\": ", kTls,
                        "UpstreamTlsContext, sni: h, ", more, common, "}}, ");
  }

  // No pooling: a handshake for each request.
  std::string FreshConnections() {
    return "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3."
           "HttpProtocolOptions: {\"@type\": type.googleapis.com/envoy.extensions.upstreams.http."
           "v3.HttpProtocolOptions, common_http_protocol_options: {max_requests_per_connection: "
           "1}, explicit_http_config: {http_protocol_options: {}}}}, ";
  }

  // Requests that make `handshakes` of them, one after the other; those of them that resumed.
  double Resumed(const std::string& server_more, const std::string& client_more,
                 const std::string& version) {
    const int tls_port = FreePort();
    const int port = FreePort();
    const std::string params =
        absl::StrCat(", tls_params: {tls_maximum_protocol_version: ", version, "}");
    ProxyProcess proxy(
        {HttpListener("tls", tls_port, RouteTo("app"),
                      "forward_client_cert_details: SANITIZE_SET, "
                      "set_current_client_cert_details: {uri: true},",
                      ServerChain(Common(params), server_more)),
         HttpListener("in", port, RouteTo("tls"))},
        {Cluster("app", {upstream_.port()}),
         Cluster("tls", {tls_port}, FreshConnections() + ClientSocket(Common(), client_more))});
    for (int i = 0; i < 4; ++i) {
      const Message answer = Ask(port, Get("/"));
      EXPECT_EQ(answer.status(), 200) << proxy.Output();
      // Who the client is is known of a resumed connection as well.
      EXPECT_TRUE(absl::StrContains(answer.body, "URI=spiffe://east/ns/a/sa/x")) << answer.body;
    }
    EXPECT_EQ(proxy.Stat("ssl.handshake"), 4);
    return proxy.Stat("ssl.session_reused");
  }

  const certs::Issuer issuer_ = *certs::Issuer::CreateRoot("east", absl::Now());
  const std::string root_ = WriteTestFile("root.pem", issuer_.root().ToPem());
  Upstream upstream_{Echo};
};

TEST_F(TlsRows, SessionsResumeWithTheirIdentity) {
  for (const char* version : {"TLSv1_3", "TLSv1_2"}) {
    SCOPED_TRACE(version);
    EXPECT_EQ(Resumed("", "", version), 3);
  }
}

TEST_F(TlsRows, ResumptionCanBeSwitchedOff) {
  EXPECT_EQ(Resumed("disable_stateless_session_resumption: true, ", "", "TLSv1_3"), 0);
  EXPECT_EQ(Resumed("", "max_session_keys: 0, ", "TLSv1_3"), 0);
}

TEST_F(TlsRows, Row57PlaintextOrSilenceOnAnMtlsPort) {
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("tls", port, RouteTo("app"), "", ServerChain(Common()))},
                     {Cluster("app", {upstream_.port()})});
  Socket silent = Socket::Connect(port);
  EXPECT_TRUE(silent.Ended());
  Socket plain = Socket::Connect(port);
  plain.Send(Get("/"));
  plain.ReadToEnd();  // an alert, then the end
  EXPECT_EQ(upstream_.connections(), 0);
  EXPECT_EQ(proxy.Stat("ssl.connection_error"), 2);
}

TEST_F(TlsRows, Row47EmptyRecordsAreLimited) {
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("tls", port, RouteTo("app"), "", ServerChain(Common()))},
                     {Cluster("app", {upstream_.port()})});
  Socket client = Socket::Connect(port);
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += std::string("\x16\x03\x01\0\0", 5);
  client.Send(flood);
  client.ReadToEnd(absl::Seconds(5));
  EXPECT_TRUE(Eventually([&] { return proxy.Stat("ssl.connection_error") == 1; }));
}

}  // namespace
}  // namespace weft::test
