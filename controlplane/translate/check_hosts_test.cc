#include "controlplane/translate/check_hosts.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

struct Case {
  const char* what;
  const char* first;   // metadata and spec of one VirtualService
  const char* second;  // and of another
  const char* loser;   // "" for none
};

TEST(CheckHosts, TheYoungerOfTwoThatSomeClientSees) {
  constexpr char kRoute[] = "http: [{route: [{destination: {host: web}}]}]";
  const Case cases[] = {
      {"one host", "name: a, namespace: shop|hosts: [web]", "name: b, namespace: shop|hosts: [web]",
       "b"},
      {"by another of its names", "name: a, namespace: shop|hosts: [web]",
       "name: b, namespace: other|hosts: [web.shop.svc.cluster.local]", "b"},
      {"two hosts", "name: a, namespace: shop|hosts: [web]",
       "name: b, namespace: shop|hosts: [api]", ""},
      {"by name where nothing tells of age", "name: b, namespace: shop|hosts: [web]",
       "name: a, namespace: shop|hosts: [web]", "b"},
      {"of a gateway", "name: a, namespace: shop|hosts: [web]",
       "name: b, namespace: shop|hosts: [web], gateways: [gw]", ""},
      {"seen by nobody together", "name: a, namespace: shop|hosts: [x.test], exportTo: [.]",
       "name: b, namespace: other|hosts: [x.test], exportTo: [.]", ""},
      {"seen in a third namespace", "name: a, namespace: shop|hosts: [x.test], exportTo: [third]",
       "name: b, namespace: other|hosts: [x.test], exportTo: [third]", "b"},
      {"seen by all and by one", "name: a, namespace: shop|hosts: [x.test]",
       "name: b, namespace: other|hosts: [x.test], exportTo: [.]", "b"},
  };
  for (const Case& c : cases) {
    WorldBuilder builder;
    for (const std::string text : {c.first, c.second}) {
      const size_t bar = text.find('|');
      const absl::Status applied = builder.Apply(absl::StrCat(
          "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {",
          text.substr(0, bar), "}\nspec: {", text.substr(bar + 1), ", ", kRoute, "}\n"));
      ASSERT_TRUE(applied.ok()) << applied;
    }
    const TranslationIndex index(builder.world());
    const std::string losers =
        absl::StrJoin(CheckHosts(index), " ", [](std::string* out, const Problem& problem) {
          EXPECT_EQ(problem.field, "spec.hosts[0]");
          out->append(problem.key.name);
        });
    EXPECT_EQ(losers, c.loser) << c.what;
  }
}

TEST(CheckHosts, WhatAnotherClusterDistributesIsYoungerThanAllOfOurOwn) {
  WorldBuilder builder;
  for (const char* name : {"a", "b"}) {
    const absl::Status applied = builder.Apply(absl::StrCat(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ", name,
        ", namespace: shop}\nspec: {hosts: [web], http: [{route: [{destination: "
        "{host: web}}]}]}\n"));
    ASSERT_TRUE(applied.ok()) << applied;
  }
  World world = builder.world();
  world.virtual_services[{"shop", "a"}].cluster = "east";
  const TranslationIndex index(world);
  const std::vector<Problem> problems = CheckHosts(index);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].key.name, "a");
  EXPECT_TRUE(absl::StrContains(problems[0].message, "which is the cluster's own"));
}

}  // namespace
}  // namespace weft
