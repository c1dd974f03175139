#include "proxy/upstream/health_checks.h"

#include <gtest/gtest.h>

#include <map>

#include "absl/time/clock.h"
#include "proxy/net/tcp.h"
#include "proxy/upstream/health_state.h"

namespace weft {
namespace {

TEST(HealthState, ThresholdsAndEdges) {
  HealthCheckConfig config;
  config.unhealthy_threshold = 3;
  config.healthy_threshold = 2;
  // 'p' passed, 'd' degraded, 'f' failed, 'r' refused; the state after each: H, D or U.
  const struct {
    const char* results;
    const char* states;
  } cases[] = {
      {"p", "H"},
      {"f", "U"},
      {"r", "U"},
      {"pfffp", "HHHUU"},
      {"pffpffpp", "HHHHHHHH"},
      {"prpp", "HUUH"},
      {"fppfff", "UUHHHU"},
      {"pdp", "HDH"},
      {"fdd", "UUD"},
  };
  for (const auto& c : cases) {
    HealthState state;
    std::string states;
    for (const char* result = c.results; *result != 0; ++result) {
      state.Note(config, *result == 'p'   ? CheckResult::kPassed
                         : *result == 'd' ? CheckResult::kDegraded
                         : *result == 'f' ? CheckResult::kFailed
                                          : CheckResult::kRefused);
      states += state.health() == CheckedHealth::kPassing    ? 'H'
                : state.health() == CheckedHealth::kDegraded ? 'D'
                                                             : 'U';
    }
    EXPECT_EQ(states, c.states) << c.results;
  }
}

TEST(HealthState, IntervalsByState) {
  HealthCheckConfig config;
  config.interval = absl::Seconds(1);
  config.unhealthy_edge_interval = absl::Seconds(2);
  config.unhealthy_interval = absl::Seconds(3);
  config.healthy_edge_interval = absl::Seconds(4);
  config.interval_jitter_percent = 10;
  HealthState state;
  const struct {
    CheckResult result;
    int seconds;
  } steps[] = {{CheckResult::kPassed, 1},
               {CheckResult::kFailed, 2},
               {CheckResult::kFailed, 3},
               {CheckResult::kPassed, 4},
               {CheckResult::kPassed, 1}};
  for (const auto& step : steps) {
    state.Note(config, step.result);
    EXPECT_EQ(state.NextIn(config, 0), absl::Seconds(step.seconds));
    EXPECT_EQ(state.NextIn(config, 0.5), absl::Seconds(step.seconds) * 1.05);
  }
}

// A server that answers each connection, once it has heard something or at once, with `answer`, and
// stays silent if that is empty.
class Server {
 public:
  Server(EventLoop& loop, bool speaks_first) : loop_(loop), speaks_first_(speaks_first) {
    Listener::Options options;
    options.reuse_port = false;
    listener_ = *Listener::Create(loop, *Address::Ip("127.0.0.1", 0), options);
    tasks_.Spawn(Accept());
  }

  const Address& address() const { return listener_->address(); }
  std::string answer;
  std::string heard;
  int connections = 0;

 private:
  Task<> Accept() {
    while (true) {
      std::unique_ptr<TcpStream> stream = co_await listener_->Accept();
      ++connections;
      tasks_.Spawn(Serve(std::move(stream)));
    }
  }
  Task<> Serve(std::unique_ptr<TcpStream> stream) {
    Buffer in;
    while (!speaks_first_ && in.empty()) {
      const IoResult got = stream->Read(in, Buffer::kBlockSize);
      if (got.status == IoStatus::kEof || got.status == IoStatus::kError) co_return;
      if (got.status == IoStatus::kBlocked) co_await Wait(loop_, {&stream->readable()});
    }
    heard = std::string(in.view());
    if (!answer.empty()) stream->Write(answer);
    co_await Sleep(loop_, absl::Seconds(5));
  }

  EventLoop& loop_;
  const bool speaks_first_;
  std::unique_ptr<Listener> listener_;
  Scope tasks_;
};

class HealthChecksTest : public testing::Test {
 protected:
  HealthChecksTest()
      : checks_(loop_, std::nullopt,
                [this](const std::string&, const std::string& key, CheckedHealth health) {
                  told_[key] = health;
                }) {}

  std::shared_ptr<ClusterConfig> Cluster(const Server& server, HealthCheckConfig check) {
    check.timeout = absl::Milliseconds(200);
    check.interval = check.unhealthy_interval = absl::Milliseconds(5);
    check.unhealthy_edge_interval = check.healthy_edge_interval = absl::Milliseconds(5);
    auto set = std::make_shared<EndpointSet>();
    EndpointConfig& endpoint = set->endpoints.emplace_back();
    endpoint.address = server.address();
    endpoint.key = "e";
    endpoint.checked = CheckedHealth::kFailing;
    auto cluster = std::make_shared<ClusterConfig>();
    cluster->name = "c";
    cluster->endpoints = set;
    cluster->health_check = std::make_shared<HealthCheckConfig>(std::move(check));
    return cluster;
  }

  static HealthCheckConfig Http() {
    HealthCheckConfig check;
    check.kind = HealthCheckConfig::Kind::kHttp;
    check.method = "GET";
    check.path = "/health";
    check.expected_statuses = {{200, 200}};
    check.headers = {{"x-check", "1"}};
    return check;
  }

  bool Becomes(CheckedHealth health) {
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (told_["e"] != health && absl::Now() < end) loop_.RunOnce(absl::Milliseconds(100));
    return told_["e"] == health;
  }

  EventLoop loop_;
  std::map<std::string, CheckedHealth> told_;
  HealthChecks checks_;
};

constexpr char kOk[] = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

TEST_F(HealthChecksTest, HttpFollowsWhatTheEndpointAnswers) {
  Server server(loop_, /*speaks_first=*/false);
  server.answer = kOk;
  checks_.Follow({Cluster(server, Http())});
  EXPECT_TRUE(Becomes(CheckedHealth::kPassing));
  EXPECT_NE(server.heard.find("GET /health HTTP/1.1\r\n"), std::string::npos) << server.heard;
  EXPECT_NE(server.heard.find("x-check: 1\r\n"), std::string::npos) << server.heard;
  server.answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
  EXPECT_TRUE(Becomes(CheckedHealth::kFailing));
  server.answer = "HTTP/1.1 200 OK\r\nx-envoy-degraded: 1\r\ncontent-length: 0\r\n\r\n";
  EXPECT_TRUE(Becomes(CheckedHealth::kDegraded));
  server.answer = "no http";
  EXPECT_TRUE(Becomes(CheckedHealth::kFailing));
}

TEST_F(HealthChecksTest, SilenceIsAFailureOnceTheTimeoutIsOver) {
  Server server(loop_, /*speaks_first=*/false);
  checks_.Follow({Cluster(server, Http())});
  EXPECT_TRUE(Becomes(CheckedHealth::kFailing));
}

TEST_F(HealthChecksTest, TcpLooksForThePayloadsInOrder) {
  Server server(loop_, /*speaks_first=*/true);
  HealthCheckConfig check;
  check.receive = {"220", "ready"};
  server.answer = "220 mail is ready\r\n";
  checks_.Follow({Cluster(server, check)});
  EXPECT_TRUE(Becomes(CheckedHealth::kPassing));
  server.answer = "ready 220\r\n";
  EXPECT_TRUE(Becomes(CheckedHealth::kFailing));
}

TEST_F(HealthChecksTest, TcpWithoutPayloadsOnlyConnects) {
  Server server(loop_, /*speaks_first=*/true);
  checks_.Follow({Cluster(server, HealthCheckConfig())});
  EXPECT_TRUE(Becomes(CheckedHealth::kPassing));
}

TEST_F(HealthChecksTest, GrpcAgainstSomethingElseFails) {
  Server server(loop_, /*speaks_first=*/false);
  server.answer = kOk;
  HealthCheckConfig check;
  check.kind = HealthCheckConfig::Kind::kGrpc;
  checks_.Follow({Cluster(server, check)});
  EXPECT_TRUE(Becomes(CheckedHealth::kFailing));
}

TEST_F(HealthChecksTest, WhatIsNotFollowedIsNotChecked) {
  Server server(loop_, /*speaks_first=*/true);
  checks_.Follow({Cluster(server, HealthCheckConfig())});
  EXPECT_TRUE(Becomes(CheckedHealth::kPassing));
  checks_.Follow({});
  loop_.RunOnce(absl::ZeroDuration());  // what has connected is accepted
  const int before = server.connections;
  const absl::Time end = absl::Now() + absl::Milliseconds(50);
  while (absl::Now() < end) loop_.RunOnce(absl::Milliseconds(5));
  EXPECT_LE(server.connections, before + 1) << "one may have been on its way";
}

}  // namespace
}  // namespace weft
