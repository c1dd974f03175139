#include "proxy/tls/tls_stream.h"

#include <sys/socket.h>

#include <utility>

#include "absl/strings/match.h"
#include "certs/issuer.h"
#include "certs/test_certificate.h"
#include "gtest/gtest.h"
#include "proxy/net/tcp.h"

namespace weft {
namespace {

using TlsResult = absl::StatusOr<std::unique_ptr<TlsStream>>;

TlsCertificate LeafOf(const certs::Issuer& issuer, const std::string& uri, absl::Time issued) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  TlsCertificate leaf;
  leaf.key_pem = key.ToPem();
  leaf.chain_pem =
      issuer.Issue(key.public_key(), *certs::SpiffeId::Parse(uri), certs::kLeafValidity, issued)
          ->front();
  return leaf;
}

SanMatch Exactly(std::string value) {
  SanMatch match;
  match.value = std::move(value);
  return match;
}

Task<> Store(Task<TlsResult> task, TlsResult* into, int* left, EventLoop* loop) {
  *into = co_await std::move(task);
  if (--*left == 0) loop->Stop();
}

Task<> StopAt(EventLoop* loop, MonotonicTime deadline) {
  co_await Wait(*loop, {}, deadline);
  ADD_FAILURE() << "the test took too long";
  loop->Stop();
}

Task<> CopyBack(EventLoop& loop, ByteStream& stream) {
  Buffer buffer;
  while (true) {
    const IoResult got = stream.Read(buffer, Buffer::kBlockSize);
    if (got.status == IoStatus::kEof) break;
    EXPECT_NE(got.status, IoStatus::kError) << stream.error();
    if (got.status == IoStatus::kError) co_return;
    if (got.status == IoStatus::kBlocked) co_await Wait(loop, {&stream.readable()});
    while (!buffer.empty()) {
      const IoResult sent = stream.Write(buffer.view());
      if (sent.ok()) buffer.Consume(sent.bytes);
      if (sent.status == IoStatus::kBlocked) co_await Wait(loop, {&stream.writable()});
      EXPECT_NE(sent.status, IoStatus::kError) << stream.error();
      if (sent.status == IoStatus::kError) co_return;
    }
  }
  stream.CloseWrite();
}

// Several parts of very different sizes per write, as a codec's head and body.
Task<> SendAll(EventLoop& loop, ByteStream& stream, absl::string_view payload) {
  while (!payload.empty()) {
    const absl::string_view parts[] = {payload.substr(0, 100), absl::string_view(),
                                       payload.substr(std::min<size_t>(payload.size(), 100), 3000),
                                       payload.substr(std::min<size_t>(payload.size(), 3100))};
    const IoResult sent = stream.Write(parts);
    EXPECT_NE(sent.status, IoStatus::kError) << stream.error();
    if (sent.status == IoStatus::kError) co_return;
    if (sent.ok()) payload.remove_prefix(sent.bytes);
    if (sent.status == IoStatus::kBlocked) co_await Wait(loop, {&stream.writable()});
  }
  stream.CloseWrite();
}

Task<> ReceiveAll(EventLoop& loop, ByteStream& stream, std::string* received, IoStatus* end) {
  Buffer buffer;
  while (true) {
    const IoResult got = stream.Read(buffer, Buffer::kBlockSize);
    received->append(buffer.data(), buffer.size());
    buffer.Clear();
    if (got.status == IoStatus::kBlocked) {
      co_await Wait(loop, {&stream.readable()});
    } else if (!got.ok()) {
      *end = got.status;
      break;
    }
  }
  loop.Stop();
}

// Bytes from one stream to another, one at a time and a turn of the loop apart.
Task<> Dribble(EventLoop& loop, ByteStream& from, ByteStream& to) {
  Buffer buffer;
  while (true) {
    const IoResult got = from.Read(buffer, Buffer::kBlockSize);
    if (got.status == IoStatus::kBlocked) co_await Wait(loop, {&from.readable()});
    if (got.status == IoStatus::kEof || got.status == IoStatus::kError) co_return;
    while (!buffer.empty()) {
      const IoResult sent = to.Write(buffer.view().substr(0, 1));
      if (sent.status == IoStatus::kError) co_return;
      if (sent.ok()) buffer.Consume(1);
      if (sent.status == IoStatus::kBlocked) co_await Wait(loop, {&to.writable()});
      co_await Sleep(loop, absl::ZeroDuration());
    }
  }
}

class TlsStreamTest : public testing::Test {
 protected:
  TlsStreamTest() {
    auto bundles = std::make_shared<certs::TrustBundles>();
    EXPECT_TRUE(bundles->Set("east", east_.ChainPem()).ok());
    bundles_ = bundles;
    server_.certificate = LeafOf(east_, "spiffe://east/ns/default/sa/server", now_);
    server_.client_trust.emplace();
    server_.client_trust->bundles = bundles_;
    server_.require_client_certificate = true;
    server_.tls13_only = true;
    client_.certificate = LeafOf(east_, "spiffe://east/ns/default/sa/client", now_);
    client_.server_trust.bundles = bundles_;
    client_.tls13_only = true;
  }

  std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> Pair() {
    const std::pair<int, int> fds = StreamSocketPair();
    return {std::make_unique<TcpStream>(loop_, fds.first),
            std::make_unique<TcpStream>(loop_, fds.second)};
  }

  // Both handshakes over these streams; results in server_end_ and client_end_.
  void Handshake(std::unique_ptr<ByteStream> server_side, std::unique_ptr<ByteStream> client_side) {
    auto server = ServerTlsContext::Create(server_);
    auto client = ClientTlsContext::Create(client_);
    ASSERT_TRUE(server.ok()) << server.status();
    ASSERT_TRUE(client.ok()) << client.status();
    const MonotonicTime deadline = loop_.Now() + absl::Seconds(10);
    int left = 2;
    scope_.Spawn(StopAt(&loop_, deadline));
    scope_.Spawn(Store(
        TlsStream::Accept(loop_, std::move(server_side), *server, std::move(sniffed_), deadline),
        &server_end_, &left, &loop_));
    scope_.Spawn(Store(TlsStream::Connect(loop_, std::move(client_side), *client, deadline),
                       &client_end_, &left, &loop_));
    loop_.Run();
  }

  void Handshake() {
    auto [a, b] = Pair();
    Handshake(std::move(a), std::move(b));
  }

  void ExpectBothUp() {
    ASSERT_TRUE(server_end_.ok()) << server_end_.status();
    ASSERT_TRUE(client_end_.ok()) << client_end_.status();
  }

  static void ExpectRefused(const TlsResult& end, absl::string_view reason) {
    EXPECT_EQ(end.status().code(), absl::StatusCode::kUnauthenticated) << end.status();
    EXPECT_TRUE(absl::StrContains(end.status().message(), reason)) << end.status();
  }

  // What the client sends comes back from an echoing server.
  void ExpectEcho(const std::string& payload) {
    std::string received;
    IoStatus end = IoStatus::kOk;
    scope_.Spawn(CopyBack(loop_, **server_end_));
    scope_.Spawn(SendAll(loop_, **client_end_, payload));
    scope_.Spawn(ReceiveAll(loop_, **client_end_, &received, &end));
    loop_.Run();
    EXPECT_EQ(end, IoStatus::kEof);
    EXPECT_EQ(received.size(), payload.size());
    EXPECT_TRUE(received == payload);
  }

  const absl::Time now_ = absl::Now();
  const certs::Issuer east_ = *certs::Issuer::CreateRoot("east", now_ - absl::Hours(1000));
  const certs::Issuer west_ = *certs::Issuer::CreateRoot("west", now_);
  std::shared_ptr<const certs::TrustBundles> bundles_;
  ServerTlsOptions server_;
  ClientTlsOptions client_;
  Buffer sniffed_;
  EventLoop loop_;
  TlsResult server_end_ = absl::UnknownError("no handshake");
  TlsResult client_end_ = absl::UnknownError("no handshake");
  Scope scope_;
};

TEST_F(TlsStreamTest, BothEndsKnowWhoTheOtherIs) {
  server_.alpn = {"h2", "http/1.1"};
  client_.alpn = {"http/1.1", "h2"};
  client_.sni = "outbound_.80_._.web.default.svc.cluster.local";
  Handshake();
  ExpectBothUp();
  const TlsStream& server = **server_end_;
  const TlsStream& client = **client_end_;
  ASSERT_NE(server.peer(), nullptr);
  EXPECT_EQ(server.peer()->id->ToString(), "spiffe://east/ns/default/sa/client");
  EXPECT_EQ(server.peer()->names.uris,
            std::vector<std::string>{"spiffe://east/ns/default/sa/client"});
  EXPECT_EQ(server.peer()->sha256.size(), 64u);
  EXPECT_EQ(server.local_uri(), "spiffe://east/ns/default/sa/server");
  EXPECT_EQ(client.peer()->id->ToString(), "spiffe://east/ns/default/sa/server");
  EXPECT_EQ(server.alpn(), "h2");  // the server's preference
  EXPECT_EQ(client.alpn(), "h2");
  EXPECT_EQ(server.sni(), client_.sni);
  EXPECT_EQ(server.version(), "TLSv1.3");
}

TEST_F(TlsStreamTest, EchoesMoreThanTheKernelBuffers) {
  Handshake();
  ExpectBothUp();
  std::string payload(1 << 20, 'x');
  for (size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(i * i >> 7);
  ExpectEcho(payload);
}

TEST_F(TlsStreamTest, EchoesOverTls12Too) {
  server_.tls13_only = client_.tls13_only = false;
  // A client context that can only do 1.2 stands for an old client.
  auto context = ClientTlsContext::Create(client_);
  ASSERT_TRUE(context.ok());
  SSL_CTX_set_max_proto_version((*context)->ssl_ctx(), TLS1_2_VERSION);
  auto server = ServerTlsContext::Create(server_);
  auto [a, b] = Pair();
  int left = 2;
  scope_.Spawn(StopAt(&loop_, loop_.Now() + absl::Seconds(10)));
  scope_.Spawn(Store(TlsStream::Accept(loop_, std::move(a), *server, Buffer(), kNever),
                     &server_end_, &left, &loop_));
  scope_.Spawn(Store(TlsStream::Connect(loop_, std::move(b), *context, kNever), &client_end_, &left,
                     &loop_));
  loop_.Run();
  ExpectBothUp();
  EXPECT_EQ((*server_end_)->version(), "TLSv1.2");
  EXPECT_NE((*server_end_)->peer(), nullptr);
  ExpectEcho(std::string(300'000, 'y'));
}

TEST_F(TlsStreamTest, Row45ClientHelloOneByteAtATime) {
  auto [server_side, server_relay] = Pair();
  auto [client_relay, client_side] = Pair();
  scope_.Spawn(Dribble(loop_, *client_relay, *server_relay));
  scope_.Spawn(Dribble(loop_, *server_relay, *client_relay));
  Handshake(std::move(server_side), std::move(client_side));
  ExpectBothUp();
  scope_.Cancel();
}

TEST_F(TlsStreamTest, StartsWithBytesAlreadySniffed) {
  auto [server_side, client_side] = Pair();
  auto [relay, client_end] = Pair();
  // The client's hello is read off its socket first, as a sniffing listener does.
  auto client = ClientTlsContext::Create(client_);
  auto server = ServerTlsContext::Create(server_);
  int left = 2;
  scope_.Spawn(StopAt(&loop_, loop_.Now() + absl::Seconds(10)));
  scope_.Spawn(Store(TlsStream::Connect(loop_, std::move(client_side), *client, kNever),
                     &client_end_, &left, &loop_));
  loop_.RunOnce(absl::Milliseconds(100));
  ASSERT_TRUE(server_side->Read(sniffed_, Buffer::kBlockSize).ok());
  scope_.Spawn(
      Store(TlsStream::Accept(loop_, std::move(server_side), *server, std::move(sniffed_), kNever),
            &server_end_, &left, &loop_));
  loop_.Run();
  ExpectBothUp();
}

TEST_F(TlsStreamTest, Row51RefusesAnotherTrustDomain) {
  client_.certificate = LeafOf(west_, "spiffe://west/ns/default/sa/client", now_);
  Handshake();
  ExpectRefused(server_end_, "unknown trust domain west");
}

TEST_F(TlsStreamTest, Row51RefusesAServerOfAnotherTrustDomain) {
  server_.certificate = LeafOf(west_, "spiffe://west/ns/default/sa/server", now_);
  Handshake();
  ExpectRefused(client_end_, "unknown trust domain west");
  EXPECT_FALSE(server_end_.ok());
}

TEST_F(TlsStreamTest, RefusesAServerWithoutTheRequiredName) {
  client_.server_trust.sans = {Exactly("spiffe://east/ns/default/sa/other")};
  Handshake();
  ExpectRefused(client_end_, "no required name");
}

TEST_F(TlsStreamTest, OneOfTheRequiredNamesIsEnough) {
  SanMatch prefix = Exactly("spiffe://east/ns/default/");
  prefix.kind = SanMatch::Kind::kPrefix;
  client_.server_trust.sans = {Exactly("spiffe://east/ns/default/sa/other"), prefix};
  Handshake();
  ExpectBothUp();
}

TEST_F(TlsStreamTest, Row52RefusesAnExpiredPeer) {
  client_.certificate = LeafOf(east_, "spiffe://east/ns/default/sa/client", now_ - absl::Hours(48));
  Handshake();
  ExpectRefused(server_end_, "expired");
}

TEST_F(TlsStreamTest, RefusesAClientWithoutCertificate) {
  client_.certificate.reset();
  Handshake();
  EXPECT_FALSE(server_end_.ok());
  EXPECT_TRUE(absl::StrContains(server_end_.status().message(), "PEER_DID_NOT_RETURN"))
      << server_end_.status();
  // In TLS 1.3 the client learns of it by its first read.
  ASSERT_TRUE(client_end_.ok()) << client_end_.status();
  Buffer buffer;
  EXPECT_EQ((*client_end_)->Read(buffer, 100).status, IoStatus::kError);
  EXPECT_TRUE(absl::StrContains((*client_end_)->error(), "CERTIFICATE_REQUIRED"))
      << (*client_end_)->error();
}

TEST_F(TlsStreamTest, AClientCertificateMayBeOptionalButIsVerified) {
  server_.require_client_certificate = false;
  client_.certificate.reset();
  Handshake();
  ExpectBothUp();
  EXPECT_EQ((*server_end_)->peer(), nullptr);
}

TEST_F(TlsStreamTest, PlainPkiChecksTheHostName) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  certs::TestCertificateOptions leaf;
  leaf.dns = {"*.example.com"};
  leaf.not_before = now_ - absl::Hours(1);
  leaf.not_after = now_ + absl::Hours(1);
  server_ = ServerTlsOptions();
  server_.certificate.key_pem = key.ToPem();
  server_.certificate.chain_pem = certs::MakeTestCertificate(east_, key.public_key(), leaf).ToPem();
  client_ = ClientTlsOptions();
  client_.server_trust.ca_pem = east_.ChainPem();
  client_.server_trust.verify_host = "www.example.com";
  Handshake();
  ExpectBothUp();
  EXPECT_FALSE((*client_end_)->peer()->id.has_value());
  scope_.Cancel();
  client_.server_trust.verify_host = "www.example.org";
  Handshake();
  ExpectRefused(client_end_, "not for www.example.org");
}

TEST_F(TlsStreamTest, Row55AnEndWithoutCloseNotifyIsAnError) {
  Handshake();
  ExpectBothUp();
  std::string received;
  IoStatus end = IoStatus::kOk;
  ASSERT_TRUE((*client_end_)->Write("half").ok());
  (*client_end_)->inner().CloseWrite();  // FIN alone
  scope_.Spawn(ReceiveAll(loop_, **server_end_, &received, &end));
  loop_.Run();
  EXPECT_EQ(received, "half");
  EXPECT_EQ(end, IoStatus::kError);
  EXPECT_TRUE((*server_end_)->truncated());
}

TEST_F(TlsStreamTest, CloseNotifyArrivesAlsoThroughAFullSocket) {
  Handshake();
  ExpectBothUp();
  // Fill the socket to the last byte, then close without waiting for room.
  const std::string chunk(10'000, 'z');
  size_t sent = 0;
  IoResult result;
  while ((result = (*client_end_)->Write(chunk)).ok()) sent += result.bytes;
  ASSERT_EQ(result.status, IoStatus::kBlocked);
  (*client_end_)->CloseWrite();
  std::string received;
  IoStatus end = IoStatus::kOk;
  scope_.Spawn(ReceiveAll(loop_, **server_end_, &received, &end));
  loop_.Run();
  EXPECT_EQ(end, IoStatus::kEof);
  EXPECT_GE(received.size(), sent);
  EXPECT_LE(received.size(), sent + chunk.size());
}

TEST_F(TlsStreamTest, Row57PlaintextAndSilenceEndTheHandshake) {
  auto context = ServerTlsContext::Create(server_);
  for (absl::string_view first : {"GET / HTTP/1.1\r\n\r\n", ""}) {
    auto [server_side, client_side] = Pair();
    if (!first.empty()) ASSERT_TRUE(client_side->Write(first).ok());
    int left = 1;
    Scope scope;
    scope.Spawn(Store(TlsStream::Accept(loop_, std::move(server_side), *context, Buffer(),
                                        loop_.Now() + absl::Milliseconds(50)),
                      &server_end_, &left, &loop_));
    while (left > 0) loop_.RunOnce(absl::Milliseconds(100));
    EXPECT_EQ(server_end_.status().code(),
              first.empty() ? absl::StatusCode::kDeadlineExceeded : absl::StatusCode::kUnavailable)
        << server_end_.status();
  }
}

TEST_F(TlsStreamTest, Row53LiveConnectionsOutliveARotation) {
  Handshake();
  ExpectBothUp();
  TlsResult old_server = std::move(server_end_);
  TlsResult old_client = std::move(client_end_);
  scope_.Cancel();
  server_.certificate = LeafOf(east_, "spiffe://east/ns/default/sa/server", now_);
  Handshake();
  ExpectBothUp();
  EXPECT_NE((*client_end_)->peer()->sha256, (*old_client)->peer()->sha256);
  server_end_ = std::move(old_server);
  client_end_ = std::move(old_client);
  ExpectEcho("still here");
}

TEST(TlsContext, RefusesWhatCannotWork) {
  ServerTlsOptions server;
  EXPECT_FALSE(ServerTlsContext::Create(server).ok());
  const certs::Issuer east = *certs::Issuer::CreateRoot("east", absl::Now());
  const std::string uri = "spiffe://east/ns/default/sa/web";
  server.certificate = LeafOf(east, uri, absl::Now());
  EXPECT_TRUE(ServerTlsContext::Create(server).ok());
  server.certificate.key_pem = certs::PrivateKey::Generate().ToPem();
  EXPECT_FALSE(ServerTlsContext::Create(server).ok());
  server.certificate = LeafOf(east, uri, absl::Now());
  server.require_client_certificate = true;
  EXPECT_FALSE(ServerTlsContext::Create(server).ok());
  ClientTlsOptions client;
  EXPECT_FALSE(ClientTlsContext::Create(client).ok());  // trusting nobody is not anybody
  client.server_trust.accept_anyone = true;
  EXPECT_TRUE(ClientTlsContext::Create(client).ok());
  client.server_trust.ca_pem = east.ChainPem();
  EXPECT_FALSE(ClientTlsContext::Create(client).ok());
  client.server_trust.accept_anyone = false;
  client.alpn = {""};
  EXPECT_FALSE(ClientTlsContext::Create(client).ok());
}

}  // namespace
}  // namespace weft
