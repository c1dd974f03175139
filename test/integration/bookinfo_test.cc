// Istio's bookinfo with its routes for testers, unedited, in two clusters.
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

constexpr char kUrl[] = "http://reviews:9080/reviews/0";
constexpr char kRoutes[] = "virtual-service-reviews-test-v2.yaml";

class Bookinfo : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sandbox_ = new Sandbox({"east", "west"});
    for (const char* cluster : {"east", "west"}) {
      sandbox_->AddSample(cluster, "bookinfo/platform/kube/bookinfo.yaml");
      sandbox_->AddSample(cluster, "bookinfo/networking/destination-rule-all.yaml");
      sandbox_->AddSample(cluster, std::string("bookinfo/networking/") + kRoutes);
      sandbox_->AddSample(cluster, "curl/curl.yaml");
    }
    const Result up = sandbox_->Up();
    ASSERT_EQ(up.status, 0) << up.out << up.err;
  }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }

  static std::map<std::string, int> Versions(int count, std::vector<std::string> arguments = {}) {
    arguments.push_back(kUrl);
    return Tally(sandbox_->Calls("east/curl", count, arguments), "version");
  }

  static Sandbox* sandbox_;
};
Sandbox* Bookinfo::sandbox_ = nullptr;

using Counts = std::map<std::string, int>;

TEST_F(Bookinfo, JasonReachesOnlyV2InBothClusters) {
  const Answers answers = sandbox_->Calls("east/curl", 50, {"-H", "end-user: jason", kUrl});
  EXPECT_EQ(Tally(answers, "version"), (Counts{{"v2", 50}}));
  EXPECT_EQ(Tally(answers, "cluster").size(), 2u);
}

TEST_F(Bookinfo, EveryoneElseReachesOnlyV1InBothClusters) {
  const Answers answers = sandbox_->Calls("east/curl", 50, {kUrl});
  EXPECT_EQ(Tally(answers, "version"), (Counts{{"v1", 50}}));
  EXPECT_EQ(Tally(answers, "cluster").size(), 2u);
  EXPECT_EQ(Versions(20, {"-H", "end-user: jasonx"}), (Counts{{"v1", 20}}));
}

TEST_F(Bookinfo, AServiceWithoutRoutesIsReachedAsItIs) {
  EXPECT_EQ(CountOk(sandbox_->Calls("west/curl", 20, {"http://details:9080/details/0"})), 20);
}

TEST_F(Bookinfo, AnEditOfTheRoutesTakesEffectLive) {
  const std::string file = sandbox_->Folder("east") + "/" + kRoutes;
  const std::string before = ReadFile(file);
  sandbox_->Write("east", kRoutes, absl::StrReplaceAll(before, {{"subset: v1", "subset: v3"}}));
  EXPECT_TRUE(Eventually([] { return Versions(1) == Counts{{"v3", 1}}; }));
  EXPECT_EQ(Versions(20), (Counts{{"v3", 20}}));
  EXPECT_EQ(Versions(20, {"-H", "end-user: jason"}), (Counts{{"v2", 20}}));

  // Half-written, as an editor leaves it for a moment: the last good routes stay.
  sandbox_->Write("east", kRoutes, before.substr(0, before.find("route:") + 6) + " [broken");
  EXPECT_EQ(Versions(30), (Counts{{"v3", 30}}));

  sandbox_->Write("east", kRoutes, before);
  EXPECT_TRUE(Eventually([] { return Versions(1) == Counts{{"v1", 1}}; }));
  EXPECT_EQ(Versions(20), (Counts{{"v1", 20}}));
}

}  // namespace
}  // namespace weft::integration
