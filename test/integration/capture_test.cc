// What can be read on the wire between the gateways.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

constexpr char kUrl[] = "http://helloworld.default:5000/";
constexpr char kMarker[] = "Zq7PlaintextMarker";
constexpr int kCalls = 20;

using Frames = std::vector<std::string>;

int Holding(const Frames& frames, const std::string& bytes) {
  return static_cast<int>(std::count_if(frames.begin(), frames.end(), [&](const std::string& f) {
    return f.find(bytes) != std::string::npos;
  }));
}

// Ethernet and IPv4 without options are what these links carry.
int ToPort(const Frames& frames, int port) {
  const std::string wanted = {static_cast<char>(port >> 8), static_cast<char>(port & 0xff)};
  return static_cast<int>(std::count_if(frames.begin(), frames.end(), [&](const std::string& f) {
    return f.size() >= 38 && f[23] == 6 && f.substr(36, 2) == wanted;
  }));
}

class OnTheWire : public ::testing::Test {
 protected:
  // East has clients only: every call crosses.
  static void SetUpTestSuite() {
    sandbox_ = new Sandbox({"east", "west"});
    sandbox_->AddSample("east", "curl/curl.yaml");
    sandbox_->AddSample("west", "helloworld/helloworld.yaml");
    const Result up = sandbox_->Up();
    ASSERT_EQ(up.status, 0) << up.out << up.err;
    ASSERT_TRUE(Eventually([] { return sandbox_->Call("east/curl", {kUrl}).ok(); }));
  }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }

  // The marker in path, header and body.
  static Answers MarkedCalls() {
    return sandbox_->Calls("east/curl", kCalls,
                           {absl::StrCat(kUrl, kMarker), "-H", absl::StrCat("x-mark: ", kMarker),
                            "-d", absl::StrCat("body=", kMarker)});
  }

  static Sandbox* sandbox_;
};
Sandbox* OnTheWire::sandbox_ = nullptr;

TEST_F(OnTheWire, NothingOfARequestIsReadableBetweenTheGateways) {
  Capture link(sandbox_, "east/router", "wan0");
  const Answers answers = MarkedCalls();
  const Frames frames = link.Stop();
  ASSERT_EQ(CountOk(answers), kCalls);
  for (const Answer& answer : answers) {
    EXPECT_EQ(answer.field("cluster"), "west");
    EXPECT_NE(answer.body.find(kMarker), std::string::npos) << "the response holds it too";
  }
  EXPECT_EQ(Holding(frames, kMarker), 0);
  EXPECT_EQ(Holding(frames, "/ns/default/sa/"), 0) << "certificates are encrypted (TLS 1.3)";
  // And the requests did go this way.
  EXPECT_GT(ToPort(frames, 15008), 0);
  EXPECT_GE(Holding(frames, "\x17\x03\x03"), 2 * kCalls) << "records of application data";
}

// The same capture at the application's own side sees it all: the check above can fail.
TEST_F(OnTheWire, ThePodsOwnLoopbackShowsThePlaintext) {
  Capture loopback(sandbox_, "east/curl", "lo");
  ASSERT_EQ(CountOk(MarkedCalls()), kCalls);
  const Frames frames = loopback.Stop();
  EXPECT_GE(Holding(frames, absl::StrCat("/", kMarker)), kCalls);
  EXPECT_GE(Holding(frames, absl::StrCat("x-mark: ", kMarker)), kCalls);
  EXPECT_GE(Holding(frames, absl::StrCat("body=", kMarker)), kCalls);
}

}  // namespace
}  // namespace weft::integration
