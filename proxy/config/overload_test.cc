#include "proxy/config/overload.h"

#include <google/protobuf/text_format.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "api/envoy/downstream_connections.pb.h"
#include "api/envoy/fixed_heap.pb.h"
#include "api/envoy/overload.pb.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

absl::StatusOr<OverloadConfig> Compile(const std::string& text) {
  envoy::config::overload::v3::OverloadManager message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return CompileOverload(message);
}

constexpr char kHeap[] = R"(resource_monitors { name: "envoy.resource_monitors.fixed_heap"
    typed_config { [type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig] {
      max_heap_size_bytes: 1000 } } } )";

std::string Action(const std::string& name, const std::string& trigger) {
  return absl::StrCat("actions { name: 'envoy.overload_actions.", name, "' triggers { ", trigger,
                      " } } ");
}

TEST(CompileOverload, ReadsLimitsAndTriggers) {
  const auto config = Compile(absl::StrCat(
      "refresh_interval { nanos: 5000000 } ", kHeap,
      R"(resource_monitors { name: "envoy.resource_monitors.global_downstream_max_connections"
         typed_config { [type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig] {
           max_active_downstream_connections: 7 } } } )",
      Action("stop_accepting_requests",
             "name: 'envoy.resource_monitors.fixed_heap' threshold { value: 0.9 }")));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->refresh_interval, absl::Milliseconds(5));
  EXPECT_EQ(config->max_heap_bytes, 1000);
  EXPECT_EQ(config->max_connections, 7);
  ASSERT_EQ(config->triggers.size(), 1);
  EXPECT_EQ(config->triggers[0].action, OverloadAction::kStopAcceptingRequests);
  EXPECT_EQ(config->triggers[0].threshold, 0.9);
}

TEST(CompileOverload, ErrorsNameTheField) {
  const struct {
    std::string text;
    const char* error;
  } cases[] = {
      {"resource_monitors { name: 'x' }", "resource_monitors[0]: unsupported resource monitor 'x'"},
      {absl::StrCat(kHeap, Action("reduce_timeouts", "name: 'envoy.resource_monitors.fixed_heap'")),
       "actions[0].name: unsupported overload action 'envoy.overload_actions.reduce_timeouts'"},
      {Action("stop_accepting_requests",
              "name: 'envoy.resource_monitors.fixed_heap' threshold { value: 0.9 }"),
       "actions[0].triggers[0].name: 'envoy.resource_monitors.fixed_heap' is no resource monitor"},
      {absl::StrCat(kHeap, Action("stop_accepting_requests",
                                  "name: 'envoy.resource_monitors.fixed_heap' scaled {}")),
       "actions[0].triggers[0].scaled: is not supported"},
      {absl::StrCat(kHeap, Action("stop_accepting_requests",
                                  "name: 'envoy.resource_monitors.fixed_heap' "
                                  "threshold { value: 90 }")),
       "actions[0].triggers[0].threshold.value: must be 0 to 1"},
      {"loadshed_points { name: 'x' }", "loadshed_points: is not supported"},
  };
  for (const auto& one : cases) {
    const auto config = Compile(one.text);
    ASSERT_FALSE(config.ok()) << one.text;
    EXPECT_EQ(std::string(config.status().message()).substr(0, std::string(one.error).size()),
              one.error);
  }
}

}  // namespace
}  // namespace weft
