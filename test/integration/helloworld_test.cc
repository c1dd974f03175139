// Istio's helloworld, unedited, in two clusters with the same addresses and no localities.
#include <set>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

constexpr char kUrl[] = "http://helloworld.default:5000/hello";

class Helloworld : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sandbox_ = new Sandbox({"east", "west"});
    for (const char* cluster : {"east", "west"}) {
      sandbox_->AddSample(cluster, "helloworld/helloworld.yaml");
      sandbox_->AddSample(cluster, "curl/curl.yaml");
    }
    const Result up = sandbox_->Up();
    ASSERT_EQ(up.status, 0) << up.out << up.err;
  }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }
  void TearDown() override { sandbox_->Heal(); }

  static void KillEast() {
    ASSERT_EQ(sandbox_->Kill("east/helloworld-v1").status, 0);
    ASSERT_EQ(sandbox_->Kill("east/helloworld-v2").status, 0);
  }

  static Sandbox* sandbox_;
};
Sandbox* Helloworld::sandbox_ = nullptr;

// First of all, so that nothing had time to settle since `up` ended.
TEST_F(Helloworld, AHundredCallsReachAllFourPods) {
  const auto pods = Tally(sandbox_->Calls("east/curl", 100, {kUrl}), "pod");
  EXPECT_EQ(pods.size(), 4u) << ::testing::PrintToString(pods);
  for (const auto& [pod, count] : pods) {
    EXPECT_NE(pod.find("helloworld-v"), std::string::npos) << pod;
    // 25 each are expected; fewer than 8 would be chance once in 100,000 runs.
    EXPECT_GE(count, 8) << ::testing::PrintToString(pods);
  }
}

TEST_F(Helloworld, TheOtherClusterSeesTheSame) {
  const auto clusters = Tally(sandbox_->Calls("west/curl", 60, {kUrl}), "cluster");
  EXPECT_GE(clusters.count("east"), 1u) << ::testing::PrintToString(clusters);
  EXPECT_GE(clusters.count("west"), 1u) << ::testing::PrintToString(clusters);
  EXPECT_EQ(clusters.size(), 2u) << ::testing::PrintToString(clusters);
}

TEST_F(Helloworld, TheServerKnowsTheClientInEitherCluster) {
  std::set<std::string> seen;
  for (const Answer& answer : sandbox_->Calls("east/curl", 40, {kUrl})) {
    EXPECT_EQ(answer.field("client_identity"), "spiffe://east.weft/ns/default/sa/curl");
    EXPECT_NE(answer.field("xfcc").find(absl::StrCat("By=spiffe://", answer.field("cluster"),
                                                     ".weft/ns/default/sa/default")),
              std::string::npos)
        << answer.field("xfcc");
    seen.insert(answer.field("cluster"));
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(Helloworld, EveryShortNameReachesIt) {
  for (const char* host : {"helloworld", "helloworld.default", "helloworld.default.svc",
                           "helloworld.default.svc.cluster.local"}) {
    EXPECT_TRUE(sandbox_->Call("east/curl", {absl::StrCat("http://", host, ":5000/")}).ok())
        << host;
  }
}

TEST_F(Helloworld, ABodyOfAMegabyteArrivesWhole) {
  const std::string file = sandbox_->work() + "/megabyte";
  ASSERT_EQ(RunCommand({"sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x > " + file}).status, 0);
  for (const Answer& answer :
       sandbox_->Calls("east/curl", 8, {"--data-binary", "@" + file, kUrl})) {
    ASSERT_TRUE(answer.ok()) << answer.code;
    EXPECT_EQ(answer.field("method"), "POST");
    EXPECT_EQ(answer.echo["headers"]["content-length"], "1000000");
  }
}

TEST_F(Helloworld, WithEastsPodsKilledAllCallsSucceedInWest) {
  KillEast();
  const auto clusters = Tally(sandbox_->Calls("east/curl", 100, {kUrl}), "cluster");
  EXPECT_EQ(clusters, (std::map<std::string, int>{{"west", 100}}));
}

TEST_F(Helloworld, WithWestsControlPlaneKilledTooAllCallsStillSucceed) {
  KillEast();
  ASSERT_EQ(sandbox_->Kill("west/weftd").status, 0);
  const auto clusters = Tally(sandbox_->Calls("east/curl", 100, {kUrl}), "cluster");
  EXPECT_EQ(clusters, (std::map<std::string, int>{{"west", 100}}));
}

TEST_F(Helloworld, WithItsOwnControlPlaneKilledAllCallsStillSucceed) {
  ASSERT_EQ(sandbox_->Kill("east/weftd").status, 0);
  const Answers answers = sandbox_->Calls("east/curl", 60, {kUrl});
  EXPECT_EQ(CountOk(answers), 60) << ::testing::PrintToString(Tally(answers, "pod"));
  EXPECT_EQ(Tally(answers, "pod").size(), 4u);
}

TEST_F(Helloworld, AfterARestartOfEverythingAllFourPodsAnswerAgain) {
  for (const char* cluster : {"east", "west"}) {
    for (const char* target : {"weftd", "gateway", "helloworld-v1", "helloworld-v2", "curl"}) {
      ASSERT_EQ(sandbox_->Kill(absl::StrCat(cluster, "/", target)).status, 0) << target;
    }
  }
  sandbox_->Heal();
  std::map<std::string, int> pods;
  EXPECT_TRUE(Eventually([&] {
    pods = Tally(sandbox_->Calls("east/curl", 30, {kUrl}), "pod");
    return pods.size() == 4 && pods.begin()->first.find("code") == std::string::npos;
  })) << ::testing::PrintToString(pods);
}

// Row 115, with the remote gateway: what was in flight may fail, nothing else.
TEST_F(Helloworld, Row115_AGatewayKilledWhileCallsGoOnCostsOnlyWhatWasInFlight) {
  CallsGoingOn calls(sandbox_, "east/curl", {kUrl});
  ASSERT_TRUE(calls.Await(20));
  ASSERT_EQ(sandbox_->Kill("west/gateway").status, 0);
  ASSERT_TRUE(calls.Await(40));
  const Answers answers = calls.Stop();
  EXPECT_LE(static_cast<int>(answers.size()) - CountOk(answers), 1)
      << ::testing::PrintToString(Tally(answers, "pod"));
  EXPECT_EQ(answers.back().field("cluster"), "east");
}

TEST_F(Helloworld, ASidecarKilledAloneWhileCallsGoOnCostsOnlyWhatWasInFlight) {
  // The test before killed west's gateway, which is avoided for a while.
  ASSERT_TRUE(
      Eventually([&] { return Tally(sandbox_->Calls("east/curl", 30, {kUrl}), "pod").size() == 4; }));
  const int sidecar = sandbox_->ContainerPid("east", "helloworld-v1", "weft-proxy");
  ASSERT_GT(sidecar, 1);
  CallsGoingOn calls(sandbox_, "east/curl", {kUrl});
  ASSERT_TRUE(calls.Await(20));
  ASSERT_EQ(sandbox_->Exec("east/router", {"kill", "-9", absl::StrCat(sidecar)}).status, 0);
  ASSERT_TRUE(calls.Await(60));
  const Answers answers = calls.Stop();
  // One caller: at most its one call was under way.
  EXPECT_LE(static_cast<int>(answers.size()) - CountOk(answers), 1)
      << ::testing::PrintToString(Tally(answers, "pod"));
  const auto last = Tally(Answers(answers.end() - 30, answers.end()), "pod");
  EXPECT_EQ(last.size(), 3u) << ::testing::PrintToString(last);
}

}  // namespace
}  // namespace weft::integration
