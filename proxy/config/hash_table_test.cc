#include "proxy/config/hash_table.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "proxy/config/subsets.h"

namespace weft {
namespace {

std::vector<std::string> Keys(int count) {
  std::vector<std::string> keys;
  for (int i = 0; i < count; ++i) keys.push_back(absl::StrCat("10.0.0.", i, ":80"));
  return keys;
}

std::vector<HashedEndpoint> Endpoints(const std::vector<std::string>& keys) {
  std::vector<HashedEndpoint> endpoints;
  for (uint32_t i = 0; i < keys.size(); ++i) endpoints.push_back({i, 1, keys[i]});
  return endpoints;
}

TEST(Ring, PlacesFollowTheWeights) {
  const std::vector<std::string> keys = Keys(3);
  std::vector<HashedEndpoint> endpoints = Endpoints(keys);
  endpoints[2].weight = 2;
  const HashTable table = MakeRing(endpoints, 1024, 8192);
  std::map<uint32_t, int> places;
  for (const HashTable::Place& place : table.ring) ++places[place.endpoint];
  EXPECT_EQ(places[0], 256);
  EXPECT_EQ(places[1], 256);
  EXPECT_EQ(places[2], 512);
}

TEST(Ring, ItsSizeIsBounded) {
  const std::vector<std::string> keys = Keys(10);
  EXPECT_EQ(MakeRing(Endpoints(keys), 1, 100).ring.size(), 10u);
  EXPECT_EQ(MakeRing(Endpoints(keys), 95, 95).ring.size(), 95u);
}

TEST(Maglev, SlotsFollowTheWeights) {
  const std::vector<std::string> keys = Keys(4);
  std::vector<HashedEndpoint> endpoints = Endpoints(keys);
  endpoints[3].weight = 3;
  const HashTable table = MakeMaglev(endpoints, 65537);
  std::map<uint32_t, int> slots;
  for (const uint32_t endpoint : table.slots) ++slots[endpoint];
  for (uint32_t i = 0; i < 3; ++i) EXPECT_NEAR(slots[i], 65537 / 6, 3);
  EXPECT_NEAR(slots[3], 65537 / 2, 3);
}

TEST(Maglev, OrderDoesNotMatterAndALostEndpointMovesLittleElse) {
  std::vector<std::string> keys = Keys(10);
  const HashTable table = MakeMaglev(Endpoints(keys), 65537);
  std::vector<HashedEndpoint> turned = Endpoints(keys);
  std::reverse(turned.begin(), turned.end());
  EXPECT_EQ(MakeMaglev(turned, 65537).slots, table.slots);

  keys.pop_back();
  const HashTable without = MakeMaglev(Endpoints(keys), 65537);
  int moved = 0;
  for (size_t i = 0; i < table.slots.size(); ++i) {
    moved += table.slots[i] != 9 && table.slots[i] != without.slots[i] ? 1 : 0;
  }
  EXPECT_LT(moved, 65537 / 10) << "of those that did not have to";
}

TEST(IsPrime, Table) {
  for (const uint64_t prime : {2, 3, 251, 65537, 5000011}) EXPECT_TRUE(IsPrime(prime)) << prime;
  for (const uint64_t other : {0, 1, 4, 65536, 65539 * 3}) EXPECT_FALSE(IsPrime(other)) << other;
}

// ---- Subsets.

EndpointConfig Labelled(const std::string& key, EndpointLabels labels) {
  EndpointConfig endpoint;
  endpoint.key = key;
  endpoint.labels = std::make_shared<EndpointLabels>(std::move(labels));
  return endpoint;
}

TEST(Subsets, HoldWhoHasTheValues) {
  auto config = std::make_shared<SubsetConfig>();
  config->selectors.resize(2);
  config->selectors[0].keys = {"stage", "version"};
  config->selectors[1].keys = {"version"};
  config->selectors[1].single_endpoint = true;
  config->default_subset = MakeSubsetCriteria({{"stage", "prod"}});
  ClusterConfig cluster;
  cluster.subsets = config;
  EndpointSet set;
  set.endpoints = {Labelled("a", {{"stage", {"prod"}}, {"version", {"1"}}}),
                   Labelled("b", {{"stage", {"prod"}}, {"version", {"1", "2"}}}),
                   Labelled("c", {{"version", {"2"}}}), EndpointConfig()};
  const auto subsets = MakeSubsets(cluster, set);
  using Members = std::vector<uint32_t>;
  const auto members = [&](std::vector<std::pair<std::string, std::string>> values) {
    auto found = subsets->by_hash.find(MakeSubsetCriteria(std::move(values)).hash);
    return found == subsets->by_hash.end() ? Members{99} : subsets->list[found->second].members;
  };
  EXPECT_EQ(members({{"stage", "prod"}, {"version", "1"}}), (Members{0, 1}));
  EXPECT_EQ(members({{"stage", "prod"}, {"version", "2"}}), (Members{1}));
  EXPECT_EQ(members({{"version", "1"}}), (Members{0})) << "one stands for all";
  EXPECT_EQ(members({{"version", "2"}}), (Members{1}));
  EXPECT_EQ(members({{"stage", "prod"}}), (Members{99})) << "no selector";
  EXPECT_EQ(subsets->list[*subsets->default_subset].members, (Members{0, 1}));
}

}  // namespace
}  // namespace weft
