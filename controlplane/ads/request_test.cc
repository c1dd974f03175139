#include "controlplane/ads/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryRequest;
using ::testing::ElementsAre;
using ::testing::Pair;

DiscoveryRequest Nack() {
  DiscoveryRequest message;
  message.set_version_info("7");
  message.mutable_node()->set_id("sidecar~10.0.0.1~a.b~c");
  for (const char* name : {"a", "", "outbound|80||c.d.svc.cluster.local"}) {
    message.add_resource_names(name);
  }
  message.set_type_url("type.googleapis.com/x");
  message.set_response_nonce("n");
  message.mutable_error_detail()->set_message(std::string(5000, 'e'));
  return message;
}

TEST(ReadRequest, TakesTheNamesOutOfTheMessage) {
  // Fields in two runs, as of messages that were merged by appending.
  const std::string bytes = absl::StrCat(Nack().SerializeAsString(), [] {
    DiscoveryRequest more;
    more.add_resource_names("last");
    return more.SerializeAsString();
  }());
  DiscoveryRequest message;
  SubscriptionRequest request;
  ASSERT_TRUE(ReadRequest(bytes, &message, &request));
  EXPECT_THAT(request.names, ElementsAre("a", "", "outbound|80||c.d.svc.cluster.local", "last"));
  EXPECT_EQ(request.nonce, "n");
  EXPECT_EQ(request.error, std::string(2048, 'e'));
  DiscoveryRequest rest = Nack();
  rest.clear_resource_names();
  EXPECT_EQ(message.SerializeAsString(), rest.SerializeAsString());
}

// Never a name beyond the end, and whatever protobuf's own reader refuses is refused.
TEST(ReadRequest, RefusesWhatIsCutOff) {
  const std::string bytes = Nack().SerializeAsString();
  for (size_t i = 0; i < bytes.size(); ++i) {
    const std::string cut = bytes.substr(0, i);
    DiscoveryRequest message;
    SubscriptionRequest request;
    EXPECT_EQ(ReadRequest(cut, &message, &request), DiscoveryRequest().ParseFromString(cut)) << i;
  }
  for (const std::string& bad : {std::string("\x1a\xff\xff\xff\xff\x0f"), std::string("\x1b"),
                                 std::string("\x1c"), std::string("\0\0", 2)}) {
    DiscoveryRequest message;
    SubscriptionRequest request;
    EXPECT_FALSE(ReadRequest(bad, &message, &request));
  }
}

TEST(ReadRequest, RefusesDeltaThatIsCutOff) {
  DeltaDiscoveryRequest sent;
  sent.mutable_node()->set_id("sidecar~10.0.0.1~a.b~c");
  sent.add_resource_names_subscribe("a");
  sent.add_resource_names_unsubscribe("b");
  (*sent.mutable_initial_resource_versions())["c"] = "1";
  (*sent.mutable_initial_resource_versions())["d"] = "";
  sent.set_response_nonce("n");
  const std::string bytes = sent.SerializeAsString();
  for (size_t i = 0; i < bytes.size(); ++i) {
    const std::string cut = bytes.substr(0, i);
    DeltaDiscoveryRequest message;
    DeltaSubscriptionRequest request;
    EXPECT_EQ(ReadRequest(cut, &message, &request), DeltaDiscoveryRequest().ParseFromString(cut))
        << i;
  }
  // An entry whose name is longer than the entry.
  for (const std::string& bad : {std::string("\x2a\x02\x0a\x05"), std::string("\x2a\x01\x0a")}) {
    DeltaDiscoveryRequest message;
    DeltaSubscriptionRequest request;
    EXPECT_FALSE(ReadRequest(bad, &message, &request));
  }
}

TEST(ReadRequest, ReadsDelta) {
  DeltaDiscoveryRequest sent;
  sent.add_resource_names_subscribe("a");
  sent.add_resource_names_unsubscribe("b");
  (*sent.mutable_initial_resource_versions())["c"] = "1";
  sent.set_response_nonce("n");
  DeltaDiscoveryRequest message;
  DeltaSubscriptionRequest request;
  const std::string bytes = sent.SerializeAsString();
  ASSERT_TRUE(ReadRequest(bytes, &message, &request));
  EXPECT_THAT(request.subscribe, ElementsAre("a"));
  EXPECT_THAT(request.unsubscribe, ElementsAre("b"));
  EXPECT_THAT(request.initial_versions, ElementsAre(Pair("c", "1")));
  EXPECT_EQ(request.nonce, "n");
  EXPECT_FALSE(request.error.has_value());
}

}  // namespace
}  // namespace weft
