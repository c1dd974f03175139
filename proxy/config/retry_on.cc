#include "proxy/config/retry_on.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace weft {
namespace {

struct Name {
  absl::string_view name;
  uint32_t bits;
};

constexpr Name kNames[] = {
    {"5xx", kRetryOn5xx},
    {"gateway-error", kRetryOnGatewayError},
    {"reset", kRetryOnReset},
    {"reset-before-request", kRetryOnResetBeforeRequest},
    {"connect-failure", kRetryOnConnectFailure},
    {"refused-stream", kRetryOnRefusedStream},
    {"retriable-4xx", kRetryOnRetriable4xx},
    {"retriable-status-codes", kRetryOnRetriableStatusCodes},
    {"retriable-headers", kRetryOnRetriableHeaders},
    {"cancelled", kRetryOnGrpcCancelled},
    {"deadline-exceeded", kRetryOnGrpcDeadlineExceeded},
    {"internal", kRetryOnGrpcInternal},
    {"resource-exhausted", kRetryOnGrpcResourceExhausted},
    {"unavailable", kRetryOnGrpcUnavailable},
    {"envoy-ratelimited", kRetryOnEnvoyRateLimited},
};

}  // namespace

uint32_t ParseRetryOn(absl::string_view list) {
  uint32_t bits = 0;
  for (absl::string_view token : absl::StrSplit(list, ',')) {
    token = absl::StripAsciiWhitespace(token);
    for (const Name& known : kNames) {
      if (token == known.name) bits |= known.bits;
    }
  }
  return bits;
}

}  // namespace weft
