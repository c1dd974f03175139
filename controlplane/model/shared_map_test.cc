#include "controlplane/model/shared_map.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

using Map = SharedMap<std::string, int>;
using Model = std::map<std::string, int>;

Model Contents(const Map& map) { return Model(map.begin(), map.end()); }

// "-a" gone, "+a" new, "~a" another value.
std::string DiffOf(const Map& before, const Map& after) {
  std::string text;
  Map::Diff(before, after, [&](const std::string& key, const int* was, const int* is) {
    absl::StrAppend(&text, was == nullptr ? "+" : is == nullptr ? "-" : "~", key, " ");
  });
  return text;
}

TEST(SharedMap, IsAMap) {
  Map map = {{"b", 2}, {"a", 1}};
  EXPECT_EQ(map.size(), 2u);
  EXPECT_EQ(map.begin()->first, "a");
  EXPECT_EQ(map.at("b"), 2);
  EXPECT_TRUE(map.contains("a"));
  EXPECT_EQ(map.find("c"), map.end());
  EXPECT_FALSE(map.emplace("a", 9)) << "what is there stays";
  map.insert_or_assign("a", 9);
  EXPECT_EQ(map["a"], 9);
  EXPECT_EQ(map["new"], 0);
  EXPECT_EQ(map.erase("b"), 1u);
  EXPECT_EQ(map.erase("b"), 0u);
  EXPECT_EQ(Contents(map), (Model{{"a", 9}, {"new", 0}}));
  EXPECT_TRUE(Map().empty());
  EXPECT_EQ(Map().begin(), Map().end());
}

TEST(SharedMap, ACopyIsNotChangedByItsOriginal) {
  Map map;
  for (int i = 0; i < 1000; ++i) map[absl::StrCat(i)] = i;
  const Map copy = map;
  EXPECT_TRUE(copy.SharesAllWith(map));
  map["500"] = -1;
  map.erase("7");
  map["x"] = 1;
  EXPECT_EQ(copy.at("500"), 500);
  EXPECT_TRUE(copy.contains("7"));
  EXPECT_FALSE(copy.SharesAllWith(map));
  EXPECT_EQ(DiffOf(copy, map), "~500 -7 +x ");
  EXPECT_EQ(DiffOf(map, copy), "~500 +7 -x ");
}

TEST(SharedMap, AValueStaysWhereItIsWhileOthersChange) {
  Map map;
  for (int i = 0; i < 1000; ++i) map[absl::StrCat(i)] = i;
  const Map copy = map;
  const int* there = &copy.at("500");
  map["1"] = -1;
  EXPECT_EQ(&map.at("500"), there);
}

TEST(SharedMap, EqualsAndDiffersAsItsModelDoes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  std::vector<std::pair<Map, Model>> versions(1);
  for (int step = 0; step < 3000; ++step) {
    auto [map, model] = versions.back();
    const std::string key = absl::StrCat(random() % 400);
    if (random() % 3 == 0) {
      EXPECT_EQ(map.erase(key), model.erase(key));
    } else {
      map[key] = model[key] = static_cast<int>(random() % 3);
    }
    ASSERT_EQ(map.size(), model.size());
    versions.emplace_back(std::move(map), std::move(model));
  }
  for (int round = 0; round < 200; ++round) {
    const auto& [a, of_a] = versions[random() % versions.size()];
    const auto& [b, of_b] = versions[random() % versions.size()];
    ASSERT_EQ(Contents(a), of_a);
    EXPECT_EQ(a == b, of_a == of_b);
    Model patched = of_a;
    Map::Diff(a, b, [&](const std::string& key, const int* was, const int* is) {
      ASSERT_EQ(was != nullptr, of_a.contains(key));
      if (is == nullptr) {
        patched.erase(key);
      } else {
        patched[key] = *is;
      }
    });
    ASSERT_EQ(patched, of_b);
    for (const auto& [key, value] : of_b) ASSERT_EQ(b.find(key)->second, value);
  }
}

}  // namespace
}  // namespace weft
