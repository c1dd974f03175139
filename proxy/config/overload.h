// What a proxy measures of its own load, and from where on it gives something up. Compiled from the
// bootstrap's overload_manager; a plain value.
#ifndef WEFT_PROXY_CONFIG_OVERLOAD_H_
#define WEFT_PROXY_CONFIG_OVERLOAD_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace envoy::config::overload::v3 {
class OverloadManager;
}

namespace weft {

enum class OverloadAction {
  kStopAcceptingRequests,
  kDisableHttpKeepalive,
  kStopAcceptingConnections,
  kRejectIncomingConnections,
  kShrinkHeap,
};

// In force while the memory in use is at least `threshold` of the bound.
struct OverloadTrigger {
  OverloadAction action;
  double threshold;
};

struct OverloadConfig {
  absl::Duration refresh_interval = absl::Seconds(1);
  uint64_t max_heap_bytes = 0;   // 0: not looked at
  uint64_t max_connections = 0;  // of clients, of the process; 0: no limit
  std::vector<OverloadTrigger> triggers;
};

absl::StatusOr<OverloadConfig> CompileOverload(
    const envoy::config::overload::v3::OverloadManager& from);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_OVERLOAD_H_
