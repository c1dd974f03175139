// CheckEndpoint: one health check of one endpoint, on a connection of its own, encrypted as the
// endpoint wants it.
#ifndef WEFT_PROXY_UPSTREAM_CHECK_ENDPOINT_H_
#define WEFT_PROXY_UPSTREAM_CHECK_ENDPOINT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "proxy/config/cluster_config.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"
#include "proxy/upstream/health_state.h"

namespace weft {

struct CheckOutcome {
  CheckResult result = CheckResult::kFailed;
  std::string reason;  // of a failure, for the log
};

// `cluster`, which has a health_check, and `endpoint` must outlive the task. It ends within the
// check's timeout. `default_mark` is SO_MARK where the cluster states none.
Task<CheckOutcome> CheckEndpoint(EventLoop& loop, const ClusterConfig& cluster,
                                 const EndpointConfig& endpoint,
                                 std::optional<uint32_t> default_mark);

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_CHECK_ENDPOINT_H_
