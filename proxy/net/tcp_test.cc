#include "proxy/net/tcp.h"

#include <gtest/gtest.h>

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

TEST(Address, ReadsAndPrints) {
  for (const char* text : {"1.2.3.4:80", "[::1]:65535", "unix:/tmp/x"}) {
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
