// tcp_proxy through the running proxy.
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

struct OneUpstream {
  explicit OneUpstream(Upstream::Script script)
      : upstream(std::move(script)),
        proxy({TcpListener("in", port, "up")}, {Cluster("up", {upstream.port()})}) {}

  Upstream upstream;
  const int port = FreePort();
  ProxyProcess proxy;
};

TEST(Tcp, PassesAHalfCloseOnAndTheAnswerBack) {
  OneUpstream s([](Socket& socket, int) {
    const std::string all = socket.ReadToEnd();
    socket.Send(absl::StrCat("got ", all.size()));
  });
  Socket client = Socket::Connect(s.port);
  client.Send(std::string(300000, 'q'));
  client.ShutdownWrite();
  EXPECT_EQ(client.ReadToEnd(), "got 300000");
  EXPECT_FALSE(client.was_reset());
}

TEST(Tcp, ServerThatEndsFirstStillReads) {
  OneUpstream s([](Socket& socket, int) {
    socket.Send("hello");
    socket.ShutdownWrite();
    EXPECT_EQ(socket.ReadToEnd(), "late");
  });
  Socket client = Socket::Connect(s.port);
  EXPECT_EQ(client.ReadToEnd(), "hello");
  client.Send("late");
}

TEST(Tcp, BothDirectionsAtOnce) {
  const std::string big(8 << 20, 'b');
  OneUpstream s([&](Socket& socket, int) {
    std::thread reader([&] { EXPECT_EQ(socket.Read(big.size()).size(), big.size()); });
    EXPECT_TRUE(socket.Send(big));
    reader.join();
  });
  Socket client = Socket::Connect(s.port);
  std::thread reader([&] { EXPECT_EQ(client.Read(big.size()).size(), big.size()); });
  EXPECT_TRUE(client.Send(big));
  reader.join();
}

TEST(Tcp, AResetIsPassedOnAsAReset) {
  OneUpstream s([](Socket& socket, int) {
    EXPECT_EQ(socket.Read(2), "go");
    socket.Send("part");
    socket.CloseWithReset();
  });
  for (int i = 0; i < 20; ++i) {
    Socket client = Socket::Connect(s.port);
    client.Send("go");
    client.ReadToEnd();
    EXPECT_TRUE(client.was_reset());
  }
}

TEST(Tcp, TriesTheNextEndpointAndClosesWhenThereIsNone) {
  Upstream upstream([](Socket& socket, int) { socket.Send("here"); });
  const int port = FreePort();
  const int dead_port = FreePort();
  ProxyProcess proxy({TcpListener("in", port, "up"), TcpListener("dead", dead_port, "dead")},
                     {Cluster("up", {FreePort(), upstream.port()}), Cluster("dead", {FreePort()})});
  for (int i = 0; i < 10; ++i) {
    Socket client = Socket::Connect(port);
    EXPECT_EQ(client.ReadToEnd(), "here");
  }
  Socket client = Socket::Connect(dead_port);
  EXPECT_TRUE(client.Ended());
}

TEST(Tcp, OriginalDestinationClusterNeverCallsTheProxyItself) {
  const int port = FreePort();
  ProxyProcess proxy({TcpListener("in", port, "through")},
                     {"{name: through, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED}"});
  Socket client = Socket::Connect(port);
  EXPECT_TRUE(client.Ended());
  EXPECT_EQ(proxy.Stat("upstream_cx_total"), 0);
}

}  // namespace
}  // namespace weft::test
