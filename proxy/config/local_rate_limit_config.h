// LocalRateLimitConfig: a token bucket that requests take from.
//
// Envoy has one bucket per process; here each worker has its share of it (an equal part of the
// tokens, at least one), so that workers share nothing. A client on a single connection therefore
// gets one worker's share.
// Immutable once compiled; any thread. decide/token_bucket.h is the bucket.
#ifndef WEFT_PROXY_CONFIG_LOCAL_RATE_LIMIT_CONFIG_H_
#define WEFT_PROXY_CONFIG_LOCAL_RATE_LIMIT_CONFIG_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "proxy/config/fraction.h"
#include "proxy/config/header_mutations.h"

namespace weft {

struct LocalRateLimitConfig {
  std::string stat_prefix;
  int status = 429;
  bool limited = false;  // false: there is no bucket here, only routes have some
  uint32_t max_tokens = 0;
  uint32_t tokens_per_fill = 1;
  absl::Duration fill_interval = absl::Seconds(1);
  Fraction enabled = Fraction::Never();
  Fraction enforced = Fraction::Never();
  HeaderMutations response_headers;      // of answers to limited requests
  HeaderMutations request_headers;       // of limited requests that go on, as nothing is enforced
  bool x_ratelimit_headers = false;      // x-ratelimit-{limit,remaining,reset} on every response
  bool grpc_resource_exhausted = false;  // else UNAVAILABLE
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_LOCAL_RATE_LIMIT_CONFIG_H_
