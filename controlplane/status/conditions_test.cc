#include "controlplane/status/conditions.h"

#include "gtest/gtest.h"

namespace weft {
namespace {

using Json = nlohmann::json;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr char kNowText[] = "2027-01-15T08:00:00Z";
constexpr char kBefore[] = "2026-01-01T00:00:00Z";

Json Accepted(const char* status, const char* since) {
  return {{"type", "Accepted"},
          {"status", status},
          {"reason", "Accepted"},
          {"message", ""},
          {"lastTransitionTime", since}};
}

TEST(WithConditions, TheTimeIsThatOfTheTurn) {
  const GatewayApiConditions wanted = {{"Accepted", true, "Accepted", "with a word"}};
  const Json same = WithConditions(Json::array({Accepted("True", kBefore)}), wanted, 4, kNow);
  EXPECT_EQ(same[0]["lastTransitionTime"], kBefore);
  EXPECT_EQ(same[0]["observedGeneration"], 4);
  EXPECT_EQ(same[0]["message"], "with a word");
  const Json turned = WithConditions(Json::array({Accepted("Unknown", kBefore)}), wanted, 4, kNow);
  EXPECT_EQ(turned[0]["lastTransitionTime"], kNowText);
}

TEST(WithConditions, OthersKeepTheirPlaceAndOursThatAreNotWantedGo) {
  const Json theirs = {{"type", "Reconciled"}, {"status", "True"}, {"more", {1, 2}}};
  const Json ours = {{"type", "Programmed"}, {"status", "False"}};
  const Json present = {ours, Accepted("True", kBefore), theirs};
  const Json now = WithConditions(present, {{"Accepted", true, "Accepted"}}, 0, kNow);
  EXPECT_EQ(now, Json::array({Accepted("True", kBefore), theirs}));
}

TEST(WithConditions, SurvivesWhatIsNoListOfConditions) {
  const GatewayApiConditions wanted = {{"Accepted", true, "Accepted"}};
  for (const Json& present : {Json(), Json("x"), Json(Json::object()), Json({1, "x", nullptr})}) {
    const Json now = WithConditions(present, wanted, 0, kNow);
    EXPECT_EQ(now.back()["type"], "Accepted") << present;
  }
}

TEST(Holds, WhatAServerAddedDoesNotCount) {
  const Json wanted = {{"parents", {{{"name", "a"}}}}, {"addresses", Json::array()}};
  EXPECT_TRUE(Holds({{"parents", {{{"name", "a"}, {"added", 1}}}}, {"more", 2}}, wanted));
  EXPECT_FALSE(Holds({{"parents", {{{"name", "b"}}}}}, wanted));
  EXPECT_FALSE(Holds({{"parents", {{{"name", "a"}}, {{"name", "a"}}}}}, wanted));
  EXPECT_FALSE(Holds({{"parents", {{{"name", "a"}}}}, {"addresses", {"x"}}}, wanted));
  EXPECT_FALSE(Holds(Json(), wanted));
}

}  // namespace
}  // namespace weft
