#include "proxy/decide/pick_endpoint.h"

#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "proxy/decide/priority_load.h"

namespace weft {
namespace {

constexpr absl::Duration kNow = absl::Seconds(100);

// A cluster by rows of (priority, weight); key and index are in the order given.
struct Row {
  uint32_t priority;
  uint32_t weight = 1;
  EndpointHealth health = EndpointHealth::kHealthy;
  uint32_t fanout = 1;
};

ClusterConfig MakeCluster(LoadBalancing balancing, const std::vector<Row>& rows) {
  auto set = std::make_shared<EndpointSet>();
  for (const Row& row : rows) {
    if (set->priorities.size() <= row.priority) set->priorities.resize(row.priority + 1);
    LocalityConfig locality;
    locality.weight = 1;
    locality.first = set->endpoints.size();
    locality.count = 1;
    set->priorities[row.priority].localities.push_back(locality);
    EndpointConfig endpoint;
    endpoint.key = absl::StrCat("10.0.0.", set->endpoints.size(), ":80");
    endpoint.weight = row.weight;
    endpoint.health = row.health;
    endpoint.fanout = row.fanout;
    set->endpoints.push_back(endpoint);
  }
  ClusterConfig cluster;
  cluster.balancing = balancing;
  cluster.endpoints = set;
  return cluster;
}

// How often each endpoint is picked in `picks` picks without requests under way.
std::map<size_t, int> Picked(const ClusterConfig& cluster, ClusterLoad& load, int picks = 10000,
                             PickFacts facts = {.now = kNow}) {
  std::map<size_t, int> counts;
  for (int i = 0; i < picks; ++i) {
    facts.random = 0x5851f42d4c957f2du * (i + 1);
    std::optional<size_t> index = PickEndpoint(cluster, load, facts);
    counts[index ? *index : 999]++;
  }
  return counts;
}

TEST(PickEndpoint, SharesFollowWeightsUnderEveryPolicy) {
  for (LoadBalancing balancing :
       {LoadBalancing::kLeastRequest, LoadBalancing::kRandom, LoadBalancing::kRoundRobin}) {
    ClusterConfig cluster = MakeCluster(balancing, {{0, 1}, {0, 1}, {0, 2}});
    ClusterLoad load;
    auto counts = Picked(cluster, load);
    EXPECT_NEAR(counts[0], 2500, 200);
    EXPECT_NEAR(counts[1], 2500, 200);
    EXPECT_NEAR(counts[2], 5000, 200);
  }
}

TEST(PickEndpoint, RoundRobinTakesTurns) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRoundRobin, {{0}, {0}, {0}});
  ClusterLoad load;
  for (size_t i = 0; i < 9; ++i) EXPECT_EQ(PickEndpoint(cluster, load, {.now = kNow}), i % 3);
}

TEST(PickEndpoint, WeightedRoundRobinIsExactOverACycle) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRoundRobin, {{0, 3}, {0, 1}, {0, 4}});
  ClusterLoad load;
  auto counts = Picked(cluster, load, 80);
  EXPECT_EQ(counts[0], 30);
  EXPECT_EQ(counts[1], 10);
  EXPECT_EQ(counts[2], 40);
}

TEST(PickEndpoint, LeastRequestOfTwoTakesTheIdleOne) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kLeastRequest, {{0}, {0}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.at(0)->active = 5;
  EXPECT_EQ(Picked(cluster, load, 100)[1], 100);
}

TEST(PickEndpoint, LeastRequestComparesRequestsPerWeight) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kLeastRequest, {{0, 10}, {0, 1}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.at(0)->active = 5;
  load.at(1)->active = 1;
  EXPECT_EQ(Picked(cluster, load, 100)[0], 100);
}

TEST(PickEndpoint, NearestPriorityTakesAllWhileHealthy) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kLeastRequest, {{0}, {1}, {2}});
  ClusterLoad load;
  EXPECT_EQ(Picked(cluster, load, 100)[0], 100);
}

TEST(PickEndpoint, UnreachableLocalEndpointsSendEverythingToTheNextPriority) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kLeastRequest, {{0}, {0}, {1}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.at(0)->ConnectFailed(kNow);
  load.at(1)->ConnectFailed(kNow);
  EXPECT_EQ(Picked(cluster, load, 100)[2], 100);
}

TEST(PickEndpoint, PartOfTheLoadSpillsOverAsHealthFalls) {
  // 1 of 2 healthy, times 1.4: 70% stay.
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0}, {0}, {1}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.at(0)->ConnectFailed(kNow);
  auto counts = Picked(cluster, load);
  EXPECT_EQ(counts[0], 0);
  EXPECT_NEAR(counts[1], 7000, 200);
  EXPECT_NEAR(counts[2], 3000, 200);
}

TEST(PickEndpoint, UnreachableIsSkippedEvenInPanic) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0}, {0}, {0}, {0}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  for (int i : {0, 1, 2}) load.at(i)->ConnectFailed(kNow);
  EXPECT_EQ(Picked(cluster, load, 100)[3], 100);
}

TEST(PickEndpoint, UnreachableIsPickedForWantOfAnother) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.at(0)->ConnectFailed(kNow);
  EXPECT_EQ(PickEndpoint(cluster, load, {.now = kNow}), 0u);
}

TEST(PickEndpoint, UnreachableIsTriedAgainAfterItsTime) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRoundRobin, {{0}, {0}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.at(0)->ConnectFailed(kNow);
  EXPECT_EQ(Picked(cluster, load, 10)[0], 0);
  EXPECT_EQ(Picked(cluster, load, 10, {.now = kNow + absl::Seconds(2)})[0], 5);
}

TEST(PickEndpoint, AvoidanceGrowsWithFailuresInARowAndEndsWithSuccess) {
  EndpointLoad load;
  absl::Duration now = kNow;
  for (int seconds : {1, 2, 4, 8, 16, 30, 30}) {
    load.ConnectFailed(now);
    load.ConnectFailed(now);  // at once: the same failure
    EXPECT_EQ(load.failed_until - now, absl::Seconds(seconds));
    now = load.failed_until;
  }
  load.ConnectFailed(now);
  load.ConnectSucceeded();
  EXPECT_FALSE(load.Failed(now));
}

TEST(PickEndpoint, RetryTakesAnEndpointNotTriedYet) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0}, {0}, {1}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  std::vector<std::shared_ptr<EndpointLoad>> tried = {load.at(0)};
  EXPECT_EQ(Picked(cluster, load, 100, {.now = kNow, .tried = tried})[1], 100);
  tried.push_back(load.at(1));
  EXPECT_EQ(Picked(cluster, load, 100, {.now = kNow, .tried = tried})[2], 100)
      << "another priority before a second try";
  tried.push_back(load.at(2));
  EXPECT_EQ(Picked(cluster, load, 100, {.now = kNow, .tried = tried})[999], 0)
      << "all were tried: any will do";
}

TEST(PickEndpoint, StatedUnhealthyIsLeftOutAboveThePanicThreshold) {
  ClusterConfig cluster =
      MakeCluster(LoadBalancing::kRandom, {{0}, {0}, {0}, {0, 1, EndpointHealth::kUnhealthy}});
  ClusterLoad load;
  EXPECT_EQ(Picked(cluster, load)[3], 0);
}

TEST(PickEndpoint, PanicDisregardsStatedHealth) {
  const Row bad = {0, 1, EndpointHealth::kUnhealthy};
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0}, bad, bad, bad});
  ClusterLoad load;
  EXPECT_NEAR(Picked(cluster, load)[0], 2500, 200);
  cluster.panic_threshold_percent = 0;
  EXPECT_EQ(Picked(cluster, load)[0], 10000);
}

TEST(PickEndpoint, WithoutPanicNobodyIsBetterThanTheUnhealthy) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0, 1, EndpointHealth::kUnhealthy}});
  cluster.panic_threshold_percent = 0;
  ClusterLoad load;
  EXPECT_EQ(PickEndpoint(cluster, load, {.now = kNow}), std::nullopt);
}

TEST(PickEndpoint, NoEndpointsNoPick) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRoundRobin, {});
  ClusterLoad load;
  EXPECT_EQ(PickEndpoint(cluster, load, {.now = kNow}), std::nullopt);
}

TEST(PickEndpoint, AGatewayCountsAsThePodsBehindIt) {
  // One pod of ten is unreachable; 90% * 1.4 still carries everything.
  ClusterConfig cluster =
      MakeCluster(LoadBalancing::kRandom, {{0}, {0, 9, EndpointHealth::kHealthy, 9}, {1}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.at(0)->ConnectFailed(kNow);
  EXPECT_EQ(Picked(cluster, load)[1], 10000);
}

TEST(PickEndpoint, LocalitiesShareByTheirWeights) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0}, {0}});
  auto set = std::make_shared<EndpointSet>(*cluster.endpoints);
  set->priorities[0].localities[0].weight = 9;
  cluster.endpoints = set;
  cluster.locality_weighted = true;
  ClusterLoad load;
  EXPECT_NEAR(Picked(cluster, load)[0], 9000, 200);
}

TEST(PickEndpoint, HashSticksAndMovesOnlyFromALostEndpoint) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRingHash, {{0}, {0}, {0}});
  auto ring = std::make_shared<HashRing>();
  for (uint32_t i = 0; i < 300; ++i) {
    ring->places.push_back({i * (~uint64_t{0} / 300), i % 3});
  }
  cluster.ring = ring;
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  int moved = 0;
  for (uint64_t hash = 1; hash < 100; ++hash) {
    PickFacts facts = {.random = hash, .now = kNow, .hash = hash << 57};
    const size_t before = *PickEndpoint(cluster, load, facts);
    facts.random = ~hash;
    EXPECT_EQ(PickEndpoint(cluster, load, facts), before);
    load.at(2)->ConnectFailed(kNow);
    const size_t after = *PickEndpoint(cluster, load, facts);
    load.at(2)->ConnectSucceeded();
    if (before != 2) EXPECT_EQ(after, before);
    if (before == 2) EXPECT_NE(after, 2u);
    moved += before != after;
  }
  EXPECT_GT(moved, 0);
}

TEST(ClusterLoad, AnEndpointThatStaysKeepsItsLoad) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0}, {0}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.at(1)->active = 7;
  auto changed = std::make_shared<EndpointSet>(*cluster.endpoints);
  std::swap(changed->endpoints[0], changed->endpoints[1]);
  load.Adopt(changed);
  EXPECT_EQ(load.at(0)->active, 7u);
  EXPECT_EQ(load.at(1)->active, 0u);
}

TEST(SharePriorities, AsEnvoy) {
  struct Case {
    std::vector<PriorityHealth> health;
    std::vector<uint32_t> percent;
    bool short_of_health;
  };

  const Case cases[] = {
      {{{100, 100}, {100, 100}, {100, 100}}, {100, 0, 0}, false},
      {{{72, 100}, {72, 100}, {100, 100}}, {100, 0, 0}, false},
      {{{71, 100}, {71, 100}, {100, 100}}, {99, 1, 0}, false},
      {{{50, 100}, {50, 100}, {100, 100}}, {70, 30, 0}, false},
      {{{25, 100}, {100, 100}, {100, 100}}, {35, 65, 0}, false},
      {{{25, 100}, {25, 100}, {100, 100}}, {35, 35, 30}, false},
      // Capacities of 35, 35 and 28 of 98; what rounding leaves over goes to the first.
      {{{25, 100}, {25, 100}, {20, 100}}, {37, 35, 28}, true},
      {{{0, 100}, {100, 100}}, {0, 100}, false},
      {{{0, 100}, {0, 100}}, {0, 0}, true},
      {{{0, 0}, {10, 10}}, {0, 100}, false},
  };
  for (const Case& c : cases) {
    PriorityLoad load = SharePriorities(c.health, 140);
    EXPECT_EQ(std::vector<uint32_t>(load.percent.begin(), load.percent.end()), c.percent);
    EXPECT_EQ(load.short_of_health, c.short_of_health);
  }
}

}  // namespace
}  // namespace weft
