// TLS through the running proxy, which is its own client: a plain listener originates TLS to
// another of its listeners, straight or through one that passes TLS on by its server name.
#include <string>
#include <thread>

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

constexpr char kType[] = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.";

struct Files {
  std::string chain;
  std::string key;
};

Files MakeIdentity(const certs::Issuer& issuer, const std::string& uri) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  const auto chain = issuer.Issue(key.public_key(), *certs::SpiffeId::Parse(uri),
                                  certs::kLeafValidity, absl::Now());
  return {WriteTestFile("chain.pem", absl::StrJoin(*chain, "")),
          WriteTestFile("key.pem", key.ToPem())};
}

std::string CommonContext(const Files* identity, const std::string& trusted,
                          const std::string& san = "") {
  std::string context = "common_tls_context: {";
  if (identity != nullptr) {
    absl::StrAppend(&context, "tls_certificates: [{certificate_chain: {filename: ", identity->chain,
                    "}, private_key: {filename: ", identity->key, "}}], ");
  }
  absl::StrAppend(&context, "validation_context: {trusted_ca: {filename: ", trusted, "}");
  if (!san.empty()) {
    absl::StrAppend(&context,
                    ", match_typed_subject_alt_names: [{san_type: URI, matcher: {exact: \"", san,
                    "\"}}]");
  }
  return context + "}}";
}

std::string Server(const std::string& common) {
  return absl::StrCat("transport_socket: {name: tls, typed_config: {\"@type\": ", kType,
                      "DownstreamTlsContext, require_client_certificate: true, ", common, "}}, ");
}

std::string Client(const std::string& sni, const std::string& common) {
  return absl::StrCat("transport_socket: {name: tls, typed_config: {\"@type\": ", kType,
                      "UpstreamTlsContext, sni: ", sni, ", ", common, "}}, ");
}

std::string SniListener(int port) {
  return absl::StrCat(
      "{name: gateway, address: {socket_address: {address: 127.0.0.1, port_value: ", port,
      "}}, listener_filters: [{name: tls_inspector, typed_config: {\"@type\": type.googleapis.com/"
      "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}], filter_chains: "
      "[{filter_chain_match: {transport_protocol: tls}, filters: [{name: sni, typed_config: "
      "{\"@type\": "
      "type.googleapis.com/envoy.extensions.filters.network.sni_cluster.v3.SniCluster}}, "
      "{name: tcp, typed_config: {\"@type\": type.googleapis.com/"
      "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: gw, cluster: "
      "none}}]}]}");
}

class TlsTest : public testing::Test {
 protected:
  static constexpr char kServer[] = "spiffe://east/ns/a/sa/server";
  static constexpr char kClient[] = "spiffe://east/ns/a/sa/client";

  std::string PlainListener(const std::string& name, int port) {
    return HttpListener(name, port, RouteTo(name));
  }

  const certs::Issuer east_ = *certs::Issuer::CreateRoot("east", absl::Now());
  const certs::Issuer west_ = *certs::Issuer::CreateRoot("west", absl::Now());
  const std::string east_root_ = WriteTestFile("root.pem", east_.root().ToPem());
  const std::string west_root_ = WriteTestFile("root.pem", west_.root().ToPem());
  const Files server_ = MakeIdentity(east_, kServer);
  const Files client_ = MakeIdentity(east_, kClient);
  const Files stranger_ = MakeIdentity(west_, "spiffe://west/ns/a/sa/client");
  Upstream upstream_{Echo};
  const int tls_port_ = FreePort();
  const std::string tls_listener_ =
      HttpListener("tls", tls_port_, RouteTo("app"),
                   "forward_client_cert_details: SANITIZE_SET, "
                   "set_current_client_cert_details: {uri: true, subject: true},",
                   Server(CommonContext(&server_, east_root_)));
  const std::string app_ = Cluster("app", {upstream_.port()});
};

TEST_F(TlsTest, IdentityIsProvenAndShownToTheUpstream) {
  const int port = FreePort();
  ProxyProcess proxy(
      {PlainListener("good", port), tls_listener_},
      {app_, Cluster("good", {tls_port_},
                     Client("server.example", CommonContext(&client_, east_root_, kServer)))});
  Socket client = Socket::Connect(port);
  for (int i = 0; i < 3; ++i) {
    client.Send(Get("/", "x-forwarded-client-cert: By=forged;URI=spiffe://east/ns/a/sa/admin\r\n"));
    const Message answer = client.ReadResponse();
    ASSERT_EQ(answer.status(), 200) << answer.body << proxy.Output();
    EXPECT_TRUE(absl::StrContains(answer.body, absl::StrCat("By=", kServer, ";Hash=")))
        << answer.body;
    EXPECT_TRUE(absl::StrContains(answer.body, absl::StrCat("URI=", kClient, "\r\n")))
        << answer.body;
    EXPECT_FALSE(absl::StrContains(answer.body, "forged")) << answer.body;
  }
  // Bodies of many records.
  const std::string big(3 << 20, 'b');
  client.Send(
      absl::StrCat("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ", big.size(), "\r\n\r\n"));
  std::thread sender([&] { EXPECT_TRUE(client.Send(big)); });
  const Message answer = client.ReadResponse();
  sender.join();
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(absl::EndsWith(answer.body, big));
  EXPECT_EQ(proxy.Stat("ssl.connection_error"), 0);
}

TEST_F(TlsTest, WrongIdentitiesAreRefused) {
  struct Case {
    const char* name;
    std::string context;
  };
  const Case kCases[] = {
      {"none", CommonContext(nullptr, east_root_)},
      {"stranger", CommonContext(&stranger_, east_root_)},
      {"server_of_another_name", CommonContext(&client_, east_root_, "spiffe://east/ns/a/sa/x")},
      {"server_of_another_root", CommonContext(&client_, west_root_)},
  };
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.name);
    const int port = FreePort();
    ProxyProcess proxy({PlainListener("bad", port), tls_listener_},
                       {app_, Cluster("bad", {tls_port_}, Client("h", one.context))});
    for (int i = 0; i < 2; ++i) EXPECT_EQ(Ask(port, Get("/")).status(), 503);
    EXPECT_EQ(upstream_.connections(), 0);
  }
}

TEST_F(TlsTest, PassesThroughByServerName) {
  const int gateway = FreePort();
  const int port = FreePort();
  const int nowhere_port = FreePort();
  const std::string context = CommonContext(&client_, east_root_, kServer);
  ProxyProcess proxy({PlainListener("remote", port), PlainListener("nowhere", nowhere_port),
                      SniListener(gateway), tls_listener_},
                     {app_, Cluster("none", {}), Cluster("outbound_.80_._.app", {tls_port_}),
                      Cluster("remote", {gateway}, Client("outbound_.80_._.app", context)),
                      Cluster("nowhere", {gateway}, Client("outbound_.80_._.other", context))});
  const Message answer = Ask(port, Get("/"));
  EXPECT_EQ(answer.status(), 200) << answer.body;
  EXPECT_TRUE(absl::StrContains(answer.body, kClient));
  EXPECT_EQ(Ask(nowhere_port, Get("/")).status(), 503);
  // What is not TLS has no chain there.
  Socket plain = Socket::Connect(gateway);
  plain.Send(Get("/"));
  EXPECT_EQ(plain.ReadToEnd(), "");
}

TEST_F(TlsTest, NoiseOnATlsPortHurtsNobody) {
  const int port = FreePort();
  ProxyProcess proxy(
      {PlainListener("good", port), tls_listener_},
      {app_, Cluster("good", {tls_port_}, Client("h", CommonContext(&client_, east_root_)))});
  const std::string kNoise[] = {Get("/"), std::string(100000, '\0'), "\x16\x03\x01\xff\xff garbage",
                                ""};
  for (const std::string& noise : kNoise) {
    Socket client = Socket::Connect(tls_port_);
    client.Send(noise);
    client.ShutdownWrite();
    client.ReadToEnd();
  }
  EXPECT_EQ(Ask(port, Get("/")).status(), 200);
}

}  // namespace
}  // namespace weft::test
