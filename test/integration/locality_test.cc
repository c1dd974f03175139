// Two clusters in two regions: the near one first, without any outlier setting.
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

constexpr char kUrl[] = "http://helloworld.default:5000/";
using Counts = std::map<std::string, int>;

class TwoRegions : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sandbox_ = new Sandbox({"east", "west"});
    for (const char* cluster : {"east", "west"}) {
      sandbox_->AddSample(cluster, "helloworld/helloworld.yaml");
      sandbox_->AddSample(cluster, "curl/curl.yaml");
    }
    const Result up =
        sandbox_->Up({"--locality", "east=us-east/a", "--locality", "west=us-west/a"});
    ASSERT_EQ(up.status, 0) << up.out << up.err;
  }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }
  void TearDown() override { sandbox_->Heal(); }

  static Counts Clusters(const std::string& from, int count) {
    return Tally(sandbox_->Calls(from, count, {kUrl}), "cluster");
  }

  static Sandbox* sandbox_;
};
Sandbox* TwoRegions::sandbox_ = nullptr;

TEST_F(TwoRegions, EachRegionAnswersItself) {
  EXPECT_EQ(Clusters("east/curl", 40), (Counts{{"east", 40}}));
  EXPECT_EQ(Clusters("west/curl", 40), (Counts{{"west", 40}}));
}

TEST_F(TwoRegions, TheFarOneTakesOverAndHandsBack) {
  CallsGoingOn calls(sandbox_, "east/curl", {kUrl});
  ASSERT_TRUE(calls.Await(10));
  ASSERT_EQ(sandbox_->Kill("east/helloworld-v1").status, 0);
  ASSERT_EQ(sandbox_->Kill("east/helloworld-v2").status, 0);
  EXPECT_EQ(Clusters("east/curl", 40), (Counts{{"west", 40}}));
  const Answers answers = calls.Stop();
  // One caller, two kills: at most one call was in flight at each.
  EXPECT_LE(static_cast<int>(answers.size()) - CountOk(answers), 2)
      << ::testing::PrintToString(Tally(answers, "cluster"));

  sandbox_->Heal();
  EXPECT_TRUE(Eventually([] { return Clusters("east/curl", 5) == Counts{{"east", 5}}; }));
  EXPECT_EQ(Clusters("east/curl", 40), (Counts{{"east", 40}}));
}

TEST_F(TwoRegions, WithHalfTheNearPodsNoCallFails) {
  ASSERT_EQ(sandbox_->Kill("east/helloworld-v1").status, 0);
  const Counts counts = Clusters("east/curl", 60);
  EXPECT_EQ(counts.count("east"), 1u) << ::testing::PrintToString(counts);
  int ok = 0;
  for (const auto& [cluster, count] : counts)
    ok += cluster == "east" || cluster == "west" ? count : 0;
  EXPECT_EQ(ok, 60) << ::testing::PrintToString(counts);
}

}  // namespace
}  // namespace weft::integration
