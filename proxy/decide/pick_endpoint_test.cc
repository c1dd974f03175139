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
  load.ConnectFailed(*load.at(0), kNow);
  load.ConnectFailed(*load.at(1), kNow);
  EXPECT_EQ(Picked(cluster, load, 100)[2], 100);
}

TEST(PickEndpoint, PartOfTheLoadSpillsOverAsHealthFalls) {
  // 1 of 2 healthy, times 1.4: 70% stay.
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0}, {0}, {1}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.ConnectFailed(*load.at(0), kNow);
  auto counts = Picked(cluster, load);
  EXPECT_EQ(counts[0], 0);
  EXPECT_NEAR(counts[1], 7000, 200);
  EXPECT_NEAR(counts[2], 3000, 200);
}

TEST(PickEndpoint, UnreachableIsSkippedEvenInPanic) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0}, {0}, {0}, {0}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  for (int i : {0, 1, 2}) load.ConnectFailed(*load.at(i), kNow);
  EXPECT_EQ(Picked(cluster, load, 100)[3], 100);
}

TEST(PickEndpoint, UnreachableIsPickedForWantOfAnother) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.ConnectFailed(*load.at(0), kNow);
  EXPECT_EQ(PickEndpoint(cluster, load, {.now = kNow}), 0u);
}

TEST(PickEndpoint, UnreachableIsTriedAgainAfterItsTime) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRoundRobin, {{0}, {0}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.ConnectFailed(*load.at(0), kNow);
  EXPECT_EQ(Picked(cluster, load, 10)[0], 0);
  EXPECT_EQ(Picked(cluster, load, 10, {.now = kNow + absl::Seconds(2)})[0], 5);
}

TEST(PickEndpoint, AvoidanceGrowsWithFailuresInARowAndEndsWithSuccess) {
  ClusterLoad cluster_load;
  EndpointLoad load;
  absl::Duration now = kNow;
  for (int seconds : {1, 2, 4, 8, 16, 30, 30}) {
    cluster_load.ConnectFailed(load, now);
    cluster_load.ConnectFailed(load, now);  // at once: the same failure
    EXPECT_EQ(load.failed_until - now, absl::Seconds(seconds));
    now = load.failed_until;
  }
  cluster_load.ConnectFailed(load, now);
  cluster_load.ConnectSucceeded(load);
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
  ClusterLoad other;
  EXPECT_EQ(Picked(cluster, other)[0], 10000);
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
  load.ConnectFailed(*load.at(0), kNow);
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
  auto ring = std::make_shared<HashTable>();
  for (uint32_t i = 0; i < 300; ++i) {
    ring->ring.push_back({i * (~uint64_t{0} / 300), i % 3});
  }
  auto set = std::make_shared<EndpointSet>(*cluster.endpoints);
  set->tables = {ring};
  cluster.endpoints = set;
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  int moved = 0;
  for (uint64_t hash = 1; hash < 100; ++hash) {
    PickFacts facts = {.random = hash, .now = kNow, .hash = hash << 57};
    const size_t before = *PickEndpoint(cluster, load, facts);
    facts.random = ~hash;
    EXPECT_EQ(PickEndpoint(cluster, load, facts), before);
    load.ConnectFailed(*load.at(2), kNow);
    const size_t after = *PickEndpoint(cluster, load, facts);
    load.ConnectSucceeded(*load.at(2));
    if (before != 2) EXPECT_EQ(after, before);
    if (before == 2) EXPECT_NE(after, 2u);
    moved += before != after;
  }
  EXPECT_GT(moved, 0);
}

// ---- Least request, and how long endpoints take.

TEST(PickEndpoint, TheSlowOfTenIsAvoidedAndAskedAgainAfterAWhile) {
  ClusterConfig cluster =
      MakeCluster(LoadBalancing::kLeastRequest, {{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  for (size_t i = 0; i < 10; ++i) {
    const absl::Duration took = absl::Milliseconds(i == 7 ? 100 : 1);
    load.Responded(cluster, *load.at(i), 200, took, {kNow});
  }
  EXPECT_EQ(Picked(cluster, load)[7], 0);
  const absl::Duration later = kNow + absl::Seconds(60);
  for (size_t i = 0; i < 10; ++i) {
    if (i != 7) load.Responded(cluster, *load.at(i), 200, absl::Milliseconds(1), {later});
  }
  EXPECT_GT(Picked(cluster, load, 10000, {.now = later})[7], 0) << "forgotten by and by";
}

TEST(PickEndpoint, ADifferenceOfNoiseDoesNotDecide) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kLeastRequest, {{0}, {0}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.Responded(cluster, *load.at(0), 200, absl::Microseconds(1000), {kNow});
  load.Responded(cluster, *load.at(1), 200, absl::Microseconds(1150), {kNow});
  EXPECT_NEAR(Picked(cluster, load)[0], 5000, 200);
}

TEST(PickEndpoint, AFastFailureDoesNotAttractRequests) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kLeastRequest, {{0}, {0}});
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.Responded(cluster, *load.at(0), 200, absl::Milliseconds(10), {kNow});
  load.Responded(cluster, *load.at(1), 503, absl::Microseconds(10), {kNow});
  EXPECT_NEAR(Picked(cluster, load)[1], 5000, 200);
}

TEST(PickEndpoint, ManyChoicesFindTheIdleOne) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kLeastRequest, {{0}, {0}, {0}, {0}});
  auto options = std::make_shared<BalancingOptions>();
  options->choice_count = 30;
  cluster.options = options;
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  for (size_t i : {0, 1, 3}) load.at(i)->active = 1;
  EXPECT_GT(Picked(cluster, load)[2], 9900);
}

TEST(PickEndpoint, WithoutBiasRequestsUnderWayDoNotCount) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kLeastRequest, {{0}, {0}});
  auto options = std::make_shared<BalancingOptions>();
  options->active_request_bias = 0;
  cluster.options = options;
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  load.at(0)->active = 100;
  EXPECT_NEAR(Picked(cluster, load)[0], 5000, 200);
}

// ---- Health.

TEST(PickEndpoint, DegradedEndpointsTakeWhatTheHealthyCannotCarry) {
  const Row degraded = {0, 1, EndpointHealth::kDegraded};
  // One of four healthy, times 1.4: 35% stay; the next priority has none.
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0}, degraded, degraded, degraded});
  ClusterLoad load;
  auto counts = Picked(cluster, load);
  EXPECT_NEAR(counts[0], 3500, 200);
  EXPECT_NEAR(counts[1] + counts[2] + counts[3], 6500, 200);
}

TEST(PickEndpoint, AHealthyEndpointOfTheNextPriorityGoesBeforeDegradedOnes) {
  ClusterConfig cluster =
      MakeCluster(LoadBalancing::kRandom, {{0, 1, EndpointHealth::kDegraded}, {1}});
  ClusterLoad load;
  EXPECT_EQ(Picked(cluster, load)[1], 10000);
}

TEST(PickEndpoint, AFailedCheckAndAnEjectionAreLikeStatedUnhealthy) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRoundRobin, {{0}, {0}, {0}, {0}});
  auto set = std::make_shared<EndpointSet>(*cluster.endpoints);
  set->endpoints[0].checked = CheckedHealth::kFailing;
  cluster.endpoints = set;
  auto outlier = std::make_shared<OutlierConfig>();
  outlier->consecutive_5xx = 1;
  outlier->max_ejection_percent = 100;
  cluster.outlier = outlier;
  ClusterLoad load;
  load.Adopt(cluster.endpoints, kNow);
  load.Responded(cluster, *load.at(1), 500, absl::ZeroDuration(), {kNow});
  auto counts = Picked(cluster, load, 100);
  EXPECT_EQ(counts[0], 0);
  EXPECT_EQ(counts[1], 0);
  EXPECT_EQ(counts[2], 50);
  const absl::Duration later = kNow + absl::Seconds(31);
  Picked(cluster, load, 1, {.now = later});
  EXPECT_GT(Picked(cluster, load, 100, {.now = later + absl::Seconds(11)})[1], 0) << "let back in";
}

TEST(PickEndpoint, FarFromHealthThePickSaysPanic) {
  const Row bad = {0, 1, EndpointHealth::kUnhealthy};
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0}, bad, bad});
  ClusterLoad load;
  EXPECT_TRUE(PickEndpointWithReason(cluster, load, {.now = kNow}).panic);
}

// ---- Slow start.

TEST(PickEndpoint, ANewEndpointStartsSlowly) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRoundRobin, {{0}});
  auto options = std::make_shared<BalancingOptions>();
  options->slow_start.window = absl::Seconds(100);
  cluster.options = options;
  ClusterLoad load;
  Picked(cluster, load, 1);
  ClusterConfig grown = MakeCluster(LoadBalancing::kRoundRobin, {{0}, {0}});
  grown.options = options;
  const struct {
    int age;
    double share;
  } cases[] = {{0, 0.1 / 1.1}, {5, 0.1 / 1.1}, {50, 0.5 / 1.5}, {100, 0.5}};
  for (const auto& c : cases) {
    const PickFacts facts = {.now = kNow + absl::Seconds(c.age)};
    EXPECT_NEAR(Picked(grown, load, 11000, facts)[1], 11000 * c.share, 150) << c.age;
  }
}

TEST(PickEndpoint, AggressionMakesASlowStartFaster) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRoundRobin, {{0}});
  auto options = std::make_shared<BalancingOptions>();
  options->slow_start = {absl::Seconds(100), 2, 0.1};
  cluster.options = options;
  ClusterLoad load;
  Picked(cluster, load, 1);
  ClusterConfig grown = MakeCluster(LoadBalancing::kRoundRobin, {{0}, {0}});
  grown.options = options;
  Picked(grown, load, 1);
  // The square root of a quarter.
  EXPECT_NEAR(Picked(grown, load, 9000, {.now = kNow + absl::Seconds(25)})[1], 3000, 150);
}

// ---- Localities.

// One locality for each number, with so many endpoints.
ClusterConfig Zones(const std::vector<int>& endpoints) {
  auto set = std::make_shared<EndpointSet>();
  set->priorities.resize(1);
  for (size_t zone = 0; zone < endpoints.size(); ++zone) {
    LocalityConfig locality;
    locality.locality.zone = absl::StrCat(zone);
    locality.first = set->endpoints.size();
    locality.count = endpoints[zone];
    set->priorities[0].localities.push_back(locality);
    for (int i = 0; i < endpoints[zone]; ++i) {
      set->endpoints.emplace_back().key = absl::StrCat(zone, "-", i);
    }
  }
  ClusterConfig cluster;
  cluster.balancing = LoadBalancing::kRandom;
  cluster.endpoints = set;
  return cluster;
}

double ShareOfFirstZone(const ClusterConfig& cluster, const LocalZones& zones, int endpoints) {
  ClusterLoad load;
  int inside = 0;
  for (const auto& [index, count] : Picked(cluster, load, 10000, {.now = kNow, .zones = &zones})) {
    if (index < static_cast<size_t>(endpoints)) inside += count;
  }
  return inside / 10000.0;
}

TEST(PickEndpoint, ZoneAwareRoutingKeepsRequestsInTheirZone) {
  const struct {
    std::vector<int> endpoints;
    std::vector<uint64_t> proxies;
    double share;
  } cases[] = {
      {{3, 3, 3}, {1, 1, 1}, 1.0}, {{6, 3}, {1, 1}, 1.0},  // more than its part
      {{2, 6}, {1, 1}, 0.5},        // a quarter of the endpoints for half of the proxies
      {{1, 4, 5}, {1, 1, 2}, 0.4},  // a tenth for a quarter
      {{2, 2}, {1, 1}, 0.5},        // fewer than min_cluster_size: all alike
  };
  for (const auto& c : cases) {
    LocalZones zones;
    zones.own.zone = "0";
    for (size_t i = 0; i < c.proxies.size(); ++i) {
      zones.proxies.push_back({EndpointLocality{"", absl::StrCat(i), ""}, c.proxies[i]});
    }
    EXPECT_NEAR(ShareOfFirstZone(Zones(c.endpoints), zones, c.endpoints[0]), c.share, 0.02)
        << c.endpoints[0] << " in the zone";
  }
}

TEST(PickEndpoint, ALocalityLosesItsWeightWithItsHealth) {
  ClusterConfig cluster = Zones({10, 10});
  auto set = std::make_shared<EndpointSet>(*cluster.endpoints);
  for (LocalityConfig& one : set->priorities[0].localities) one.weight = 1;
  // Half of them, times 1.4, is worth 0.7.
  for (size_t i = 0; i < 5; ++i) set->endpoints[i].health = EndpointHealth::kUnhealthy;
  cluster.endpoints = set;
  cluster.locality_weighted = true;
  ClusterLoad load;
  int first = 0;
  for (const auto& [index, count] : Picked(cluster, load)) first += index < 10 ? count : 0;
  EXPECT_NEAR(first, 10000 * 0.7 / 1.7, 200);
}

// ---- Subsets.

ClusterConfig WithSubsets(SubsetFallback fallback) {
  ClusterConfig cluster = MakeCluster(LoadBalancing::kRandom, {{0}, {0}, {0}});
  auto config = std::make_shared<SubsetConfig>();
  config->fallback = fallback;
  config->selectors.resize(2);
  config->selectors[0].keys = {"version"};
  config->selectors[1].keys = {"stage", "version"};
  config->selectors[1].fallback = SubsetFallback::kKeys;
  config->selectors[1].fallback_keys = {"version"};
  for (SubsetSelector& one : config->selectors) one.keys_hash = SubsetKeysHash(one.keys);
  cluster.subsets = config;
  // Endpoint 0 is v1; 1 and 2 are v2, of which 2 is the default and "prod".
  auto subsets = std::make_shared<Subsets>();
  subsets->list.resize(4);
  subsets->list[0].members = {0};
  subsets->list[1].members = {1, 2};
  subsets->list[2].members = {2};
  subsets->list[3].members = {2};
  subsets->by_hash[MakeSubsetCriteria({{"version", "1"}}).hash] = 0;
  subsets->by_hash[MakeSubsetCriteria({{"version", "2"}}).hash] = 1;
  subsets->by_hash[MakeSubsetCriteria({{"version", "2"}, {"stage", "prod"}}).hash] = 2;
  subsets->default_subset = 3;
  auto set = std::make_shared<EndpointSet>(*cluster.endpoints);
  set->subsets = subsets;
  cluster.endpoints = set;
  return cluster;
}

TEST(PickEndpoint, ASubsetIsChosenByMetadataOrItsFallback) {
  using Values = std::vector<std::pair<std::string, std::string>>;
  const struct {
    SubsetFallback fallback;
    Values wanted;
    std::vector<size_t> picked;  // empty: none
  } cases[] = {
      {SubsetFallback::kNone, {{"version", "1"}}, {0}},
      {SubsetFallback::kNone, {{"version", "2"}}, {1, 2}},
      {SubsetFallback::kNone, {{"version", "2"}, {"stage", "prod"}}, {2}},
      {SubsetFallback::kNone, {{"version", "2"}, {"stage", "test"}}, {1, 2}},  // fewer keys
      {SubsetFallback::kNone, {{"version", "3"}}, {}},
      {SubsetFallback::kNone, {{"stage", "prod"}}, {}},  // no selector
      {SubsetFallback::kNone, {}, {}},
      {SubsetFallback::kAny, {{"version", "3"}}, {0, 1, 2}},
      {SubsetFallback::kAny, {}, {0, 1, 2}},
      {SubsetFallback::kDefault, {{"version", "3"}}, {2}},
      {SubsetFallback::kDefault, {}, {2}},
  };
  for (const auto& c : cases) {
    const ClusterConfig cluster = WithSubsets(c.fallback);
    const SubsetCriteria wanted = MakeSubsetCriteria(c.wanted);
    ClusterLoad load;
    auto counts = Picked(cluster, load, 1000, {.now = kNow, .subset = &wanted});
    for (const size_t index : c.picked) EXPECT_GT(counts[index], 200) << index;
    const size_t expected = c.picked.empty() ? 1 : c.picked.size();
    EXPECT_EQ(counts.size(), expected);
    if (c.picked.empty()) EXPECT_EQ(counts[999], 1000);
  }
}

TEST(SubsetCriteria, OrderDoesNotMatterAndBordersDo) {
  EXPECT_EQ(MakeSubsetCriteria({{"a", "1"}, {"b", "2"}}).hash,
            MakeSubsetCriteria({{"b", "2"}, {"a", "1"}}).hash);
  EXPECT_NE(MakeSubsetCriteria({{"ab", "c"}}).hash, MakeSubsetCriteria({{"a", "bc"}}).hash);
  EXPECT_EQ(SubsetKeysHash({"b", "a"}), MakeSubsetCriteria({{"a", "1"}, {"b", "2"}}).keys_hash);
  EXPECT_EQ(MakeSubsetCriteria({{"a", "1"}, {"a", "2"}}).values[0].second, "1");
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
