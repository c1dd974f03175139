// The names of retry_on, as in route configuration and in the header x-envoy-retry-on.
#ifndef WEFT_PROXY_CONFIG_RETRY_ON_H_
#define WEFT_PROXY_CONFIG_RETRY_ON_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "proxy/config/route_table.h"

namespace weft {

// The bits of RetryOn in a comma-separated list. Names nobody knows are skipped, as Envoy does: a
// client may list what only a newer proxy understands.
uint32_t ParseRetryOn(absl::string_view list);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_RETRY_ON_H_
