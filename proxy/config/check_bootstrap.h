// CheckBootstrap: what a bootstrap asks of the process itself and cannot have here. Ignored is only
// what changes nothing that a user of the proxy sees: profiling, watchdogs, how often statistics
// are flushed to sinks there are none of. Pure.
#ifndef WEFT_PROXY_CONFIG_CHECK_BOOTSTRAP_H_
#define WEFT_PROXY_CONFIG_CHECK_BOOTSTRAP_H_

#include "absl/status/status.h"

namespace envoy::config::bootstrap::v3 {
class Bootstrap;
}

namespace weft {

// The error names the field.
absl::Status CheckBootstrap(const envoy::config::bootstrap::v3::Bootstrap& bootstrap);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_CHECK_BOOTSTRAP_H_
