#include "proxy/decide/retry.h"

#include <gtest/gtest.h>

#include "proxy/config/retry_on.h"

namespace weft {
namespace {

using Kind = Outcome::Kind;

// The policy the control plane puts on every route.
RetryPolicy MeshDefault() {
  RetryPolicy policy;
  policy.retry_on = ParseRetryOn(
      "connect-failure,refused-stream,unavailable,cancelled,reset-before-request,"
      "retriable-status-codes");
  policy.num_retries = 2;
  policy.retriable_status_codes = {503};
  return policy;
}

bool Retried(const RetryPolicy& policy, Kind kind, int status = 0) {
  return ShouldRetry(policy, 1, {.kind = kind, .status = status}, RequestHead{});
}

TEST(Retry, MeshDefaultRepeatsOnlyWhatIsSafe) {
  const RetryPolicy policy = MeshDefault();
  EXPECT_TRUE(Retried(policy, Kind::kConnectFailure));
  EXPECT_TRUE(Retried(policy, Kind::kRefusedStream));
  EXPECT_TRUE(Retried(policy, Kind::kResetBeforeRequest));
  EXPECT_TRUE(Retried(policy, Kind::kResponse, 503));
  EXPECT_FALSE(Retried(policy, Kind::kResponse, 500));
  EXPECT_FALSE(Retried(policy, Kind::kResponse, 200));
  EXPECT_FALSE(Retried(policy, Kind::kReset)) << "the endpoint may have acted on the request";
  EXPECT_FALSE(Retried(policy, Kind::kPerTryTimeout));
}

TEST(Retry, ConditionsByName) {
  const struct {
    const char* retry_on;
    Kind kind;
    int status;
    bool retried;
  } cases[] = {
      {"5xx", Kind::kResponse, 500, true},
      {"5xx", Kind::kReset, 0, true},
      {"5xx", Kind::kPerTryTimeout, 0, true},
      {"5xx", Kind::kResponse, 409, false},
      {"gateway-error", Kind::kResponse, 500, false},
      {"gateway-error", Kind::kResponse, 504, true},
      {"reset", Kind::kReset, 0, true},
      {"reset", Kind::kResponse, 503, false},
      {"retriable-4xx", Kind::kResponse, 409, true},
      {"connect-failure", Kind::kResetBeforeRequest, 0, false},
      {" gateway-error , 5xx ", Kind::kResponse, 501, true},
      {"no-such-condition", Kind::kConnectFailure, 0, false},
      {"", Kind::kConnectFailure, 0, false},
  };
  for (const auto& c : cases) {
    RetryPolicy policy;
    policy.retry_on = ParseRetryOn(c.retry_on);
    EXPECT_EQ(Retried(policy, c.kind, c.status), c.retried) << c.retry_on << " " << c.status;
  }
}

TEST(Retry, StopsAfterTheGivenNumber) {
  const RetryPolicy policy = MeshDefault();
  const Outcome outcome = {.kind = Kind::kConnectFailure};
  EXPECT_TRUE(ShouldRetry(policy, 1, outcome, RequestHead{}));
  EXPECT_TRUE(ShouldRetry(policy, 2, outcome, RequestHead{}));
  EXPECT_FALSE(ShouldRetry(policy, 3, outcome, RequestHead{}));
}

TEST(Retry, GrpcStatusInTheHead) {
  RetryPolicy policy;
  policy.retry_on = ParseRetryOn("unavailable");
  Headers headers;
  headers.Add("grpc-status", "14");
  Outcome outcome = {.kind = Kind::kResponse, .status = 200, .headers = &headers};
  EXPECT_TRUE(ShouldRetry(policy, 1, outcome, RequestHead{}));
  headers.Set("grpc-status", "13");
  EXPECT_FALSE(ShouldRetry(policy, 1, outcome, RequestHead{}));
}

TEST(RetryBackOff, FullJitterUpToTheBound) {
  RetryPolicy policy;
  EXPECT_EQ(RetryBackOff(policy, 1, 0), absl::ZeroDuration());
  const uint64_t most = ~uint64_t{0};
  const auto near = [&](uint32_t attempt, absl::Duration bound) {
    const absl::Duration pause = RetryBackOff(policy, attempt, most);
    EXPECT_LE(pause, bound);
    EXPECT_GT(pause, bound * 0.999);
  };
  near(1, absl::Milliseconds(25));
  near(2, absl::Milliseconds(75));
  near(3, absl::Milliseconds(175));
  near(4, absl::Milliseconds(250));
  near(1000, absl::Milliseconds(250));
}

}  // namespace
}  // namespace weft
