// Whether a request is tried again, and after how long. Pure; randomness is an argument.
#ifndef WEFT_PROXY_DECIDE_RETRY_H_
#define WEFT_PROXY_DECIDE_RETRY_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proxy/config/route_table.h"
#include "proxy/http/head.h"

namespace weft {

// How an attempt ended, as far as it matters for trying again.
struct Outcome {
  enum class Kind {
    kResponse,            // its head came: `status`, and `headers` for retriable-headers and gRPC
    kConnectFailure,      // no connection, or no handshake: the endpoint saw nothing of the request
    kRefusedStream,       // HTTP/2 REFUSED_STREAM, GOAWAY: certainly not processed
    kResetBeforeRequest,  // a reused connection was closed before any of the request was sent
    kReset,               // the connection went after some of the request was sent, without a head
    kPerTryTimeout,       // no head in time
  };
  Kind kind = Kind::kResponse;
  int status = 0;
  const Headers* headers = nullptr;  // of the response; borrowed for the call
};

// Whether attempt number `attempt` (the first is 1) that ended so is followed by another. The
// caller knows besides whether it still can: that nothing of the response went downstream, that it
// still has the body, and that the request's own deadline has not passed.
bool ShouldRetry(const RetryPolicy& policy, uint32_t attempt, const Outcome& outcome,
                 const RequestHead& request);

// How long a response asks to be left alone (rate_limited_retry_back_off); nullopt: it does not
// say, or more than the policy allows. Instead of RetryBackOff.
std::optional<absl::Duration> StatedBackOff(const RetryPolicy& policy, const Headers& response,
                                            absl::Time now);

// The pause before attempt `attempt` + 1: anything from 0 to base_interval * (2^attempt - 1), at
// most max_interval ("full jitter", so that clients of one failure do not come back together).
absl::Duration RetryBackOff(const RetryPolicy& policy, uint32_t attempt, uint64_t random);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_RETRY_H_
