// From a RetryPolicy message to RetryPolicy. Only compile_*.cc include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_RETRY_H_
#define WEFT_PROXY_CONFIG_COMPILE_RETRY_H_

#include "absl/status/statusor.h"
#include "api/envoy/route.pb.h"
#include "proxy/config/route_table.h"

namespace weft {

absl::StatusOr<RetryPolicy> CompileRetryPolicy(const envoy::config::route::v3::RetryPolicy& from);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_RETRY_H_
