#include "proxy/decide/request_policy.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace weft {
namespace {

using Fields = std::vector<std::pair<const char*, const char*>>;

RequestHead Head(const Fields& fields) {
  RequestHead head;
  head.method = "POST";
  for (const auto& [name, value] : fields) head.headers.Add(name, value);
  return head;
}

TEST(RequestPolicy, TimeoutsOfRouteAndRequest) {
  const absl::Duration kNone = absl::InfiniteDuration();
  struct Case {
    const char* name;
    Fields fields;
    ForwardAction action;
    absl::Duration timeout;
    absl::Duration max_stream;
  };
  std::vector<Case> cases(9);
  cases[0] = {"default", {}, {}, absl::Seconds(15), kNone};
  cases[1] = {
      "asked", {{"x-envoy-upstream-rq-timeout-ms", "20"}}, {}, absl::Milliseconds(20), kNone};
  cases[2] = {"asked for none", {{"x-envoy-upstream-rq-timeout-ms", "0"}}, {}, kNone, kNone};
  cases[3] = {"nonsense", {{"x-envoy-upstream-rq-timeout-ms", "-1"}}, {}, absl::Seconds(15), kNone};
  cases[4] = {"stream", {}, {}, kNone, absl::Seconds(3)};
  cases[4].action.max_stream_duration = absl::Seconds(3);
  const Fields grpc = {{"content-type", "application/grpc"}, {"grpc-timeout", "100m"}};
  cases[5] = {"grpc", grpc, {}, absl::Seconds(15), absl::Milliseconds(90)};
  cases[5].action.grpc_timeout_max = kNone;
  cases[5].action.grpc_timeout_offset = absl::Milliseconds(10);
  cases[6] = {"grpc bounded", grpc, {}, absl::Seconds(15), absl::Milliseconds(50)};
  cases[6].action.grpc_timeout_max = absl::Milliseconds(50);
  cases[7] = {"not looked at", grpc, {}, absl::Seconds(15), kNone};
  cases[8] = {"old spelling", grpc, {}, absl::Milliseconds(100), kNone};
  cases[8].action.max_grpc_timeout = kNone;
  for (Case& c : cases) {
    RequestHead head = Head(c.fields);
    const RequestPolicy policy = PolicyOf(c.action, HttpManagerConfig(), head);
    EXPECT_EQ(policy.timeout, c.timeout) << c.name;
    EXPECT_EQ(policy.max_stream, c.max_stream) << c.name;
    EXPECT_FALSE(head.headers.Has("x-envoy-upstream-rq-timeout-ms"));
  }
}

TEST(RequestPolicy, WhatTheRequestSaysOfRetries) {
  ForwardAction action;
  action.retry.emplace();
  action.retry->retry_on = kRetryOnReset;
  action.retry->per_try_timeout = absl::Seconds(2);
  RequestHead head = Head({{"x-envoy-retry-on", "5xx"},
                           {"x-envoy-retry-grpc-on", "unavailable"},
                           {"x-envoy-max-retries", "4"},
                           {"x-envoy-retriable-status-codes", "409, 429"},
                           {"x-envoy-upstream-rq-per-try-timeout-ms", "30"},
                           {"x-envoy-other", "stays"}});
  const RequestPolicy policy = PolicyOf(action, HttpManagerConfig(), head);
  ASSERT_NE(policy.retry(), nullptr);
  EXPECT_EQ(policy.retry()->retry_on, kRetryOnReset | kRetryOn5xx | kRetryOnGrpcUnavailable);
  EXPECT_EQ(policy.retry()->num_retries, 4u);
  EXPECT_EQ(policy.retry()->retriable_status_codes, (std::vector<uint32_t>{409, 429}));
  EXPECT_EQ(policy.per_try, absl::Milliseconds(30));
  EXPECT_EQ(head.headers.size(), 1u);
  EXPECT_TRUE(head.headers.Has("x-envoy-other"));
}

TEST(RequestPolicy, NoRequestAsksForMoreRetriesThanTen) {
  RequestHead head = Head({{"x-envoy-retry-on", "5xx"}, {"x-envoy-max-retries", "1000000"}});
  EXPECT_EQ(PolicyOf(ForwardAction(), HttpManagerConfig(), head).retry()->num_retries, 10u);
}

TEST(RequestPolicy, WithoutFieldsTheRoutesPolicyIsNotCopied) {
  ForwardAction action;
  RequestHead head = Head({});
  EXPECT_EQ(PolicyOf(action, HttpManagerConfig(), head).retry(), nullptr);
  action.retry.emplace();
  const RequestPolicy policy = PolicyOf(action, HttpManagerConfig(), head);
  EXPECT_EQ(policy.retry(), &*action.retry);
}

}  // namespace
}  // namespace weft
