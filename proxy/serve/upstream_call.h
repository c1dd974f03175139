// One request of the proxy's own to a cluster, and its whole answer: through this worker's pools,
// with the cluster's balancing, limits and counters like anybody's.
#ifndef WEFT_PROXY_SERVE_UPSTREAM_CALL_H_
#define WEFT_PROXY_SERVE_UPSTREAM_CALL_H_

#include <string>

#include "proxy/config/cluster_config.h"
#include "proxy/http/head.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft {

struct Downstream;
class Worker;

struct UpstreamCall {
  RequestHead head;
  std::string body;
  MonotonicTime deadline = kNever;
  bool http2 = false;  // where the cluster speaks what its client speaks
};

struct CallAnswer {
  std::string failure;  // why there is none; empty: there is one
  ResponseHead head;
  std::string body;
  Headers trailers;
};

// `call` is sent again where no endpoint can have acted on it. All but the call are borrowed until
// the task ends; `downstream` is on whose behalf it is made.
Task<CallAnswer> CallUpstream(Worker& worker, const ClusterConfig& cluster,
                              const Downstream& downstream, UpstreamCall call);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_UPSTREAM_CALL_H_
