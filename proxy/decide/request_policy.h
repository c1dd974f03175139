// How long a request may take and how it is tried again: what its route and listener say, and what
// a trusted request says itself in x-envoy-* fields and grpc-timeout. Pure.
#ifndef WEFT_PROXY_DECIDE_REQUEST_POLICY_H_
#define WEFT_PROXY_DECIDE_REQUEST_POLICY_H_

#include <optional>

#include "absl/time/time.h"
#include "proxy/config/listener_config.h"
#include "proxy/config/route_table.h"
#include "proxy/http/head.h"

namespace weft {

// Infinite: no limit.
struct RequestPolicy {
  absl::Duration timeout;     // the whole request with its retries, from when it was received
  absl::Duration max_stream;  // the whole exchange, from its start
  absl::Duration idle;        // nothing moves either way
  absl::Duration per_try;
  absl::Duration per_try_idle;
  // By which it is tried again; null: not at all. The route's, or `own` if the request changes it.
  const RetryPolicy* retry() const { return own.has_value() ? &*own : of_route; }

  const RetryPolicy* of_route = nullptr;
  std::optional<RetryPolicy> own;
};

// Those fields that are for us alone are removed from `head`: whoever is not trusted has none left
// (serve/request_head.h).
RequestPolicy PolicyOf(const ForwardAction& action, const HttpManagerConfig& manager,
                       RequestHead& head);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_REQUEST_POLICY_H_
