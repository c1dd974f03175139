#include "proxy/net/tcp.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "proxy/runtime/scope.h"

namespace weft {
namespace {

Task<> EchoOnce(EventLoop& loop, Listener& listener) {
  std::unique_ptr<TcpStream> stream = co_await listener.Accept();
  Buffer buffer;
  while (true) {
    const IoResult got = stream->Read(buffer, Buffer::kBlockSize);
    if (got.status == IoStatus::kEof) break;
    if (got.status == IoStatus::kBlocked) co_await Wait(loop, {&stream->readable()});
    while (!buffer.empty()) {
      const IoResult sent = stream->Write(buffer.view());
      if (sent.ok()) buffer.Consume(sent.bytes);
      if (sent.status == IoStatus::kBlocked) co_await Wait(loop, {&stream->writable()});
      if (sent.status == IoStatus::kError) co_return;
    }
  }
  stream->CloseWrite();
}

Task<> SendAndCollect(EventLoop& loop, Address to, std::string payload, std::string* received) {
  auto connected = co_await Connect(loop, to, ConnectOptions());
  EXPECT_TRUE(connected.ok()) << connected.status();
  TcpStream& stream = **connected;
  EXPECT_EQ(stream.peer_address().port(), to.port());
  Buffer buffer;
  absl::string_view left = payload;
  while (true) {
    if (!left.empty()) {
      const IoResult sent = stream.Write(left);
      if (sent.ok()) left.remove_prefix(sent.bytes);
      if (left.empty()) stream.CloseWrite();
    }
    const IoResult got = stream.Read(buffer, Buffer::kBlockSize);
    if (got.status == IoStatus::kEof) break;
    if (got.status == IoStatus::kBlocked) {
      co_await Wait(loop, {&stream.readable(), &stream.writable()});
    }
    received->append(buffer.view().data(), buffer.size());
    buffer.Clear();
  }
  loop.Stop();
}

TEST(TcpStream, CarriesMoreThanTheKernelBuffersBothWays) {
  EventLoop loop;
  auto listener = Listener::Create(loop, *Address::Parse("127.0.0.1:0"), Listener::Options());
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::string payload(8 << 20, 'x');
  for (size_t i = 0; i < payload.size(); i += 1000) payload[i] = 'a' + i / 1000 % 26;
  std::string received;
  Scope scope;
  scope.Spawn(EchoOnce(loop, **listener));
  scope.Spawn(SendAndCollect(loop, (*listener)->address(), payload, &received));
  loop.Run();
  EXPECT_EQ(received.size(), payload.size());
  EXPECT_TRUE(received == payload);
}

Task<> ExpectRefused(EventLoop& loop, Address to, absl::Status* status) {
  auto connected = co_await Connect(loop, to, ConnectOptions());
  *status = connected.status();
  loop.Stop();
}

TEST(Connect, SaysWhyItFailed) {
  EventLoop loop;
  auto listener = Listener::Create(loop, *Address::Parse("127.0.0.1:0"), Listener::Options());
  const Address address = (*listener)->address();
  listener->reset();
  absl::Status status;
  Scope scope;
  scope.Spawn(ExpectRefused(loop, address, &status));
  loop.Run();
  EXPECT_EQ(status.message(),
            absl::string_view("connect to " + address.ToString() + ": Connection refused"));
}

TEST(Listener, NamesTheAddressInUse) {
  EventLoop loop;
  Listener::Options alone;
  alone.reuse_port = false;
  auto first = Listener::Create(loop, *Address::Parse("127.0.0.1:0"), alone);
  auto second = Listener::Create(loop, (*first)->address(), alone);
  EXPECT_EQ(second.status().message(),
            absl::string_view("listen on " + (*first)->address().ToString() +
                              ": Address already in use"));
}

TEST(Address, KnowsWildcardsLoopbackAndMappedAddresses) {
  EXPECT_EQ(Address::Parse("[::ffff:10.0.0.1]:80")->Unmapped().ToString(), "10.0.0.1:80");
  EXPECT_EQ(Address::Parse("[::1]:80")->Unmapped().ToString(), "[::1]:80");
  EXPECT_TRUE(Address::Parse("0.0.0.0:80")->is_wildcard());
  EXPECT_TRUE(Address::Parse("[::]:80")->is_wildcard());
  EXPECT_FALSE(Address::Parse("127.0.0.1:80")->is_wildcard());
  EXPECT_TRUE(Address::Parse("127.9.9.9:80")->is_loopback());
  EXPECT_TRUE(Address::Parse("[::1]:80")->is_loopback());
  EXPECT_FALSE(Address::Parse("10.0.0.1:80")->is_loopback());
}

struct Accepted {
  std::unique_ptr<TcpStream> server;
  std::unique_ptr<TcpStream> client;
};

Task<> ConnectPair(EventLoop& loop, Listener& listener, Accepted* pair) {
  auto connected = co_await Connect(loop, listener.address(), ConnectOptions());
  pair->client = std::move(*connected);
  pair->server = co_await listener.Accept();
  loop.Stop();
}

Accepted MakePair(EventLoop& loop, Listener& listener) {
  Accepted pair;
  Scope scope;
  scope.Spawn(ConnectPair(loop, listener, &pair));
  loop.Run();
  return pair;
}

TEST(Listener, AcceptedSocketsKnowTheirAddresses) {
  EventLoop loop;
  for (const char* text : {"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "unix:@weft-tcp-test"}) {
    SCOPED_TRACE(text);
    auto listener = Listener::Create(loop, *Address::Parse(text), Listener::Options());
    ASSERT_TRUE(listener.ok()) << listener.status();
    const Accepted pair = MakePair(loop, **listener);
    EXPECT_EQ(pair.server->peer_address(), pair.client->local_address());
    EXPECT_EQ(pair.server->local_address().port(), pair.client->peer_address().port());
    EXPECT_FALSE(pair.server->local_address().is_wildcard());
  }
}

TEST(Listener, OneSocketTakesBothFamiliesWhereAsked) {
  EventLoop loop;
  Listener::Options both;
  both.ipv4_compat = true;
  auto listener = Listener::Create(loop, *Address::Parse("[::]:0"), both);
  ASSERT_TRUE(listener.ok()) << listener.status();
  auto only_v6 = Listener::Create(loop, *Address::Parse("[::]:0"), Listener::Options());
  const auto over_v4 = [&](Listener& to) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const Address v4 = Address::Parse("127.0.0.1:0")->WithPort(to.address().port());
    const bool connected = connect(fd, v4.get(), v4.length()) == 0;
    std::unique_ptr<TcpStream> accepted = to.TryAccept();
    if (accepted != nullptr) {
      EXPECT_EQ(accepted->peer_address().ip(), "127.0.0.1");
      EXPECT_EQ(accepted->local_address().ip(), "127.0.0.1");
    }
    close(fd);
    return connected;
  };
  EXPECT_TRUE(over_v4(**listener));
  EXPECT_FALSE(over_v4(**only_v6));
}

TEST(Row116HalfOpen, KeepAliveIsOnAtBothEnds) {
  EventLoop loop;
  auto listener = Listener::Create(loop, *Address::Parse("127.0.0.1:0"), Listener::Options());
  const Accepted pair = MakePair(loop, **listener);
  for (const TcpStream* stream : {pair.server.get(), pair.client.get()}) {
    int on = 0;
    int idle = 0;
    socklen_t size = sizeof(int);
    getsockopt(stream->fd(), SOL_SOCKET, SO_KEEPALIVE, &on, &size);
    getsockopt(stream->fd(), IPPROTO_TCP, TCP_KEEPIDLE, &idle, &size);
    EXPECT_EQ(on, 1);
    EXPECT_EQ(idle, TcpKeepalive().idle_seconds);
  }
}

TEST(TcpStream, UnreadBytesComeFirst) {
  EventLoop loop;
  auto listener = Listener::Create(loop, *Address::Parse("127.0.0.1:0"), Listener::Options());
  const Accepted pair = MakePair(loop, **listener);
  Buffer ahead;
  ahead.Append("first");
  pair.server->Unread(std::move(ahead));
  Buffer got;
  EXPECT_EQ(pair.server->Read(got, 3).bytes, 3);
  EXPECT_EQ(pair.server->Read(got, 100).bytes, 2);
  EXPECT_EQ(got.view(), "first");
  EXPECT_EQ(pair.server->Read(got, 100).status, IoStatus::kBlocked);
}

TEST(TcpStream, SeveredIsBrokenAndResetsThePeer) {
  EventLoop loop;
  auto listener = Listener::Create(loop, *Address::Parse("127.0.0.1:0"), Listener::Options());
  Accepted pair = MakePair(loop, **listener);
  pair.server->Sever(ECONNABORTED);
  Buffer got;
  EXPECT_EQ(pair.server->Read(got, 100).status, IoStatus::kError);
  EXPECT_EQ(pair.server->Write("x").status, IoStatus::kError);
  EXPECT_EQ(pair.server->error(), "Software caused connection abort");
}

TEST(Address, ReadsAndPrints) {
  for (const char* text : {"1.2.3.4:80", "[::1]:65535", "unix:/tmp/x", "unix:@abstract"}) {
    auto address = Address::Parse(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->ToString(), text);
  }
  for (const char* text :
       {"", "1.2.3.4", "1.2.3.4:70000", "host:80", "1.2.3:4", ":80", "[::1]:x"}) {
    EXPECT_FALSE(Address::Parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace weft
