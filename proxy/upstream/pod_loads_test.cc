#include "proxy/upstream/pod_loads.h"

#include <vector>

#include "gmock/gmock.h"
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

TEST(PodLoads, OneThatFailsInARowIsLeftOutAlone) {
  PodLoads pods;
  const OutlierConfig outlier = Outlier();
  const PodLoads::Use bad = pods.Connected("bad", kNow);
  const PodLoads::Use good = pods.Connected("good", kNow);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(pods.Report("bad", true, &outlier, kNow));
  EXPECT_TRUE(pods.Report("bad", false, &outlier, kNow));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(pods.Report("bad", true, &outlier, kNow));
  EXPECT_FALSE(pods.Ejected(bad.get(), kNow)) << "not in a row";
  EXPECT_TRUE(pods.Report("bad", true, &outlier, kNow));
  EXPECT_TRUE(pods.Ejected(bad.get(), kNow));
  EXPECT_FALSE(pods.Ejected(good.get(), kNow));
  EXPECT_EQ(pods.Avoided(2, kNow), "bad");
  EXPECT_FALSE(pods.Ejected(bad.get(), kNow + outlier.base_ejection_time));
  // The second of two would leave nobody.
  for (int i = 0; i < 3; ++i) pods.Report("good", true, &outlier, kNow);
  EXPECT_FALSE(pods.Ejected(good.get(), kNow));
}

TEST(PodLoads, NobodyIsLeftOutUnlessThatIsAskedFor) {
  PodLoads pods;
  const PodLoads::Use a = pods.Connected("a", kNow);
  const PodLoads::Use b = pods.Connected("b", kNow);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(pods.Report("a", true, nullptr, kNow));
  EXPECT_FALSE(pods.Ejected(a.get(), kNow));
}

TEST(PodLoads, WhatHasNoNameIsTheGateways) {
  PodLoads pods;
  EXPECT_EQ(pods.Connected("", kNow).get(), nullptr);
  EXPECT_FALSE(pods.known());
  EXPECT_FALSE(pods.Report("", true, nullptr, kNow));
}

}  // namespace
}  // namespace weft
