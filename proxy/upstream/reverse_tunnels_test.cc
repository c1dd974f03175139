#include "proxy/upstream/reverse_tunnels.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"

namespace weft {
namespace {

constexpr uint32_t kStreams = 2;

// A connection that a gateway dialed: it is the server, we are the client.
struct Dialed {
  explicit Dialed(EventLoop& loop) : Dialed(loop, StreamSocketPair()) {}
  Dialed(EventLoop& loop, std::pair<int, int> ends)
      : gateway_bytes(loop, ends.first), our_bytes(loop, ends.second) {
    H2Connection::Setup server;
    server.options.max_concurrent_streams = kStreams;
    gateway = std::make_unique<H2Connection>(loop, gateway_bytes, std::move(server));
    H2Connection::Setup client;
    client.role = H2Connection::Role::kClient;
    ours = std::make_unique<H2Connection>(loop, our_bytes, std::move(client));
  }

  TcpStream gateway_bytes;
  TcpStream our_bytes;
  std::unique_ptr<H2Connection> gateway;
  std::unique_ptr<H2Connection> ours;
};

class ReverseTunnelsTest : public testing::Test {
 protected:
  void Settle() {
    for (int i = 0; i < 20; ++i) loop_.RunOnce(absl::Milliseconds(1));
  }
  // Opens a stream that stays.
  void Use(H2Connection& connection) {
    streams_.push_back(connection.Open());
    RequestHead head;
    head.method = "CONNECT";
    head.authority = "app";
    streams_.back()->WriteHead(head, BodyLength{BodyFraming::kTunnel});
    streams_.back()->Flush();
  }

  EventLoop loop_;
  ReverseTunnels all_;
  Dialed first_{loop_};
  Dialed second_{loop_};
  Dialed other_{loop_};
  std::vector<std::unique_ptr<HttpStream>> streams_;
};

TEST_F(ReverseTunnelsTest, TakesThemInTurnWithinATrustDomain) {
  const ReverseTunnels::Registration a(all_, "east", *first_.ours);
  const ReverseTunnels::Registration b(all_, "east", *second_.ours);
  const ReverseTunnels::Registration c(all_, "west", *other_.ours);
  Settle();
  EXPECT_EQ(all_.Pick("south"), nullptr);
  H2Connection* const one = all_.Pick("east");
  H2Connection* const two = all_.Pick("east");
  EXPECT_NE(one, two);
  EXPECT_EQ(all_.Pick("east"), one);
  EXPECT_EQ(all_.Pick("west"), other_.ours.get());
  EXPECT_EQ(all_.Counts(), (std::map<std::string, uint64_t>{{"east", 2}, {"west", 1}}));
}

TEST_F(ReverseTunnelsTest, PassesOverThoseThatAreFull) {
  const ReverseTunnels::Registration a(all_, "east", *first_.ours);
  const ReverseTunnels::Registration b(all_, "east", *second_.ours);
  Settle();
  for (uint32_t i = 0; i < kStreams; ++i) Use(*first_.ours);
  for (uint32_t i = 0; i < kStreams; ++i) {
    ASSERT_EQ(all_.Pick("east"), second_.ours.get());
    Use(*second_.ours);
  }
  EXPECT_EQ(all_.Pick("east"), nullptr);
  streams_.pop_back();
  Settle();
  EXPECT_EQ(all_.Pick("east"), second_.ours.get());
}

TEST_F(ReverseTunnelsTest, PassesOverThoseThatGoAway) {
  const ReverseTunnels::Registration a(all_, "east", *first_.ours);
  Settle();
  Use(*first_.ours);
  first_.gateway->Drain();
  Settle();
  EXPECT_EQ(all_.Pick("east"), nullptr);
  EXPECT_EQ(all_.Counts().at("east"), 1u) << "it is still there for the stream that it carries";
  const ReverseTunnels::Registration b(all_, "east", *second_.ours);
  EXPECT_EQ(all_.Pick("east"), second_.ours.get());
}

TEST_F(ReverseTunnelsTest, ForgetsWhatEnded) {
  {
    const ReverseTunnels::Registration a(all_, "east", *first_.ours);
    EXPECT_NE(all_.Pick("east"), nullptr);
  }
  EXPECT_EQ(all_.Pick("east"), nullptr);
  EXPECT_TRUE(all_.Counts().empty());
}

}  // namespace
}  // namespace weft
