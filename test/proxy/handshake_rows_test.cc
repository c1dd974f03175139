// Rows of bad input about TLS and identity on the running proxy, with a client of BoringSSL's that
// says what no good one would: 45 to 56, and 111.
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/key.h"
#include "certs/test_certificate.h"
#include "gtest/gtest.h"
#include "proxy/http/h2_frames_for_test.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

constexpr char kTls[] = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.";
constexpr char kClientId[] = "spiffe://east/ns/a/sa/client";

// A key with its chain.
struct Identity {
  certs::PrivateKey key = certs::PrivateKey::Generate();
  std::string chain;
};

Identity Issued(const certs::Issuer& issuer, const std::string& uri) {
  Identity identity;
  identity.chain = issuer
                       .Issue(identity.key.public_key(), *certs::SpiffeId::Parse(uri),
                              certs::kLeafValidity, absl::Now())
                       ->front();
  return identity;
}

// One end of TLS over a socket that blocks.
class TlsEnd {
 public:
  explicit TlsEnd(const Identity* identity) : context_(SSL_CTX_new(TLS_method())) {
    if (identity != nullptr) Add(*identity);
    SSL_CTX_set_session_cache_mode(context_.get(),
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context_.get(), KeepSession);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_app_data(ssl(), this);
  }

  SSL* ssl() { return ssl_.get(); }
  // The last one that the peer gave.
  SSL_SESSION* session() { return session_.get(); }

  bool Connect(Socket& socket, const std::string& server_name = "h") {
    if (!server_name.empty()) SSL_set_tlsext_host_name(ssl(), server_name.c_str());
    return Use(socket) && SSL_connect(ssl()) == 1;
  }
  bool Accept(Socket& socket) { return Use(socket) && SSL_accept(ssl()) == 1; }
  void Send(const std::string& bytes) {
    SSL_write(ssl(), bytes.data(), static_cast<int>(bytes.size()));
  }
  // To the end, or until `enough` has come.
  std::string Read(const std::string& enough = "") {
    std::string all;
    char block[4096];
    while (enough.empty() || !absl::StrContains(all, enough)) {
      const int got = SSL_read(ssl(), block, sizeof(block));
      if (got <= 0) break;
      all.append(block, static_cast<size_t>(got));
    }
    return all;
  }

 private:
  void Add(const Identity& identity) {
    const std::string pem = identity.key.ToPem();
    bssl::UniquePtr<BIO> key(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    bssl::UniquePtr<EVP_PKEY> private_key(
        PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
    bssl::UniquePtr<BIO> chain(
        BIO_new_mem_buf(identity.chain.data(), static_cast<int>(identity.chain.size())));
    bssl::UniquePtr<X509> leaf(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
    EXPECT_EQ(SSL_CTX_use_certificate(context_.get(), leaf.get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context_.get(), private_key.get()), 1);
  }
  static int KeepSession(SSL* ssl, SSL_SESSION* session) {
    static_cast<TlsEnd*>(SSL_get_app_data(ssl))->session_.reset(session);
    return 1;  // it is ours now
  }
  bool Use(Socket& socket) {
    const timeval patience = {20, 0};
    setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return SSL_set_fd(ssl(), socket.fd()) == 1;
  }

  bssl::UniquePtr<SSL_SESSION> session_;
  bssl::UniquePtr<SSL_CTX> context_;
  bssl::UniquePtr<SSL> ssl_;
};

// Whether a request on this connection is answered, by the upstream that says "done".
bool Answers(TlsEnd& client) {
  client.Send(Get("/"));
  return absl::StrContains(client.Read("done"), " 200 ");
}

class HandshakeRows : public testing::Test {
 protected:
  std::string Bundle(const std::string& domain, const std::string& roots) {
    return absl::StrCat("{name: ", domain,
                        ", trust_bundle: {filename: ", WriteTestFile("bundle.pem", roots), "}}");
  }
  std::string Trust(const std::string& bundles) {
    return absl::StrCat(
        "validation_context: {custom_validator_config: {name: envoy.tls.cert_validator.spiffe, "
        "typed_config: {\"@type\": ",
        kTls, "SPIFFECertValidatorConfig, trust_domains: [", bundles, "]}}}");
  }
  std::string Certificate(const Identity& identity) {
    return absl::StrCat("tls_certificates: [{certificate_chain: {filename: ",
                        WriteTestFile("chain.pem", identity.chain), "}, private_key: {filename: ",
                        WriteTestFile("key.pem", identity.key.ToPem()), "}}]");
  }
  // Of a chain that wants a client's certificate.
  std::string MutualTls(const std::string& trust) {
    return absl::StrCat("transport_socket: {name: tls, typed_config: {\"@type\": ", kTls,
                        "DownstreamTlsContext, require_client_certificate: true, "
                        "common_tls_context: {",
                        Certificate(server_), ", ", trust, "}}}, ");
  }
  std::string BothDomains() {
    return absl::StrCat(Bundle("east", east_.ChainPem()), ", ", Bundle("west", west_.ChainPem()));
  }
  std::string UsualTls() { return MutualTls(Trust(BothDomains())); }
  // The file of a secrets source with one secret in it.
  static std::string SecretFile(const std::string& name, const std::string& contents) {
    return absl::StrCat("resources:\n- {\"@type\": ", kTls, "Secret, name: ", name, ", ", contents,
                        "}\n");
  }
  static std::string SecretFrom(const std::string& name, const std::string& path) {
    return absl::StrCat("{name: ", name, ", sds_config: {path_config_source: {path: ", path, "}}}");
  }
  // Listener with the filter that looks at the ClientHello first.
  std::string Inspecting(int port, const std::string& tls) {
    std::string listener = HttpListener("in", port, RouteTo("up"), "", tls);
    const std::string filters =
        "listener_filters_timeout: 0.5s, listener_filters: [{name: tls_inspector, typed_config: "
        "{\"@type\": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3."
        "TlsInspector}}], filter_chains:";
    return listener.replace(listener.find("filter_chains:"), 14, filters);
  }

  // The status of a request with that certificate; 0 if the connection is refused.
  static int StatusWith(int port, const Identity* identity) {
    Socket socket = Socket::Connect(port);
    TlsEnd client(identity);
    if (!client.Connect(socket)) return 0;
    client.Send(Get("/"));
    const std::string answer = client.Read("\r\n\r\n");
    Message message;
    message.head = answer;
    return message.status();
  }

  const certs::Issuer east_ = *certs::Issuer::CreateRoot("east", absl::Now());
  const certs::Issuer west_ = *certs::Issuer::CreateRoot("west", absl::Now());
  const Identity server_ = Issued(east_, "spiffe://east/ns/a/sa/server");
  const Identity good_ = Issued(east_, kClientId);
  Upstream upstream_{Echo};
  Upstream done_{Always("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")};
  const int port_ = FreePort();
};

// ---- Rows 45 and 46: the first message.

// The first message of a client, as its engine makes it; the rest of the handshake goes through
// memory too.
class SlowTlsClient {
 public:
  SlowTlsClient(Socket& socket, const Identity& identity) : socket_(socket), end_(&identity) {
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(end_.ssl(), in_, out_);
    SSL_set_tlsext_host_name(end_.ssl(), "h");
    SSL_set_connect_state(end_.ssl());
    SSL_do_handshake(end_.ssl());
  }

  std::string Written() {
    const uint8_t* data = nullptr;
    size_t size = 0;
    BIO_mem_contents(out_, &data, &size);
    std::string written(reinterpret_cast<const char*>(data), size);
    BIO_reset(out_);
    return written;
  }

  // With the first message sent already: the rest, and one request. Its status.
  int Finish() {
    bool asked = false;
    std::string answer;
    while (!absl::StrContains(answer, "\r\n\r\n")) {
      const int done = SSL_do_handshake(end_.ssl());
      if (done == 1 && !asked) {
        end_.Send(Get("/"));
        asked = true;
      }
      socket_.Send(Written());
      char block[4096];
      const int got = asked ? SSL_read(end_.ssl(), block, sizeof(block)) : 0;
      if (got > 0) {
        answer.append(block, static_cast<size_t>(got));
        continue;
      }
      const std::string more = socket_.ReadSome();
      if (more.empty()) return 0;
      BIO_write(in_, more.data(), static_cast<int>(more.size()));
    }
    Message message;
    message.head = answer;
    return message.status();
  }

 private:
  Socket& socket_;
  TlsEnd end_;
  BIO* in_;   // the SSL's
  BIO* out_;  // the SSL's
};

// The same message in records of `size` bytes.
std::string InRecords(const std::string& hello, size_t size) {
  std::string records;
  for (size_t at = 5; at < hello.size(); at += size) {
    const std::string piece = hello.substr(at, size);
    absl::StrAppend(&records, hello.substr(0, 3), Number(piece.size(), 2), piece);
  }
  return records;
}

TEST_F(HandshakeRows, Row45_AHelloInPiecesIsPutTogether) {
  const int inspecting = FreePort();
  std::string inspected = Inspecting(inspecting, UsualTls());
  inspected.replace(inspected.find("name: in"), 8, "name: inspected");
  ProxyProcess proxy({HttpListener("in", port_, RouteTo("up"), "", UsualTls()), inspected},
                     {Cluster("up", {upstream_.port()})});
  for (const int port : {port_, inspecting}) {
    SCOPED_TRACE(port == port_ ? "plain" : "inspected");
    Socket dribbling = Socket::Connect(port);
    SlowTlsClient by_bytes(dribbling, good_);
    for (const char byte : by_bytes.Written()) dribbling.Send(std::string(1, byte));
    EXPECT_EQ(by_bytes.Finish(), 200);
    Socket in_records = Socket::Connect(port);
    SlowTlsClient by_records(in_records, good_);
    in_records.Send(InRecords(by_records.Written(), 20));
    EXPECT_EQ(by_records.Finish(), 200);
  }
}

TEST_F(HandshakeRows, Row45_AHelloThatNeverEndsIsCut) {
  ProxyProcess proxy({Inspecting(port_, UsualTls())}, {Cluster("up", {upstream_.port()})});
  Socket silent = Socket::Connect(port_);
  SlowTlsClient client(silent, good_);
  silent.Send(client.Written().substr(0, 100));
  EXPECT_TRUE(silent.Ended(absl::Seconds(5)));
  // More than any client says.
  Socket endless = Socket::Connect(port_);
  const std::string piece(1 << 14, 'x');
  endless.Send("\x16\x03\x01\x40" + std::string(1, '\0') + "\x01" + std::string("\xff\xff\xff") +
               piece.substr(4));
  for (int i = 0; i < 100; ++i) {
    if (!endless.Send("\x16\x03\x01\x40" + std::string(1, '\0') + piece)) break;
  }
  EXPECT_TRUE(endless.Ended(absl::Seconds(5)));
  EXPECT_EQ(upstream_.connections(), 0);
}

std::string Vector(int length_bytes, const std::string& body) {
  return Number(body.size(), length_bytes) + body;
}

std::string ServerName(const std::string& names) {
  return Number(0, 2) + Vector(2, Vector(2, names));
}

std::string HostName(const std::string& name) { return Number(0, 1) + Vector(2, name); }

// A first message with these extensions.
std::string Hello(const std::string& extensions) {
  const std::string body = Number(0x0303, 2) + std::string(32, 'r') + Vector(1, "") +
                           Vector(2, Number(0x1301, 2)) + Vector(1, Number(0, 1)) +
                           Vector(2, extensions);
  const std::string message = Number(1, 1) + Vector(3, body);
  return Number(22, 1) + Number(0x0301, 2) + Vector(2, message);
}

TEST_F(HandshakeRows, Row46_ServerNamesThatAreNoneGetNowhere) {
  ProxyProcess proxy({Inspecting(port_, UsualTls())}, {Cluster("up", {upstream_.port()})});
  const std::pair<const char*, std::string> kHellos[] = {
      {"empty", Hello(ServerName(HostName("")))},
      {"of 256 bytes", Hello(ServerName(HostName(std::string(256, 'a'))))},
      {"with NUL", Hello(ServerName(HostName(std::string("a\0b", 3))))},
      {"with a line's end", Hello(ServerName(HostName("a\r\nb")))},
      {"two names", Hello(ServerName(HostName("a") + HostName("b")))},
      {"twice", Hello(ServerName(HostName("a")) + ServerName(HostName("b")))},
      {"cut short", Hello(Number(0, 2) + Vector(2, Vector(2, Number(0, 1) + Number(9, 2) + "a")))},
  };
  for (const auto& [name, hello] : kHellos) {
    SCOPED_TRACE(name);
    Socket client = Socket::Connect(port_);
    client.Send(hello);
    const std::string answer = client.ReadToEnd();
    // Nothing, or an alert.
    EXPECT_TRUE(answer.empty() || answer[0] == '\x15') << answer.size();
  }
  EXPECT_EQ(upstream_.connections(), 0);
  EXPECT_EQ(StatusWith(port_, &good_), 200);
  EXPECT_FALSE(absl::StrContains(proxy.Output(), "a\r\nb"));
}

// ---- Row 47: floods after the handshake.

TEST_F(HandshakeRows, Row47_AFloodOfKeyUpdatesEndsItsConnection) {
  ProxyProcess proxy({HttpListener("in", port_, RouteTo("up"), "", UsualTls())},
                     {Cluster("up", {done_.port()})});
  Socket socket = Socket::Connect(port_);
  TlsEnd client(&good_);
  ASSERT_TRUE(client.Connect(socket));
  const auto update_keys = [&](int times) {
    for (int i = 0; i < times; ++i) {
      if (SSL_key_update(client.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED) != 1) return;
      if (SSL_write(client.ssl(), "", 0) < 0) return;
    }
  };
  // Some are everybody's right.
  update_keys(3);
  EXPECT_TRUE(Answers(client));
  EXPECT_EQ(proxy.Stat("listener.in.downstream_cx_active"), 1);
  update_keys(1000);
  EXPECT_TRUE(Eventually([&] { return proxy.Stat("listener.in.downstream_cx_active") == 0; }));
  EXPECT_EQ(StatusWith(port_, &good_), 200);
}

TEST_F(HandshakeRows, Row47_ARenegotiationEndsItsConnection) {
  // TLS 1.3 has none, and the mesh's identities have no TLS 1.2.
  const std::string trust = absl::StrCat("validation_context: {trusted_ca: {filename: ",
                                         WriteTestFile("root.pem", east_.root().ToPem()), "}}");
  ProxyProcess proxy({HttpListener("in", port_, RouteTo("up"), "", MutualTls(trust))},
                     {Cluster("up", {done_.port()})});
  // "R" is that program's command to renegotiate; without it the connection lasts until stdin ends.
  const std::string said = RunTool(absl::StrCat(
      "sh -c \"(printf 'GET / HTTP/1.1\\r\\nhost: h\\r\\n\\r\\n'; sleep 0.5; echo R; sleep 2) | "
      "openssl s_client -tls1_2 -connect 127.0.0.1:",
      port_, " -cert ", WriteTestFile("chain.pem", good_.chain), " -key ",
      WriteTestFile("key.pem", good_.key.ToPem()), "\""));
  EXPECT_TRUE(absl::StrContains(said, " 200 ")) << said;
  EXPECT_TRUE(absl::StrContains(said, "RENEGOTIATING")) << said;
  EXPECT_TRUE(absl::StrContains(said, "alert")) << said;
  EXPECT_EQ(proxy.Stat("listener.in.downstream_cx_active"), 0);
  EXPECT_EQ(StatusWith(port_, &good_), 200);
}

// ---- Rows 49 to 52: whom a certificate proves.

TEST_F(HandshakeRows, Row49To52_CertificatesThatProveNothingAreRefused) {
  ProxyProcess proxy({HttpListener("in", port_, RouteTo("up"), "", UsualTls())},
                     {Cluster("up", {upstream_.port()})});
  const absl::Time now = absl::Now();
  certs::TestCertificateOptions usual;
  usual.uris = {kClientId};
  usual.not_before = now - absl::Hours(1);
  usual.not_after = now + absl::Hours(1);
  struct Case {
    const char* name;
    certs::TestCertificateOptions options;
    const certs::Issuer* issuer;
  };
  // (A CA as a leaf no TLS library lets a client send: trust_bundle_test.cc has that.)
  std::vector<Case> cases = {
      {"Row49_NulInUri", usual, &east_},       {"Row49_NulInDnsName", usual, &east_},
      {"Row50_SeveralUris", usual, &east_},    {"Row50_CommonNameAlone", usual, &east_},
      {"Row50_ForServersOnly", usual, &east_}, {"Row51_OtherDomainsRoot", usual, &west_},
      {"Row51_UnknownDomain", usual, &east_},  {"Row52_Expired", usual, &east_},
      {"Row52_NotYetValid", usual, &east_},
  };
  cases[0].options.uris = {std::string(kClientId) + std::string("\0.evil", 6)};
  cases[1].options.dns = {std::string("a\0b", 3)};
  cases[2].options.uris = {kClientId, "spiffe://east/ns/a/sa/admin"};
  cases[3].options.uris = {};
  cases[3].options.common_name = kClientId;
  cases[4].options.extended_key_usage = "serverAuth";
  cases[6].options.uris = {"spiffe://south/ns/a/sa/client"};
  cases[7].options.not_after = now - absl::Seconds(1);
  cases[8].options.not_before = now + absl::Minutes(10);
  const auto status_of = [&](const Case& one) {
    Identity identity;
    identity.chain =
        certs::MakeTestCertificate(*one.issuer, identity.key.public_key(), one.options).ToPem();
    return StatusWith(port_, &identity);
  };
  for (const Case& one : cases) EXPECT_EQ(status_of(one), 0) << one.name;
  EXPECT_EQ(StatusWith(port_, nullptr), 0) << "none at all";
  EXPECT_EQ(proxy.Stat("ssl.connection_error"), cases.size() + 1);
  EXPECT_EQ(upstream_.connections(), 0);
  EXPECT_EQ(status_of({"good", usual, &east_}), 200);
}

// ---- Row 48 (CVE-2025-23419).

TEST_F(HandshakeRows, Row48_ASessionIsGoodOnlyUnderTheTrustThatMadeIt) {
  const int elsewhere = FreePort();
  ProxyProcess proxy({HttpListener("in", port_, RouteTo("up"), "",
                                   MutualTls(Trust(Bundle("east", east_.ChainPem())))),
                      HttpListener("elsewhere", elsewhere, RouteTo("up"), "",
                                   MutualTls(Trust(Bundle("west", west_.ChainPem()))))},
                     {Cluster("up", {upstream_.port()})});
  const auto ask = [](int port, TlsEnd& client, SSL_SESSION* session) {
    Socket socket = Socket::Connect(port);
    if (session != nullptr) SSL_set_session(client.ssl(), session);
    if (!client.Connect(socket)) return false;
    client.Send(Get("/"));
    return absl::StrContains(client.Read("\r\n\r\n"), " 200 ");
  };
  TlsEnd first(&good_);
  EXPECT_TRUE(ask(port_, first, nullptr));
  ASSERT_NE(first.session(), nullptr);
  TlsEnd again(&good_);
  EXPECT_TRUE(ask(port_, again, first.session()));
  EXPECT_EQ(SSL_session_reused(again.ssl()), 1) << "else this test says nothing";
  TlsEnd elsewhere_again(&good_);
  EXPECT_FALSE(ask(elsewhere, elsewhere_again, first.session()));
  EXPECT_EQ(SSL_session_reused(elsewhere_again.ssl()), 0);
}

// ---- Rows 53 and 54: certificates and roots change under live connections.

// The leaf that the peer showed, in DER.
std::string PeerLeaf(TlsEnd& client) {
  bssl::UniquePtr<X509> leaf(SSL_get_peer_certificate(client.ssl()));
  uint8_t* bytes = nullptr;
  const int size = leaf != nullptr ? i2d_X509(leaf.get(), &bytes) : 0;
  bssl::UniquePtr<uint8_t> owned(bytes);
  return std::string(reinterpret_cast<const char*>(bytes),
                     size > 0 ? static_cast<size_t>(size) : 0);
}

TEST_F(HandshakeRows, Row53_ARotationIsForNewConnectionsAndKeepsLiveOnes) {
  const auto secret = [&](const Identity& identity) {
    const std::string list = Certificate(identity);  // "tls_certificates: [{…}]"
    const std::string pair = list.substr(list.find('{'), list.rfind(']') - list.find('{'));
    return SecretFile("server", absl::StrCat("tls_certificate: ", pair));
  };
  const std::string file = WriteTestFile("secrets.yaml", secret(server_));
  ProxyProcess proxy(
      {HttpListener(
          "in", port_, RouteTo("up"), "",
          absl::StrCat("transport_socket: {name: tls, typed_config: {\"@type\": ", kTls,
                       "DownstreamTlsContext, require_client_certificate: true, "
                       "common_tls_context: {tls_certificate_sds_secret_configs: [",
                       SecretFrom("server", file), "], ", Trust(BothDomains()), "}}}, "))},
      {Cluster("up", {done_.port()})});
  Socket socket = Socket::Connect(port_);
  TlsEnd live(&good_);
  ASSERT_TRUE(live.Connect(socket));
  EXPECT_TRUE(Answers(live));

  ReplaceTestFile(file, secret(Issued(east_, "spiffe://east/ns/a/sa/server")));
  EXPECT_TRUE(Eventually([&] {
    Socket another = Socket::Connect(port_);
    TlsEnd client(&good_);
    return client.Connect(another) && Answers(client) && PeerLeaf(client) != PeerLeaf(live);
  })) << proxy.Output();
  EXPECT_TRUE(Answers(live)) << "the connection from before is as good as ever";
}

TEST_F(HandshakeRows, Row54_ConnectionsThatARemovedRootVouchedForAreCut) {
  const Identity eastern = good_;
  const Identity western = Issued(west_, "spiffe://west/ns/a/sa/client");
  const std::string file = WriteTestFile("trust.yaml", SecretFile("trust", Trust(BothDomains())));
  ProxyProcess proxy({HttpListener("in", port_, RouteTo("up"), "",
                                   MutualTls(absl::StrCat("validation_context_sds_secret_config: ",
                                                          SecretFrom("trust", file))))},
                     {Cluster("up", {done_.port()})});
  Socket east_socket = Socket::Connect(port_);
  Socket west_socket = Socket::Connect(port_);
  TlsEnd east_client(&eastern);
  TlsEnd west_client(&western);
  ASSERT_TRUE(east_client.Connect(east_socket));
  ASSERT_TRUE(west_client.Connect(west_socket));
  EXPECT_TRUE(Answers(east_client));
  EXPECT_TRUE(Answers(west_client));

  ReplaceTestFile(file, SecretFile("trust", Trust(Bundle("east", east_.ChainPem()))));
  EXPECT_TRUE(Eventually([&] { return proxy.Stat("ssl.trust_revoked") == 1; })) << proxy.Output();
  EXPECT_EQ(west_client.Read(), "") << "it ends";
  EXPECT_EQ(proxy.Stat("listener.in.downstream_cx_active"), 1);
  EXPECT_TRUE(Answers(east_client)) << "others are left alone";
  EXPECT_EQ(StatusWith(port_, &western), 0);
}

// ---- Rows 55, 56 and 111.

TEST_F(HandshakeRows, Row55_AnEndWithoutCloseNotifyIsNoEndOfABody) {
  for (const bool notify : {false, true}) {
    SCOPED_TRACE(notify);
    Upstream endpoint([&](Socket& socket, int) {
      TlsEnd server(&server_);
      if (!server.Accept(socket)) return;
      EXPECT_TRUE(absl::StartsWith(server.Read("\r\n\r\n"), "GET / "));
      server.Send("HTTP/1.1 200 OK\r\n\r\nhalf of it?");
      if (notify) SSL_shutdown(server.ssl());
      socket.ShutdownWrite();
      socket.Read(1);
    });
    const int port = FreePort();
    ProxyProcess proxy(
        {HttpListener("in", port, RouteTo("up"))},
        {Cluster("up", {endpoint.port()},
                 absl::StrCat("transport_socket: {name: tls, typed_config: {\"@type\": ", kTls,
                              "UpstreamTlsContext, sni: h, common_tls_context: {",
                              Trust(Bundle("east", east_.ChainPem())), "}}}, "))});
    const Message answer = Ask(port, Get("/"));
    EXPECT_EQ(answer.complete, notify) << answer.head << answer.body;
    if (notify) EXPECT_EQ(answer.body, "half of it?");
  }
}

TEST_F(HandshakeRows, Row56_EarlyDataIsOff) {
  ProxyProcess proxy({HttpListener("in", port_, RouteTo("up"), "", UsualTls())},
                     {Cluster("up", {upstream_.port()})});
  Socket socket = Socket::Connect(port_);
  TlsEnd client(&good_);
  SSL_set_early_data_enabled(client.ssl(), 1);
  ASSERT_TRUE(client.Connect(socket));
  client.Send(Get("/"));
  EXPECT_TRUE(absl::StrContains(client.Read("\r\n\r\n"), "200 OK"));
  EXPECT_FALSE(SSL_SESSION_early_data_capable(SSL_get_session(client.ssl())));
  EXPECT_FALSE(SSL_early_data_accepted(client.ssl()));
}

// Half-way through a change of roots some have certificates of the old one, some of the new.
TEST_F(HandshakeRows, Row111_BothRootsAreTrustedDuringAChange) {
  const certs::Issuer next = *certs::Issuer::CreateRoot("east", absl::Now());
  const Identity new_client = Issued(next, kClientId);
  const int before = FreePort();
  const int after = FreePort();
  const auto listener = [&](const std::string& name, int port, const std::string& roots) {
    return HttpListener(name, port, RouteTo("up"), "", MutualTls(Trust(Bundle("east", roots))));
  };
  ProxyProcess proxy({listener("before", before, east_.ChainPem()),
                      listener("during", port_, east_.ChainPem() + next.ChainPem()),
                      listener("after", after, next.ChainPem())},
                     {Cluster("up", {upstream_.port()})});
  EXPECT_EQ(StatusWith(before, &good_), 200);
  EXPECT_EQ(StatusWith(before, &new_client), 0);
  EXPECT_EQ(StatusWith(port_, &good_), 200);
  EXPECT_EQ(StatusWith(port_, &new_client), 200);
  EXPECT_EQ(StatusWith(after, &good_), 0);
  EXPECT_EQ(StatusWith(after, &new_client), 200);
}

}  // namespace
}  // namespace weft::test
