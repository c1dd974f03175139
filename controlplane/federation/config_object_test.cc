#include "controlplane/federation/config_object.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controlplane/model/testing.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

std::shared_ptr<const RawObject> Object(const std::string& annotations,
                                        const std::string& spec = "{hosts: [web]}") {
  const std::string text = absl::StrCat(
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n"
      "  name: web\n  namespace: shop\n  annotations: {",
      annotations, "}\nspec: ", spec, "\n");
  return Deltas(text).at(0).object;
}

std::shared_ptr<const RawObject> Sound(const std::string& annotations = "") {
  return Object(annotations,
                "{hosts: [web], http: [{route: [{destination: {host: web}, weight: 100}]}]}");
}

TEST(DistributionMark, SaysWhereAndInWhichOrder) {
  const auto mark = MarkOf(*Object(
      "weft.io/distribute-to: 'west, north', weft.io/distribute-order: 'west; north, south; west', "
      "weft.io/distribute-pause: 30s"));
  ASSERT_TRUE(mark.ok() && mark->has_value()) << mark.status();
  EXPECT_FALSE((*mark)->to_all);
  EXPECT_EQ((*mark)->to, (std::set<std::string>{"north", "west"}));
  ASSERT_EQ((*mark)->order.size(), 2u);
  EXPECT_EQ((*mark)->order[0], std::set<std::string>{"west"});
  EXPECT_EQ((*mark)->order[1], (std::set<std::string>{"north", "south"}));
  EXPECT_EQ((*mark)->pause, absl::Seconds(30));
}

TEST(DistributionMark, AllAndNone) {
  const auto all = MarkOf(*Object("weft.io/distribute-to: '*'"));
  ASSERT_TRUE(all.ok() && all->has_value());
  EXPECT_TRUE((*all)->to_all);
  EXPECT_EQ((*all)->pause, kDefaultPause);
  const auto none = MarkOf(*Object("weft.io/distribute-pause: 30s"));
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
}

TEST(DistributionMark, RefusesWhatCannotBeRead) {
  struct Row {
    const char* annotations;
    const char* error;
  };
  const Row rows[] = {
      {"weft.io/distribute-to: 'West'", "distribute-to: \"West\" is no name of a cluster"},
      {"weft.io/distribute-to: 'west,'", "distribute-to: \"\" is no name of a cluster"},
      {"weft.io/distribute-to: '*', weft.io/distribute-order: 'west;;north'",
       "distribute-order: \"\" is no name"},
      {"weft.io/distribute-to: '*', weft.io/distribute-pause: '5'", "distribute-pause: \"5\""},
      {"weft.io/distribute-to: '*', weft.io/distribute-pause: '1s'", "from 2s to 24h"},
      {"weft.io/distribute-to: '*', weft.io/distribute-pause: '-5m'", "distribute-pause"},
      {"weft.io/distribute-to: '*', weft.io/distribute-pause: 'inf'", "distribute-pause"},
  };
  for (const Row& row : rows) {
    const auto mark = MarkOf(*Object(row.annotations));
    ASSERT_FALSE(mark.ok()) << row.annotations;
    EXPECT_TRUE(absl::StrContains(mark.status().message(), row.error)) << mark.status();
  }
}

TEST(MayBeDistributed, ThreeKindsOutsideOfTheSystem) {
  EXPECT_TRUE(MayBeDistributed({"VirtualService", "shop", "web"}));
  EXPECT_TRUE(MayBeDistributed({"DestinationRule", "shop", "web"}));
  EXPECT_TRUE(MayBeDistributed({"AuthorizationPolicy", "shop", "web"}));
  EXPECT_FALSE(MayBeDistributed({"Gateway", "shop", "web"}));
  EXPECT_FALSE(MayBeDistributed({"Secret", "shop", "web"}));
  EXPECT_FALSE(MayBeDistributed({"PeerAuthentication", "shop", "web"}));
  for (const char* system : {"weft-system", "istio-system", "kube-system", "kube-public"}) {
    EXPECT_FALSE(MayBeDistributed({"AuthorizationPolicy", system, "web"})) << system;
  }
}

// Where it goes is no part of what it says; nor is what tools note in it.
TEST(ConfigText, ARevisionIsOfWhatCounts) {
  const std::string revision = (*ConfigTextOf(*Sound()))->revision;
  EXPECT_EQ((*ConfigTextOf(*Sound("weft.io/distribute-to: '*'")))->revision, revision);
  EXPECT_EQ((*ConfigTextOf(*Sound("argocd.argoproj.io/x: y")))->revision, revision);
  EXPECT_NE((*ConfigTextOf(*Sound("istio.io/dry-run: 'true'")))->revision, revision);
  EXPECT_NE((*ConfigTextOf(*Object("")))->revision, revision);
}

TEST(ConfigText, IsReadAsTheObjectThatItWasMadeOf) {
  const auto text = *ConfigTextOf(*Sound("istio.io/dry-run: 'true'"));
  const auto read = ReadConfig({"VirtualService", "shop", "web"}, text->json, "east");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->revision, text->revision);
  EXPECT_EQ(read->object.origin, "cluster east");
  EXPECT_EQ(read->object.annotations.at("istio.io/dry-run"), "true");
  EXPECT_EQ(read->names.back(), "web.shop.svc.cluster.local");
}

TEST(ConfigText, WhatIsTooLargeIsNotSent) {
  const auto text =
      ConfigTextOf(*Object("", absl::StrCat("{hosts: [", std::string(kMaxConfigBytes, 'x'), "]}")));
  ASSERT_FALSE(text.ok());
  EXPECT_TRUE(absl::StrContains(text.status().message(), "larger than"));
}

TEST(ReadConfig, RefusesWhatAFileWouldNotHold) {
  const ObjectKey key{"VirtualService", "shop", "web"};
  const std::string head =
      R"({"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"name":"web",)"
      R"("namespace":"shop"},"spec":)";
  struct Row {
    std::string json;
    const char* error;
  };
  const Row rows[] = {
      {"", ""},
      {"{", ""},
      {"[]", "metadata"},
      {head + R"({"hosts":["web"],"http":[{"timeuot":"5s"}]}})", "spec.http[0].timeuot"},
      {head + R"({"http":[]}})", "hosts"},
      {R"({"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":)"
       R"({"name":"other","namespace":"shop"},"spec":{"hosts":["web"]}})",
       "another object"},
      {R"({"apiVersion":"networking.istio.io/v9","kind":"VirtualService","metadata":)"
       R"({"name":"web","namespace":"shop"},"spec":{"hosts":["web"]}})",
       "apiVersion"},
      {std::string(kMaxConfigBytes + 1, ' '), "too large"},
  };
  for (const Row& row : rows) {
    const auto read = ReadConfig(key, row.json, "east");
    ASSERT_FALSE(read.ok()) << row.json.substr(0, 200);
    EXPECT_TRUE(absl::StrContains(read.status().message(), row.error)) << read.status();
  }
}

}  // namespace
}  // namespace weft
