// Services that are no HTTP: bytes through, over the same mTLS and the same gateways.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

// A session with the greeter: waits for its line, says one, and prints both it heard.
constexpr char kSession[] = R"(
exec 3<>/dev/tcp/greeter/2525 || exit 1
IFS= read -r -t 5 hello <&3 || exit 2
printf 'ping %s\n' "$1" >&3
IFS= read -r -t 5 echo <&3 || exit 3
printf '%s\n%s\n' "$hello" "$echo")";

class Tcp : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sandbox_ = new Sandbox({"east", "west"});
    std::string yaml = Client("client") + ServiceOf("raw", "tcp-echo", 9000) +
                       ServiceOf("greeter", "tcp-mail", 2525);
    for (const char* version : {"v1", "v2"}) {
      yaml += EchoWorkload(absl::StrCat("raw-", version), "raw", version);
      yaml +=
          EchoWorkload(absl::StrCat("greeter-", version), "greeter", version, 8080, "", "greeter");
    }
    for (const char* cluster : {"east", "west"}) sandbox_->Write(cluster, "all.yaml", yaml);
    const Result up =
        sandbox_->Up({"--image", absl::StrCat("greeter=", BinaryPath("APP"), " greet")});
    ASSERT_EQ(up.status, 0) << up.out << up.err;
  }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }
  void TearDown() override { sandbox_->Heal(); }

  static Sandbox* sandbox_;
};
Sandbox* Tcp::sandbox_ = nullptr;

TEST_F(Tcp, ConnectionsSpreadOverThePodsOfBothClusters) {
  const Answers answers = sandbox_->Calls("east/client", 80, {"http://raw:9000/"});
  EXPECT_EQ(CountOk(answers), 80);
  EXPECT_EQ(Tally(answers, "pod").size(), 4u) << ::testing::PrintToString(Tally(answers, "pod"));
  EXPECT_EQ(Tally(answers, "cluster").size(), 2u);
}

TEST_F(Tcp, BytesPassAsTheyAre) {
  const Answer answer = sandbox_->Call(
      "east/client", {"-H", "x-forwarded-client-cert: mine", "-H", "X-Request-Id: mine",
                      "http://raw:9000/a/../b%2F", "--path-as-is"});
  ASSERT_TRUE(answer.ok()) << answer.code;
  EXPECT_EQ(answer.field("path"), "/a/../b%2F");
  EXPECT_EQ(answer.field("xfcc"), "mine");
  EXPECT_EQ(answer.echo["headers"]["x-request-id"], "mine");
}

TEST_F(Tcp, AServerThatSpeaksFirstIsHeardInEitherCluster) {
  std::map<std::string, int> greeters;
  for (int i = 0; i < 48; ++i) {
    const std::string word = absl::StrCat("n", i);
    const Result session = sandbox_->Exec("east/client", {"bash", "-c", kSession, "-", word});
    ASSERT_EQ(session.status, 0) << session.err;
    ASSERT_TRUE(absl::StartsWith(session.out, "220 greeter-v")) << session.out;
    ASSERT_TRUE(absl::EndsWith(session.out, absl::StrCat("\nping ", word, "\n"))) << session.out;
    ++greeters[session.out.substr(0, session.out.find('\n'))];
  }
  EXPECT_EQ(greeters.size(), 4u) << ::testing::PrintToString(greeters);
}

TEST_F(Tcp, WithTheNearPodsKilledConnectionsGoToTheOtherCluster) {
  ASSERT_EQ(sandbox_->Kill("east/raw-v1").status, 0);
  ASSERT_EQ(sandbox_->Kill("east/raw-v2").status, 0);
  const auto clusters = Tally(sandbox_->Calls("east/client", 40, {"http://raw:9000/"}), "cluster");
  EXPECT_EQ(clusters, (std::map<std::string, int>{{"west", 40}}));
}

TEST_F(Tcp, APortNobodyDeclaredIsReachedAsItIs) {
  const std::string address = sandbox_->PodAddress("east", "raw-v1");
  const Answer answer = sandbox_->Call("east/client", {absl::StrCat("http://", address, ":8080/")});
  EXPECT_TRUE(answer.ok()) << answer.code;
}

}  // namespace
}  // namespace weft::integration
