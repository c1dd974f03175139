#include "test/apiserver/selector.h"

#include "gtest/gtest.h"

namespace weft::apiserver {
namespace {

TEST(LabelSelector, MatchesAsKubectlWritesThem) {
  const Labels labels = {{"app", "web"}, {"tier", "front"}};
  const std::pair<const char*, bool> cases[] = {
      {"", true},
      {"app=web", true},
      {"app==web,tier=front", true},
      {"app=api", false},
      {"app!=api", true},
      {"app!=web", false},
      {"missing!=x", true},
      {"app", true},
      {"missing", false},
      {"!missing", true},
      {"!app", false},
      {"app in (api, web)", true},
      {"app notin (api,web)", false},
      {"app in (api),tier=front", false},
      {"missing notin (a)", true},
  };
  for (const auto& [text, matches] : cases) {
    const auto selector = LabelSelector::Parse(text);
    ASSERT_TRUE(selector.ok()) << text;
    EXPECT_EQ(selector->Matches(labels), matches) << text;
  }
  EXPECT_FALSE(LabelSelector::Parse("a b=c").ok());
}

TEST(LabelSelector, ReadsThoseOfWebhooks) {
  const Json json = Json::parse(R"({"matchLabels":{"a":"1"},"matchExpressions":[
      {"key":"b","operator":"NotIn","values":["x"]},{"key":"c","operator":"DoesNotExist"}]})");
  const LabelSelector selector = LabelSelector::FromJson(json);
  EXPECT_TRUE(selector.Matches({{"a", "1"}, {"b", "y"}}));
  EXPECT_FALSE(selector.Matches({{"a", "1"}, {"b", "x"}}));
  EXPECT_FALSE(selector.Matches({{"a", "1"}, {"c", ""}}));
  EXPECT_TRUE(LabelSelector::FromJson(nullptr).Matches({}));
}

TEST(FieldSelector, KnowsTheFieldsOfAKind) {
  const Catalog catalog;
  const auto pods = catalog.FindById("pods");
  Stored pod;
  pod.ns = "a";
  pod.name = "x";
  pod.text = R"({"metadata":{},"spec":{"nodeName":"n1"},"status":{"phase":"Running"}})";
  const std::pair<const char*, bool> cases[] = {
      {"metadata.name=x", true},
      {"metadata.name!=x", false},
      {"metadata.namespace=a,spec.nodeName=n1", true},
      {"status.phase!=Succeeded,status.phase!=Failed", true},
      {"status.podIP=", true},
  };
  for (const auto& [text, matches] : cases) {
    const auto selector = FieldSelector::Parse(text, *pods);
    ASSERT_TRUE(selector.ok()) << text;
    EXPECT_EQ(selector->Matches(pod), matches) << text;
  }
  const auto refused = FieldSelector::Parse("spec.color=red", *pods);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().message, "field label not supported: spec.color");
}

}  // namespace
}  // namespace weft::apiserver
