// Forward: one attempt of a request at one endpoint, both ways at once.
#ifndef WEFT_PROXY_SERVE_FORWARD_H_
#define WEFT_PROXY_SERVE_FORWARD_H_

#include "proxy/decide/retry.h"
#include "proxy/runtime/task.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/upstream_choice.h"

namespace weft {

enum class ForwardEnd {
  kDone,    // the response went to the client, or the client went away
  kFailed,  // no byte of a response was sent: `outcome` says whether to try again
  kBroken,  // the response broke off after it began: the client's connection has to be closed
};

struct ForwardResult {
  ForwardEnd end = ForwardEnd::kDone;
  bool retry = false;  // the policy wants this response's request tried again
  bool final = false;  // trying again cannot help: out of time, or the request itself is bad
  Outcome outcome;
  MonotonicTime responded_at = kNever;  // when the head of the response came; never: it did not
  ResponseFlag flag = ResponseFlag::kNone;
  std::string reason;  // of a failure, for the client and the log
};

// `attempt` counts from 1; a response whose status the retry policy wants tried again is not passed
// on but reported as kFailed.
Task<ForwardResult> Forward(Exchange& x, UpstreamChoice& choice, const EndpointConfig& endpoint,
                            uint32_t attempt, MonotonicTime try_deadline);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_FORWARD_H_
