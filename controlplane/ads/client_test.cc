#include "controlplane/ads/client.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

std::shared_ptr<const std::string> Bytes(std::string text) {
  return std::make_shared<std::string>(std::move(text));
}

void Ask(AdsClient& client, absl::string_view type, std::vector<std::string> names) {
  for (const ResourceType& known : ResourceTypes()) {
    if (known.name != type) continue;
    SubscriptionRequest request;
    request.names.assign(names.begin(), names.end());
    client.OnRequest(known, request);
  }
}

std::string Sees(AdsClient& client, const Resources& resources) {
  std::string text;
  for (const auto& response : client.Next(resources, "v")) {
    absl::StrAppend(&text, text.empty() ? "" : " ", response.type->name);
  }
  return text;
}

TEST(AdsClient, PushesInTheOrderThatNeverDangles) {
  AdsClient client;
  Ask(client, "rds", {"r"});
  Ask(client, "nds", {});
  Ask(client, "lds", {});
  Ask(client, "eds", {"c"});
  Ask(client, "cds", {});
  Ask(client, "sds", {"ROOTCA"});
  Resources resources;
  resources.clusters["c"] = Bytes("c1");
  resources.endpoints["c"] = Bytes("e1");
  resources.listeners["l"] = Bytes("l1");
  resources.routes["r"] = Bytes("r1");
  resources.secrets["ROOTCA"] = Bytes("s1");
  resources.name_table[""] = Bytes("n1");
  EXPECT_EQ(Sees(client, resources), "sds cds eds lds rds nds");
  EXPECT_EQ(Sees(client, resources), "");
  resources.routes["r"] = Bytes("r2");
  EXPECT_EQ(Sees(client, resources), "rds");
}

TEST(AdsClient, EndpointsFollowAClusterThatIsWarmedAnew) {
  AdsClient client;
  Ask(client, "cds", {});
  Ask(client, "eds", {"c", "d"});
  Resources resources;
  resources.clusters["c"] = Bytes("c1");
  resources.clusters["d"] = Bytes("d1");
  resources.endpoints["c"] = Bytes("e1");
  resources.endpoints["d"] = Bytes("f1");
  EXPECT_EQ(Sees(client, resources), "cds eds");
  resources.clusters["c"] = Bytes("c2");
  const auto responses = client.Next(resources, "v2");
  ASSERT_EQ(responses.size(), 2);
  EXPECT_EQ(responses[1].body.resources.size(), 1);
  EXPECT_EQ(responses[1].body.resources.begin()->first, "c");
}

TEST(AdsClient, UnknownTypesAreNotServed) {
  EXPECT_EQ(FindResourceType("type.googleapis.com/envoy.config.cluster.v2.Cluster"), nullptr);
  EXPECT_NE(FindResourceType("type.googleapis.com/envoy.config.cluster.v3.Cluster"), nullptr);
}

}  // namespace
}  // namespace weft
