#include "proxy/upstream/pod_loads.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr absl::Duration kNow = absl::Seconds(1000);

OutlierConfig Outlier() {
  OutlierConfig outlier;
  outlier.consecutive_5xx = 3;
  outlier.max_ejection_percent = 10;
  return outlier;
}

TEST(PodLoads, AsksForOthersUntilEachPodHasAConnection) {
  PodLoads pods;
  EXPECT_EQ(pods.Avoided(3, kNow), "");
  const PodLoads::Use a = pods.Connected("a", kNow);
  EXPECT_TRUE(pods.MayFindMore(3, kNow));
  EXPECT_EQ(pods.Avoided(3, kNow), "a");
  const PodLoads::Use b = pods.Connected("b", kNow);
  EXPECT_EQ(pods.Avoided(3, kNow), "a,b");
  const PodLoads::Use c = pods.Connected("c", kNow);
  EXPECT_FALSE(pods.MayFindMore(3, kNow));
  EXPECT_EQ(pods.Avoided(3, kNow), "") << "all have as many";
  const PodLoads::Use again = pods.Connected("b", kNow);
  EXPECT_EQ(pods.Avoided(3, kNow), "b");
}

TEST(PodLoads, BelievesForAWhileThatThereAreNoOthers) {
  PodLoads pods;
  const PodLoads::Use first = pods.Connected("a", kNow);
  const PodLoads::Use second = pods.Connected("a", kNow);
  EXPECT_FALSE(pods.MayFindMore(3, kNow + PodLoads::kSettled / 2));
  EXPECT_TRUE(pods.MayFindMore(3, kNow + PodLoads::kSettled));
}

TEST(PodLoads, AConnectionThatClosesMakesRoomForAnother) {
  PodLoads pods;
  const PodLoads::Use a = pods.Connected("a", kNow);
  {
    const PodLoads::Use b = pods.Connected("b", kNow);
  }
  EXPECT_TRUE(pods.MayFindMore(2, kNow));
  EXPECT_EQ(pods.Avoided(2, kNow), "a");
}

TEST(PodLoads, WhoIsNewHasNothingToCatchUpWith) {
  PodLoads pods;
  const PodLoads::Use a = pods.Connected("a", kNow);
  a.get()->requests = 500;
  const PodLoads::Use b = pods.Connected("b", kNow);
  EXPECT_EQ(b.get()->requests, 500u);
}

TEST(PodLoads, WhoIsAheadIsNotToGetAnotherConnection) {
  PodLoads pods;
  const PodLoads::Use a = pods.Connected("a", kNow);
  const PodLoads::Use b = pods.Connected("b", kNow);
  a.get()->requests = PodLoads::kMostAhead;
  EXPECT_FALSE(pods.Ahead(a.get(), kNow));
  EXPECT_EQ(pods.Avoided(2, kNow), "");
  ++a.get()->requests;
  EXPECT_TRUE(pods.Ahead(a.get(), kNow));
  EXPECT_FALSE(pods.Ahead(b.get(), kNow));
  EXPECT_EQ(pods.Avoided(2, kNow), "a");
}

// What came of `count` requests to a pod.
void Answer(PodLoads& pods, const std::string& pod, int count, int status,
            const OutlierConfig* outlier, absl::Duration now = kNow) {
  for (int i = 0; i < count; ++i) EXPECT_TRUE(pods.Responded(pod, status, outlier, {now, 0}));
}

TEST(PodLoads, OneThatFailsInARowIsEjectedAlone) {
  PodLoads pods;
  const OutlierConfig outlier = Outlier();
  const PodLoads::Use bad = pods.Connected("bad", kNow);
  const PodLoads::Use good = pods.Connected("good", kNow);
  Answer(pods, "bad", 2, 500, &outlier);
  Answer(pods, "bad", 1, 200, &outlier);
  Answer(pods, "bad", 2, 500, &outlier);
  EXPECT_FALSE(PodLoads::LeftOut(bad.get(), kNow)) << "not in a row";
  Answer(pods, "bad", 1, 500, &outlier);
  EXPECT_TRUE(PodLoads::LeftOut(bad.get(), kNow));
  EXPECT_FALSE(PodLoads::LeftOut(good.get(), kNow));
  EXPECT_EQ(pods.Avoided(2, kNow), "bad");
  EXPECT_EQ(pods.outlier_counters().consecutive_5xx.enforced, 1u);
  EXPECT_EQ(pods.outlier_counters().ejections_active, 1u);
  // The second of two would leave nobody.
  Answer(pods, "good", 30, 500, &outlier);
  EXPECT_FALSE(PodLoads::LeftOut(good.get(), kNow));
}

TEST(PodLoads, NoMoreThanTheirPartIsEjected) {
  PodLoads pods;
  OutlierConfig outlier = Outlier();
  std::vector<PodLoads::Use> uses;
  for (const char* name : {"a", "b", "c", "d"}) uses.push_back(pods.Connected(name, kNow));
  const auto ejected = [&] {
    return std::count_if(uses.begin(), uses.end(), [](const PodLoads::Use& use) {
      return PodLoads::LeftOut(use.get(), kNow);
    });
  };
  for (const char* name : {"a", "b", "c", "d"}) Answer(pods, name, 3, 503, &outlier);
  EXPECT_EQ(ejected(), 1) << "one may always be";
  outlier.max_ejection_percent = 50;
  for (const char* name : {"b", "c", "d"}) Answer(pods, name, 3, 503, &outlier);
  EXPECT_EQ(ejected(), 2);
  outlier.max_ejection_percent = 100;
  for (const char* name : {"b", "c", "d"}) Answer(pods, name, 30, 503, &outlier);
  EXPECT_EQ(ejected(), 3) << "never the last";
}

TEST(PodLoads, WhoIsEjectedIsLetBackIn) {
  PodLoads pods;
  const OutlierConfig outlier = Outlier();
  const PodLoads::Use bad = pods.Connected("bad", kNow);
  const PodLoads::Use good = pods.Connected("good", kNow);
  pods.Judge(&outlier, {kNow, 0});
  Answer(pods, "bad", 3, 500, &outlier);
  pods.Judge(&outlier, {kNow + outlier.interval, 0});
  EXPECT_TRUE(PodLoads::LeftOut(bad.get(), kNow + outlier.interval));
  const absl::Duration over = kNow + outlier.base_ejection_time + outlier.interval;
  pods.Judge(&outlier, {over, 0});
  EXPECT_FALSE(PodLoads::LeftOut(bad.get(), over));
  EXPECT_EQ(pods.outlier_counters().ejections_active, 0u);
}

TEST(PodLoads, WithoutDetectionAllAreLetBackIn) {
  PodLoads pods;
  const OutlierConfig outlier = Outlier();
  const PodLoads::Use bad = pods.Connected("bad", kNow);
  const PodLoads::Use good = pods.Connected("good", kNow);
  Answer(pods, "bad", 3, 500, &outlier);
  pods.Judge(nullptr, {kNow, 0});
  EXPECT_FALSE(PodLoads::LeftOut(bad.get(), kNow));
}

// As of endpoints: an answer is an answer.
TEST(PodLoads, NobodyIsEjectedUnlessThatIsAskedFor) {
  PodLoads pods;
  const PodLoads::Use a = pods.Connected("a", kNow);
  const PodLoads::Use b = pods.Connected("b", kNow);
  Answer(pods, "a", 100, 500, nullptr);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(pods.FailedLocally("a", LocalFailure::kReset, nullptr, {kNow, 0}));
  }
  EXPECT_FALSE(PodLoads::LeftOut(a.get(), kNow));
}

// But one that cannot be reached is avoided, as an endpoint is, longer each time.
TEST(PodLoads, OneThatCannotBeReachedIsLeftOutForAWhile) {
  PodLoads pods;
  const PodLoads::Use good = pods.Connected("good", kNow);
  pods.ConnectFailed("bad", kNow);
  EXPECT_EQ(pods.Avoided(2, kNow), "bad");
  EXPECT_FALSE(pods.MayFindMore(2, kNow)) << "both are known";
  const absl::Duration later = kNow + absl::Seconds(1);
  EXPECT_TRUE(pods.MayFindMore(2, later));
  EXPECT_EQ(pods.Avoided(2, later), "good");
  pods.ConnectFailed("bad", later);
  EXPECT_EQ(pods.Avoided(2, later + absl::Seconds(1)), "bad");
  const PodLoads::Use bad = pods.Connected("bad", later + absl::Seconds(2));
  EXPECT_FALSE(PodLoads::LeftOut(bad.get(), later + absl::Seconds(2)));
}

TEST(PodLoads, WhoIsLeftOutIsUsedForWantOfAnother) {
  PodLoads pods;
  const OutlierConfig outlier = Outlier();
  const PodLoads::Use bad = pods.Connected("bad", kNow);
  pods.ConnectFailed("bad", kNow);
  EXPECT_TRUE(PodLoads::LeftOut(bad.get(), kNow));
  EXPECT_FALSE(pods.Ejected(bad.get())) << "a connection that is there shows that it lives";
  {
    const PodLoads::Use good = pods.Connected("good", kNow);
    Answer(pods, "bad", 3, 500, &outlier);
    EXPECT_TRUE(pods.Ejected(bad.get()));
  }
  EXPECT_FALSE(pods.Ejected(bad.get())) << "nobody else is left";
}

TEST(PodLoads, AGatewayThatKeepsMakingUpNamesIsForgotten) {
  PodLoads pods;
  for (size_t i = 0; i < 10 * PodLoads::kMostForgotten; ++i) {
    const std::string name = absl::StrCat("pod-", i);
    const PodLoads::Use use = pods.Connected(name, kNow);
    EXPECT_NE(use.get(), nullptr);
    pods.ConnectFailed(absl::StrCat("no-", i), kNow);
  }
  EXPECT_LE(pods.Avoided(1, kNow).size(), PodLoads::kMostForgotten * sizeof("pod-1234,"));
}

TEST(PodLoads, WhatHasNoNameIsTheGateways) {
  PodLoads pods;
  EXPECT_EQ(pods.Connected("", kNow).get(), nullptr);
  EXPECT_FALSE(pods.known());
  EXPECT_FALSE(pods.Responded("", 500, nullptr, {kNow, 0}));
  pods.ConnectFailed("", kNow);
  EXPECT_FALSE(pods.known());
}

}  // namespace
}  // namespace weft
