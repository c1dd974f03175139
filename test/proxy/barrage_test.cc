// Noise at the running proxy: requests cut, doubled and bent at random, many connections at once,
// each ended in another way. The proxy has to live, serve the next request, and hold nothing back.
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

constexpr int kStreams = 1500;
constexpr size_t kAtOnce = 40;

std::vector<std::string> Seeds() {
  return {
      Get("/a"),
      Get("/a", "Connection: close\r\n") + Get("/b"),
      "GET / HTTP/1.0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello" + Get("/c"),
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nt: "
      "1\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
      "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
      "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n\x16\x03\x01",
      Get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n") + "frames",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      std::string("\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03", 11),
  };
}

std::string Bend(std::string bytes, std::mt19937& random) {
  const auto at = [&] { return bytes.empty() ? 0 : random() % bytes.size(); };
  for (unsigned changes = random() % 4; changes > 0; --changes) {
    switch (random() % 5) {
      case 0:
        bytes.resize(at());
        break;
      case 1:
        bytes.insert(at(), 1, static_cast<char>(random()));
        break;
      case 2:
        if (!bytes.empty()) bytes[at()] = static_cast<char>(random());
        break;
      case 3:
        bytes.erase(at(), 1 + random() % 8);
        break;
      default:
        bytes += bytes.substr(at());
    }
  }
  return bytes;
}

TEST(Barrage, LeavesTheProxyAliveAndEmpty) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up", "timeout: 5s"),
                                   "upgrade_configs: [{upgrade_type: websocket}],")},
                     {Cluster("up", {upstream.port()})});
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  const std::vector<std::string> seeds = Seeds();
  std::vector<Socket> open;
  for (int i = 0; i < kStreams; ++i) {
    open.push_back(Socket::Connect(port));
    Socket& client = open.back();
    ASSERT_TRUE(client.connected());
    client.Send(Bend(seeds[random() % seeds.size()], random));
    const unsigned ending = random() % 4;
    if (ending == 0) client.CloseWithReset();
    if (ending == 1) client.ShutdownWrite();
    if (ending == 2) client.Close();
    if (open.size() == kAtOnce) open.clear();
  }
  open.clear();
  ASSERT_TRUE(proxy.alive());
  EXPECT_EQ(Ask(port, Get("/after")).status(), 200);
  EXPECT_TRUE(Eventually([&] { return proxy.Stat("downstream_cx_active") == 0; }));
  EXPECT_TRUE(Eventually([&] { return proxy.Stat("downstream_rq_active") == 0; }));
}

}  // namespace
}  // namespace weft::test
