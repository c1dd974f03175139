#include "proxy/decide/outlier.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weft {
namespace {

constexpr absl::Duration kNow = absl::Seconds(100);

// Ten endpoints and their detector.
struct Cluster {
  OutlierConfig config = [] {
    OutlierConfig with_room;
    with_room.max_ejection_percent = 100;
    return with_room;
  }();
  std::vector<OutlierState> states = std::vector<OutlierState>(10);
  OutlierDetector detector;
  OutlierCounters counters;

  std::vector<OutlierState*> pointers() {
    std::vector<OutlierState*> list;
    for (OutlierState& one : states) list.push_back(&one);
    return list;
  }
  OutlierDetector::Facts At(absl::Duration now, uint64_t random = 1) {
    return {now, random, states.size()};
  }
  bool Status(size_t i, int status, absl::Duration now = kNow) {
    return detector.OnResponse(config, At(now), status, states[i], counters);
  }
  bool Local(size_t i, LocalFailure failure) {
    return detector.OnLocalFailure(config, At(kNow), failure, states[i], counters);
  }
  bool Judge(absl::Duration now) { return detector.Judge(config, At(now), pointers(), counters); }
  // `of` requests of which `failed` are answered 500, never five of them in a row.
  void Answers(size_t i, int of, int failed) {
    for (int n = 0; n < of; ++n) {
      Status(i, n % 4 != 0 && failed-- > 0 ? 500 : 200);
    }
  }
};

TEST(Outlier, FailuresInARowEject) {
  // '5': 500, 'g': 503, '.': 200, 'c' 't' 'r': connect, timeout and reset as the proxy saw them.
  const struct {
    std::string answers;
    bool split;
    uint32_t gateway;  // enforcing_consecutive_gateway_failure
    bool ejected;
  } cases[] = {
      {"5555", false, 0, false},  {"55555", false, 0, true},      {"5555.5555", false, 0, false},
      {"55g5g", false, 0, true},  {"ggggg", false, 0, true},      {"gggg5", false, 100, true},
      {"ccctr", false, 0, true},  {"cccc.c", false, 0, false},    {"ccctr", true, 0, true},
      {"cc5c5c", true, 0, false}, {"55c55c5", true, 0, true},     {"5555c", true, 0, false},
      {"4", false, 0, false},     {"444444444", false, 0, false},
  };
  for (const auto& c : cases) {
    Cluster cluster;
    cluster.config.split_external_local_origin_errors = c.split;
    cluster.config.enforcing_consecutive_gateway_failure = c.gateway;
    bool ejected = false;
    for (const char answer : c.answers) {
      switch (answer) {
        case 'c':
          ejected |= cluster.Local(0, LocalFailure::kConnect);
          break;
        case 't':
          ejected |= cluster.Local(0, LocalFailure::kTimeout);
          break;
        case 'r':
          ejected |= cluster.Local(0, LocalFailure::kReset);
          break;
        default:
          ejected |= cluster.Status(0, answer == '5'   ? 500
                                       : answer == 'g' ? 503
                                       : answer == '4' ? 404
                                                       : 200);
      }
    }
    EXPECT_EQ(ejected, c.ejected) << c.answers << (c.split ? " split" : "");
    EXPECT_EQ(cluster.states[0].ejected, c.ejected) << c.answers;
    EXPECT_EQ(cluster.counters.ejections_active, c.ejected ? 1u : 0u);
  }
}

TEST(Outlier, GatewayFailuresAreAKindOfTheirOwn) {
  Cluster cluster;
  cluster.config.consecutive_gateway_failure = 3;
  cluster.config.enforcing_consecutive_gateway_failure = 100;
  cluster.Status(0, 503);
  cluster.Status(0, 504);
  EXPECT_FALSE(cluster.Status(0, 500)) << "not a gateway's";
  cluster.Status(0, 200);
  cluster.Status(0, 502);
  cluster.Status(0, 503);
  EXPECT_TRUE(cluster.Status(0, 504));
  EXPECT_EQ(cluster.counters.consecutive_gateway_failure.enforced, 1u);
  EXPECT_EQ(cluster.counters.consecutive_5xx.detected, 0u);
}

TEST(Outlier, WhatIsNotEnforcedIsCountedOnly) {
  Cluster cluster;
  cluster.config.enforcing_consecutive_5xx = 0;
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(cluster.Status(0, 500));
  EXPECT_EQ(cluster.counters.consecutive_5xx.detected, 2u);
  EXPECT_EQ(cluster.counters.ejections_enforced_total, 0u);
}

TEST(Outlier, NoMoreAreEjectedThanThePercentageAllows) {
  const struct {
    uint32_t percent;
    bool always_one;
    size_t ejected;
  } cases[] = {{10, false, 1}, {25, false, 2}, {100, false, 10}, {0, false, 0},
               {5, false, 0},  {5, true, 1},   {0, true, 1}};
  for (const auto& c : cases) {
    Cluster cluster;
    cluster.config.max_ejection_percent = c.percent;
    cluster.config.always_eject_one_host = c.always_one;
    for (size_t i = 0; i < 10; ++i) {
      for (int n = 0; n < 5; ++n) cluster.Status(i, 500);
    }
    EXPECT_EQ(cluster.detector.ejected(), c.ejected) << c.percent;
    EXPECT_EQ(cluster.counters.ejections_overflow, 10 - c.ejected);
  }
}

TEST(Outlier, EachEjectionIsLongerUntilTheLongest) {
  Cluster cluster;
  cluster.config.max_ejection_time = absl::Seconds(70);
  absl::Duration now = kNow;
  cluster.Judge(now);
  for (const int seconds : {30, 60, 70, 70}) {
    for (int n = 0; n < 5; ++n) cluster.Status(0, 500, now);
    ASSERT_TRUE(cluster.states[0].ejected);
    EXPECT_EQ(cluster.states[0].ejected_until - now, absl::Seconds(seconds));
    EXPECT_FALSE(cluster.Judge(cluster.states[0].ejected_until - absl::Milliseconds(1)));
    now = cluster.states[0].ejected_until;
    EXPECT_TRUE(cluster.Judge(now));
    EXPECT_FALSE(cluster.states[0].ejected);
  }
  // Well for four intervals: as if it had never been ejected.
  for (int i = 1; i <= 4; ++i) cluster.Judge(now + i * cluster.config.interval);
  now += absl::Seconds(100);
  for (int n = 0; n < 5; ++n) cluster.Status(0, 500, now);
  EXPECT_EQ(cluster.states[0].ejected_until - now, absl::Seconds(30));
}

TEST(Outlier, JitterComesOnTop) {
  Cluster cluster;
  cluster.config.max_ejection_time_jitter = absl::Seconds(10);
  for (size_t i = 0; i < 10; ++i) {
    for (int n = 0; n < 5; ++n) {
      cluster.detector.OnResponse(cluster.config, cluster.At(kNow, i * 77), 500, cluster.states[i],
                                  cluster.counters);
    }
    EXPECT_GE(cluster.states[i].ejected_until - kNow, absl::Seconds(30));
    EXPECT_LE(cluster.states[i].ejected_until - kNow, absl::Seconds(40));
  }
  EXPECT_NE(cluster.states[0].ejected_until, cluster.states[1].ejected_until);
}

TEST(Outlier, ASuccessRateFarBelowTheOthersEjects) {
  const struct {
    int hosts;
    int requests;
    int failed;  // of the first
    bool ejected;
  } cases[] = {
      {10, 100, 50, true},
      {10, 100, 0, false},
      {10, 99, 50, false},  // too few requests
      {4, 100, 50, false},  // too few endpoints
  };
  for (const auto& c : cases) {
    Cluster cluster;
    cluster.Judge(kNow);
    for (int i = 0; i < c.hosts; ++i) cluster.Answers(i, c.requests, i == 0 ? c.failed : 0);
    EXPECT_EQ(cluster.Judge(kNow + absl::Seconds(10)), c.ejected) << c.hosts << " " << c.requests;
    EXPECT_EQ(cluster.counters.success_rate.enforced, c.ejected ? 1u : 0u);
    EXPECT_EQ(cluster.states[0].answered.total, 0u) << "the next interval starts anew";
  }
}

TEST(Outlier, AFailurePercentageEjects) {
  Cluster cluster;
  cluster.config.enforcing_success_rate = 0;
  cluster.config.enforcing_failure_percentage = 100;
  cluster.config.failure_percentage_threshold = 60;
  cluster.Judge(kNow);
  for (int i = 0; i < 5; ++i) cluster.Answers(i, 80, i == 0 ? 50 : i == 1 ? 40 : 0);
  EXPECT_TRUE(cluster.Judge(kNow + absl::Seconds(10)));
  EXPECT_TRUE(cluster.states[0].ejected);
  EXPECT_FALSE(cluster.states[1].ejected);
  EXPECT_EQ(cluster.counters.failure_percentage.enforced, 1u);
}

TEST(Outlier, WhatTheProxySawIsJudgedApartWhenSplit) {
  Cluster cluster;
  cluster.config.split_external_local_origin_errors = true;
  cluster.config.enforcing_consecutive_local_origin_failure = 0;
  cluster.Judge(kNow);
  for (int i = 0; i < 10; ++i) {
    for (int n = 0; n < 100; ++n) {
      if (i == 3 && n % 2 == 0) {
        cluster.Local(i, LocalFailure::kConnect);
      } else {
        cluster.detector.OnConnected(cluster.config, false, cluster.states[i]);
      }
    }
  }
  EXPECT_TRUE(cluster.Judge(kNow + absl::Seconds(10)));
  EXPECT_TRUE(cluster.states[3].ejected);
  EXPECT_EQ(cluster.counters.local_origin_success_rate.enforced, 1u);
}

TEST(Outlier, AConnectionIsASuccessWhereNothingMoreComes) {
  Cluster cluster;
  for (int n = 0; n < 4; ++n) cluster.Local(0, LocalFailure::kConnect);
  cluster.detector.OnConnected(cluster.config, /*final=*/true, cluster.states[0]);
  EXPECT_FALSE(cluster.Local(0, LocalFailure::kConnect));
}

TEST(Outlier, WithoutItsConfigurationAllAreLetIn) {
  Cluster cluster;
  for (int n = 0; n < 5; ++n) cluster.Status(0, 500);
  EXPECT_TRUE(cluster.detector.Forget(cluster.pointers(), cluster.counters));
  EXPECT_FALSE(cluster.states[0].ejected);
  EXPECT_EQ(cluster.counters.ejections_active, 0u);
}

}  // namespace
}  // namespace weft
