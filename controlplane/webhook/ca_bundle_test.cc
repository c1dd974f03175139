#include "controlplane/webhook/ca_bundle.h"

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace weft::webhook {
namespace {

using Json = nlohmann::json;

constexpr char kRoots[] = "PEM\n";

Json SomeConfiguration() {
  return Json::parse(R"({
    "metadata": {"name": "weftd", "resourceVersion": "7", "labels": {"app": "weftd"}},
    "webhooks": [{"name": "a", "clientConfig": {"service": {"name": "weftd"}}},
                 {"name": "b", "clientConfig": {"caBundle": "other"}}]})");
}

std::optional<std::string> PatchOf(const Json& configuration) {
  const auto document = YamlDocument::ParseJson(configuration.dump()).value();
  return CaBundlePatch(document->root(), kRoots, "default");
}

TEST(CaBundle, IsWrittenIntoEachWebhookThatHasAnother) {
  Json configuration = SomeConfiguration();
  const auto patch = PatchOf(configuration);
  ASSERT_TRUE(patch.has_value());
  configuration = configuration.patch(Json::parse(*patch));
  for (const Json& webhook : configuration["webhooks"]) {
    EXPECT_EQ(webhook["clientConfig"]["caBundle"], absl::Base64Escape(kRoots));
  }
  EXPECT_FALSE(PatchOf(configuration).has_value());
}

TEST(CaBundle, FitsTheObjectAsItWasOnly) {
  Json configuration = SomeConfiguration();
  const Json patch = Json::parse(*PatchOf(configuration));
  EXPECT_EQ(patch[0]["op"], "test");
  EXPECT_EQ(patch[0]["path"], "/metadata/resourceVersion");
  EXPECT_EQ(patch[0]["value"], "7");
}

TEST(CaBundle, LeavesOthersAlone) {
  Json configuration = SomeConfiguration();
  configuration["metadata"]["labels"]["istio.io/rev"] = "default";
  EXPECT_TRUE(PatchOf(configuration).has_value());
  configuration["metadata"]["labels"]["istio.io/rev"] = "canary";
  EXPECT_FALSE(PatchOf(configuration).has_value());
  configuration["metadata"].erase("labels");
  EXPECT_FALSE(PatchOf(configuration).has_value());
}

TEST(CaBundle, HasNothingToSayOfWhatIsNotAsItShouldBe) {
  for (const char* webhooks : {"null", "{}", "[]", "[null]", "[{}]", R"([{"clientConfig":"x"}])"}) {
    Json configuration = SomeConfiguration();
    configuration["webhooks"] = Json::parse(webhooks);
    EXPECT_FALSE(PatchOf(configuration).has_value()) << webhooks;
  }
  EXPECT_FALSE(PatchOf(Json()).has_value());
}

}  // namespace
}  // namespace weft::webhook
