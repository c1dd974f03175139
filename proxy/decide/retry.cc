#include "proxy/decide/retry.h"

#include <algorithm>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"

namespace weft {
namespace {

bool IsGatewayError(int status) { return status == 502 || status == 503 || status == 504; }

// grpc-status of a response that is its trailers too, as failed calls are.
uint32_t GrpcBits(const Headers& headers) {
  const std::optional<absl::string_view> status = headers.Get("grpc-status");
  if (!status) return 0;
  if (*status == "1") return kRetryOnGrpcCancelled;
  if (*status == "4") return kRetryOnGrpcDeadlineExceeded;
  if (*status == "8") return kRetryOnGrpcResourceExhausted;
  if (*status == "13") return kRetryOnGrpcInternal;
  if (*status == "14") return kRetryOnGrpcUnavailable;
  return 0;
}

bool AnyMatches(const std::vector<HeaderMatch>& wanted, const Headers& headers) {
  return std::any_of(wanted.begin(), wanted.end(), [&](const HeaderMatch& match) {
    const auto values = headers.GetAll(match.name);
    if (values.empty()) return match.Matches(std::nullopt);
    return match.Matches(absl::StrJoin(values, ","));
  });
}

// The conditions of retry_on that a response meets.
uint32_t BitsOfResponse(const RetryPolicy& policy, const Outcome& outcome) {
  uint32_t bits = 0;
  if (outcome.status >= 500) bits |= kRetryOn5xx;
  if (IsGatewayError(outcome.status)) bits |= kRetryOnGatewayError;
  if (outcome.status == 409) bits |= kRetryOnRetriable4xx;
  const std::vector<uint32_t>& codes = policy.retriable_status_codes;
  if (std::find(codes.begin(), codes.end(), static_cast<uint32_t>(outcome.status)) != codes.end()) {
    bits |= kRetryOnRetriableStatusCodes;
  }
  if (outcome.headers != nullptr) {
    bits |= GrpcBits(*outcome.headers);
    // Who limits rates means it: such a response is tried again only if that is asked for.
    if (outcome.headers->Has("x-envoy-ratelimited")) return kRetryOnEnvoyRateLimited;
    if (AnyMatches(policy.retriable_headers, *outcome.headers)) bits |= kRetryOnRetriableHeaders;
  }
  return bits;
}

// The conditions of retry_on that an outcome meets. Without a head, 5xx and gateway-error hold too,
// as the client would see a 503 or 504.
uint32_t BitsOf(const RetryPolicy& policy, const Outcome& outcome) {
  constexpr uint32_t kNoHead = kRetryOn5xx | kRetryOnGatewayError | kRetryOnReset;
  switch (outcome.kind) {
    case Outcome::Kind::kResponse:
      return BitsOfResponse(policy, outcome);
    case Outcome::Kind::kConnectFailure:
      return kNoHead | kRetryOnConnectFailure | kRetryOnResetBeforeRequest;
    case Outcome::Kind::kRefusedStream:
      return kNoHead | kRetryOnRefusedStream | kRetryOnResetBeforeRequest;
    case Outcome::Kind::kResetBeforeRequest:
      return kNoHead | kRetryOnResetBeforeRequest;
    case Outcome::Kind::kReset:
    case Outcome::Kind::kPerTryTimeout:
      return kNoHead;
  }
  return 0;
}

bool RequestMayRetry(const RetryPolicy& policy, const RequestHead& request) {
  return policy.retriable_request_headers.empty() ||
         AnyMatches(policy.retriable_request_headers, request.headers);
}

}  // namespace

bool ShouldRetry(const RetryPolicy& policy, uint32_t attempt, const Outcome& outcome,
                 const RequestHead& request) {
  return attempt <= policy.num_retries && (policy.retry_on & BitsOf(policy, outcome)) != 0 &&
         RequestMayRetry(policy, request);
}

std::optional<absl::Duration> StatedBackOff(const RetryPolicy& policy, const Headers& response,
                                            absl::Time now) {
  for (const ResetHeader& header : policy.reset_headers) {
    const std::optional<absl::string_view> text = response.Get(header.name);
    int64_t seconds = 0;
    if (!text.has_value() || !absl::SimpleAtoi(*text, &seconds) || seconds < 0) continue;
    const absl::Duration wait =
        header.unix_timestamp ? absl::FromUnixSeconds(seconds) - now : absl::Seconds(seconds);
    if (wait <= absl::ZeroDuration() || wait > policy.most_reset) continue;
    return wait;
  }
  return std::nullopt;
}

absl::Duration RetryBackOff(const RetryPolicy& policy, uint32_t attempt, uint64_t random) {
  constexpr uint32_t kMostDoublings = 20;  // beyond, max_interval has long taken over
  const int64_t factor = (int64_t{1} << std::min(attempt, kMostDoublings)) - 1;
  const absl::Duration most = std::min(policy.base_interval * factor, policy.max_interval);
  const double fraction = static_cast<double>(random >> 11) * 0x1.0p-53;
  return most * fraction;
}

}  // namespace weft
