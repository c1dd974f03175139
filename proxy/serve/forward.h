// Forward: one attempt of a request at one endpoint: a place on a connection to it, then Transfer.
#ifndef WEFT_PROXY_SERVE_FORWARD_H_
#define WEFT_PROXY_SERVE_FORWARD_H_

#include "proxy/runtime/task.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/transfer.h"
#include "proxy/serve/upstream_choice.h"

namespace weft {

// `attempt` counts from 1; a response whose status the retry policy wants tried again is not passed
// on but reported as kFailed.
Task<ForwardResult> Forward(Exchange& x, UpstreamChoice& choice, const EndpointConfig& endpoint,
                            uint32_t attempt, MonotonicTime try_deadline);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_FORWARD_H_
