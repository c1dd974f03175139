#include "proxy/upstream/pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/scope.h"

namespace weft {
namespace {

// An HTTP/2 server without TLS. Answers every request but those for /hang.
class Http2Server {
 public:
  explicit Http2Server(EventLoop& loop) : loop_(loop) {
    auto listener = Listener::Create(loop, *Address::Parse("127.0.0.1:0"), Listener::Options());
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    tasks_.Spawn(AcceptAll());
  }
  ~Http2Server() { tasks_.Cancel(); }

  const Address& address() const { return listener_->address(); }
  void StopListening() { listener_.reset(); }
  // Tells the clients to open no more streams.
  void DrainAll() {
    for (H2Connection* connection : live_) connection->Drain();
  }

  Http2Options options;
  int connections = 0;
  int requests = 0;

 private:
  Task<> AcceptAll() {
    while (true) {
      std::unique_ptr<TcpStream> accepted = co_await listener_->Accept();
      ++connections;
      tasks_.Spawn(Serve(std::move(accepted)));
    }
  }
  Task<> Serve(std::unique_ptr<TcpStream> stream) {
    H2Connection connection(loop_, *stream,
                            {H2Connection::Role::kServer, options, false, nullptr, {}});
    live_.push_back(&connection);
    std::vector<std::unique_ptr<HttpStream>> held;
    while (!connection.ended()) {
      while (std::unique_ptr<HttpStream> request = connection.TakeRequest()) {
        ++requests;
        if (request->request().path == "/hang") {
          held.push_back(std::move(request));
          continue;
        }
        ResponseHead head;
        head.status = 200;
        request->WriteHead(head, BodyLength());
      }
      co_await Wait(loop_, {&connection.arrived(), &connection.changed()});
    }
    live_.erase(std::find(live_.begin(), live_.end(), &connection));
  }

  EventLoop& loop_;
  std::unique_ptr<Listener> listener_;
  std::vector<H2Connection*> live_;
  Scope tasks_;
};

struct Outcome {
  bool done = false;
  int status = 0;
  bool reused = false;
  absl::Status error;
  StreamFailure::Kind failure = StreamFailure::Kind::kNone;
};

class PoolTest : public ::testing::Test {
 protected:
  PoolTest() : server_(loop_) {
    cluster_.protocol = UpstreamProtocol::kHttp2;
    cluster_.connect_timeout = absl::Seconds(5);
    endpoint_.address = server_.address();
  }

  Task<> Call(std::string path, Outcome* outcome) {
    Pool::Wanted wanted{cluster_, endpoint_, std::nullopt, loop_.Now() + absl::Seconds(10)};
    Lease lease = pool_.Take(wanted, loop_.Now());
    if (!lease) {
      Pool::Acquired acquired = co_await pool_.Acquire(loop_, wanted);
      outcome->error = acquired.status;
      outcome->done = !acquired.status.ok();
      if (outcome->done) co_return;
      lease = std::move(acquired.lease);
    }
    outcome->reused = lease.reused();
    RequestHead head;
    head.method = "GET";
    head.authority = "a.test";
    head.path = path;
    lease.stream().WriteHead(head, BodyLength());
    while (!outcome->done) {
      switch (lease.stream().Next()) {
        case HttpStream::Event::kHead:
          outcome->status = lease.stream().response().status;
          break;
        case HttpStream::Event::kBody:
          lease.stream().Take(lease.stream().body().size());
          break;
        case HttpStream::Event::kBlocked:
          lease.stream().Flush();
          co_await Wait(loop_, {&lease.stream().readable()});
          break;
        case HttpStream::Event::kEnd:
          outcome->done = true;
          break;
        case HttpStream::Event::kBroken:
          outcome->failure = lease.stream().failure().kind;
          outcome->done = true;
          break;
      }
    }
    lease.Finish(loop_.Now());
  }

  std::vector<Outcome> CallAtOnce(size_t count, const std::string& path = "/") {
    std::vector<Outcome> outcomes(count);
    for (Outcome& outcome : outcomes) tasks_.Spawn(Call(path, &outcome));
    Eventually([&] {
      return std::all_of(outcomes.begin(), outcomes.end(), [](const Outcome& o) { return o.done; });
    });
    return outcomes;
  }

  // Turns the loop until `condition`; false after 20 s.
  bool Eventually(const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (!condition() && absl::Now() < end) loop_.RunOnce(absl::Milliseconds(100));
    return condition();
  }

  EventLoop loop_;
  Http2Server server_;
  ClusterConfig cluster_;
  EndpointConfig endpoint_;
  ClusterUsage usage_;
  ClusterCounters counters_;
  H2Counters http2_counters_;
  Pool pool_{usage_, counters_, http2_counters_};
  Scope tasks_;
};

TEST_F(PoolTest, RequestsOfOneTimeShareTheConnectionThatTheFirstOfThemMakes) {
  const std::vector<Outcome> outcomes = CallAtOnce(50);
  for (const Outcome& one : outcomes) EXPECT_EQ(one.status, 200) << one.error;
  EXPECT_EQ(server_.connections, 1);
  EXPECT_EQ(server_.requests, 50);
  EXPECT_EQ(counters_.upstream_cx_http2_total, 1u);
  EXPECT_EQ(usage_.pending, 0u);
  EXPECT_EQ(usage_.connections, 1u);
}

TEST_F(PoolTest, OpensAnotherConnectionOnlyWhenTheFirstIsFull) {
  server_.options.max_concurrent_streams = 10;
  ASSERT_EQ(CallAtOnce(1)[0].status, 200);  // its settings are known now
  std::vector<Outcome> hung(25);
  for (Outcome& one : hung) tasks_.Spawn(Call("/hang", &one));
  EXPECT_TRUE(Eventually([&] { return server_.requests == 26; }));
  EXPECT_EQ(server_.connections, 3);
  EXPECT_EQ(usage_.connections, 3u);
}

TEST_F(PoolTest, RequestsBeyondTheLastConnectionWaitForAPlace) {
  server_.options.max_concurrent_streams = 1;
  cluster_.limits.max_connections = 1;
  ASSERT_EQ(CallAtOnce(1)[0].status, 200);
  const std::vector<Outcome> outcomes = CallAtOnce(5);
  for (const Outcome& one : outcomes) EXPECT_EQ(one.status, 200) << one.error;
  EXPECT_EQ(server_.connections, 1);
  EXPECT_EQ(counters_.upstream_cx_overflow, 4u);
}

TEST_F(PoolTest, AFailureToConnectIsToldToAllThatWaitedForIt) {
  server_.StopListening();
  const std::vector<Outcome> outcomes = CallAtOnce(20);
  for (const Outcome& one : outcomes) EXPECT_EQ(one.error.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(usage_.connections, 0u);
  EXPECT_TRUE(pool_.unused());
}

TEST_F(PoolTest, AfterAGoawayAnotherConnectionIsUsed) {
  ASSERT_EQ(CallAtOnce(1)[0].status, 200);
  server_.DrainAll();
  for (int i = 0; i < 5; ++i) loop_.RunOnce(absl::Milliseconds(10));
  EXPECT_EQ(CallAtOnce(1)[0].status, 200);
  EXPECT_EQ(server_.connections, 2);
  EXPECT_EQ(usage_.connections, 1u);
}

TEST_F(PoolTest, AConnectionCarriesNoMoreRequestsThanTheClusterSays) {
  cluster_.max_requests_per_connection = 2;
  for (int i = 0; i < 6; ++i) EXPECT_EQ(CallAtOnce(1)[0].reused, i % 2 == 1);
  EXPECT_EQ(server_.connections, 3);
}

TEST_F(PoolTest, RequestsToAGatewayAreSpreadOverConnections) {
  endpoint_.fanout = 3;
  for (int i = 0; i < 24; ++i) EXPECT_EQ(CallAtOnce(1)[0].status, 200);
  EXPECT_EQ(server_.connections, 6);
}

TEST_F(PoolTest, AnIdleConnectionIsClosed) {
  ASSERT_EQ(CallAtOnce(1)[0].status, 200);
  pool_.Sweep(loop_.Now() + absl::Seconds(59), absl::Seconds(60));
  EXPECT_EQ(usage_.connections, 1u);
  pool_.Sweep(loop_.Now() + absl::Seconds(61), absl::Seconds(60));
  EXPECT_EQ(usage_.connections, 0u);
  EXPECT_TRUE(pool_.unused());
}

TEST_F(PoolTest, AConnectionInUseIsNotSweptAway) {
  std::vector<Outcome> hung(3);
  for (Outcome& one : hung) tasks_.Spawn(Call("/hang", &one));
  ASSERT_TRUE(Eventually([&] { return server_.requests == 3; }));
  pool_.Sweep(loop_.Now(), absl::ZeroDuration());
  EXPECT_EQ(usage_.connections, 1u);
  EXPECT_FALSE(hung[0].done);
}

}  // namespace
}  // namespace weft
