// What a running proxy lives through: rows 114 to 117 of bad input. Clocks that jump, gateways that
// die, peers that are gone without a word, processes that stand still.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"
#include "test/proxy/http2_peer.h"

namespace weft::test {
namespace {

// ---- Row 114.

// The wall clock of processes that are started while it lives (clock_jump.cc).
class WrongClock {
 public:
  WrongClock() : path_(WriteTestFile("clock", std::string(sizeof(int64_t), '\0'))) {
    const int fd = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    offset_ = static_cast<std::atomic<int64_t>*>(
        mmap(nullptr, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    close(fd);
    setenv("WEFT_TEST_CLOCK", path_.c_str(), 1);
    setenv("LD_PRELOAD", "test/proxy/libclock_jump.so", 1);
  }
  ~WrongClock() {
    unsetenv("LD_PRELOAD");
    munmap(offset_, sizeof(int64_t));
  }

  void Jump(absl::Duration by) { *offset_ += absl::ToInt64Seconds(by); }

 private:
  const std::string path_;
  std::atomic<int64_t>* offset_;
};

TEST(Survival, Row114_AClockThatJumpsNeitherEndsNorProlongsAnything) {
  std::atomic<bool> release{false};
  Upstream upstream([&](Socket& socket, int) {
    while (true) {
      const Message request = socket.ReadRequest();
      if (!request.complete) return;
      if (absl::StartsWith(request.head, "GET /slow")) Eventually([&] { return release.load(); });
      if (absl::StartsWith(request.head, "GET /never")) socket.Read(1);
      socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    }
  });
  const std::string log = WriteTestFile("access.log", "");
  const auto last_start = [&] {
    std::ifstream file(log);
    int64_t start = 0;
    for (std::string line; std::getline(file, line);) (void)absl::SimpleAtoi(line, &start);
    return start;
  };
  const int port = FreePort();
  WrongClock clock;
  ProxyProcess proxy(
      {HttpListener(
          "in", port,
          "{match: {path: /never}, route: {cluster: up, timeout: 0.3s}}, " +
              RouteTo("up", "timeout: 30s"),
          absl::StrCat("stream_idle_timeout: 20s, common_http_protocol_options: {idle_timeout: "
                       "20s}, access_log: [{name: file, typed_config: {\"@type\": "
                       "type.googleapis.com/envoy.extensions.access_loggers.file.v3."
                       "FileAccessLog, path: ",
                       log,
                       ", log_format: {text_format_source: {inline_string: "
                       "\"%START_TIME(%s)%\\n\"}}}}],"))},
      {Cluster("up", {upstream.port()})});
  Socket idle = Socket::Connect(port);
  idle.Send(Get("/"));
  EXPECT_EQ(idle.ReadResponse().body, "ok");
  Socket busy = Socket::Connect(port);
  busy.Send(Get("/slow"));
  EXPECT_TRUE(Eventually([&] { return proxy.Stat("downstream_rq_active") == 1; }));
  absl::Duration wrong = absl::ZeroDuration();
  for (const absl::Duration jump : {absl::Hours(1), absl::Hours(-2), absl::Hours(25)}) {
    SCOPED_TRACE(absl::FormatDuration(jump));
    clock.Jump(jump);
    wrong += jump;
    // Time for whatever would be due now.
    absl::SleepFor(absl::Milliseconds(200));
    idle.Send(Get("/"));
    EXPECT_EQ(idle.ReadResponse().body, "ok");
    const int64_t expected = absl::ToUnixSeconds(absl::Now() + wrong);
    EXPECT_TRUE(Eventually([&] { return std::abs(last_start() - expected) < 60; }))
        << "the proxy saw no jump";
    const absl::Time start = absl::Now();
    EXPECT_EQ(Ask(port, Get("/never")).status(), 504);
    EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  }
  release = true;
  EXPECT_EQ(busy.ReadResponse().body, "ok");
}

// ---- Row 115.

TEST(Survival, Row115_AGatewayKilledMidStreamCostsOnlyWhatWasInFlight) {
  std::atomic<int> posts{0};
  std::atomic<bool> release{false};
  Upstream upstream([&](Socket& socket, int) {
    while (true) {
      const Message request = socket.ReadRequest();
      if (!request.complete) return;
      if (absl::StartsWith(request.head, "GET /stream")) {
        socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart");
        socket.Read(1);
        return;
      }
      if (absl::StartsWith(request.head, "POST /")) {
        ++posts;
        if (!release) {
          socket.Read(1);
          return;
        }
      }
      socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    }
  });
  std::vector<std::unique_ptr<ProxyProcess>> gateways;
  std::vector<int> ports;
  for (int i = 0; i < 2; ++i) {
    ports.push_back(FreePort());
    gateways.push_back(std::make_unique<ProxyProcess>(
        std::vector<std::string>{TcpListener("gateway", ports.back(), "up")},
        std::vector<std::string>{Cluster("up", {upstream.port()})}));
  }
  const int port = FreePort();
  ProxyProcess proxy(
      {HttpListener("in", port,
                    RouteTo("gateways",
                            "retry_policy: {num_retries: 2, retry_on: \"connect-failure,"
                            "reset-before-request,retriable-status-codes\", "
                            "retriable_status_codes: [503]}"))},
      {Cluster("gateways", ports)});
  Socket streaming = Socket::Connect(port);
  streaming.Send(Get("/stream"));
  const auto active = [&](int gateway) {
    return gateways[gateway]->Stat("tcp.gateway.downstream_cx_active");
  };
  EXPECT_TRUE(Eventually([&] { return active(0) + active(1) == 1; }));
  const int dying = active(0) == 1 ? 0 : 1;
  // A call that the dying gateway passed on, and whose answer nobody will bring.
  std::vector<Socket> posting;
  while (active(dying) < 2 && posting.size() < 10) {
    posting.push_back(Socket::Connect(port));
    posting.back().Send("POST /pay HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\npay");
    const int sent = static_cast<int>(posting.size());
    EXPECT_TRUE(Eventually([&] { return posts == sent; }));
  }
  gateways[dying]->Kill();
  EXPECT_FALSE(streaming.ReadResponse().complete);
  EXPECT_EQ(posting.back().ReadResponse().status(), 503);
  EXPECT_EQ(posts, static_cast<int>(posting.size())) << "what may have been done was done again";
  release = true;
  Socket client = Socket::Connect(port);
  for (int i = 0; i < 50; ++i) {
    client.Send(i % 2 == 0 ? Get("/") : "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
    ASSERT_EQ(client.ReadResponse().status(), 200) << i;
  }
}

// ---- Row 116.

TEST(Survival, Row116_AClientThatAnswersNoPingIsGone) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy(
      {HttpListener("in", port, RouteTo("up"),
                    "http2_protocol_options: {connection_keepalive: {interval: 0.1s, timeout: "
                    "0.2s}},")},
      {Cluster("up", {upstream.port()})});
  Http2Peer there = Http2Peer::Client(port);
  Http2Peer gone = Http2Peer::Client(port);
  gone.acknowledges = false;
  const absl::Time until = absl::Now() + absl::Seconds(1);
  while (absl::Now() < until) {
    there.ReadUntil([] { return false; }, absl::Milliseconds(20));
    gone.ReadUntil([] { return false; }, absl::Milliseconds(20));
  }
  EXPECT_TRUE(gone.ended());
  EXPECT_FALSE(there.ended());
  EXPECT_EQ(proxy.Stat("h2_keepalive_timeout.rejected_requests"), 1);
  EXPECT_TRUE(Eventually([&] { return proxy.Stat("http.in.downstream_cx_active") == 1; }));
}

// The timer of the established connection whose local or remote port that is, as the kernel shows
// it in /proc/net/tcp: 2 is keep-alive's; -1: there is no such connection.
int TimerOf(bool local, int port) {
  std::ifstream file("/proc/net/tcp");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> parts = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (parts.size() < 6 || parts[3] != "01") continue;
    const std::string address = parts[local ? 1 : 2];
    if (std::stoi(address.substr(address.find(':') + 1), nullptr, 16) != port) continue;
    return std::stoi(parts[5].substr(0, 2), nullptr, 16);
  }
  return -1;
}

TEST(Survival, Row116_ConnectionsThatAreIdleAreProbedAtBothEnds) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"))}, {Cluster("up", {upstream.port()})});
  Socket client = Socket::Connect(port);
  client.Send(Get("/"));
  EXPECT_EQ(client.ReadResponse().status(), 200);
  // Other timers run while the last bytes are not acknowledged yet.
  EXPECT_TRUE(Eventually([&] { return TimerOf(/*local=*/true, port) == 2; }));
  EXPECT_TRUE(Eventually([&] { return TimerOf(/*local=*/false, upstream.port()) == 2; }));
}

// ---- Row 117.

// An endpoint as a process of its own, which can stand still: connections to it are still made, by
// the kernel.
struct Stoppable {
  Upstream upstream{Always("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nstoppable")};
  const int port = FreePort();
  ProxyProcess process{{HttpListener("in", port, RouteTo("up"))},
                       {Cluster("up", {upstream.port()})}};
  ~Stoppable() { Continue(); }

  // Returns when every thread stands still.
  void Stop() {
    process.Signal(SIGSTOP);
    EXPECT_TRUE(Eventually([&] {
      const std::string states =
          RunTool(absl::StrCat("cat /proc/", process.pid(), "/task/*/stat | cut -d' ' -f3"));
      return absl::StrContains(states, "T") && states.find_first_not_of("T\n") == std::string::npos;
    }));
  }
  void Continue() { process.Signal(SIGCONT); }
};

TEST(Survival, Row117_ARequestToAStoppedProcessEndsInItsTime) {
  Stoppable stopped;
  Upstream other(Always("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother"));
  const int port = FreePort();
  ProxyProcess proxy(
      {HttpListener("in", port,
                    "{match: {prefix: /tried}, route: {cluster: both, timeout: 10s, retry_policy: "
                    "{num_retries: 1, retry_on: 5xx, per_try_timeout: 0.2s}}}, " +
                        RouteTo("alone", "timeout: 0.3s"))},
      {Cluster("both", {stopped.port, other.port()}), Cluster("alone", {stopped.port})});
  // One connection is there already, as it would be.
  EXPECT_EQ(Ask(port, Get("/")).status(), 200);
  stopped.Stop();
  const absl::Time start = absl::Now();
  EXPECT_EQ(Ask(port, Get("/")).status(), 504);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Ask(port, Get("/tried")).body, "other");
  EXPECT_LT(absl::Now() - start, absl::Seconds(8));
  stopped.Continue();
  EXPECT_EQ(Ask(port, Get("/")).status(), 200);
}

TEST(Survival, Row117_HealthChecksTakeAStoppedProcessOutAndIn) {
  Stoppable stopped;
  Upstream other(Always("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother"));
  const int port = FreePort();
  ProxyProcess proxy(
      {HttpListener("in", port, RouteTo("up", "timeout: 5s"))},
      {Cluster("up", {stopped.port, other.port()},
               "health_checks: [{timeout: 0.3s, interval: 0.05s, unhealthy_threshold: 1, "
               "healthy_threshold: 1, http_health_check: {path: /}}],")});
  const auto answered = [&](const std::string& who) {
    int count = 0;
    for (int i = 0; i < 10; ++i) count += Ask(port, Get("/")).body == who;
    return count;
  };
  EXPECT_TRUE(Eventually([&] { return answered("stoppable") > 0; }));
  stopped.Stop();
  const absl::Time start = absl::Now();
  EXPECT_TRUE(Eventually([&] { return answered("other") == 10; }));
  EXPECT_LT(absl::Now() - start, absl::Seconds(15));
  stopped.Continue();
  EXPECT_TRUE(Eventually([&] { return answered("stoppable") > 0; }));
}

}  // namespace
}  // namespace weft::test
