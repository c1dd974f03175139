// HealthCheckConfig: how the proxy asks a cluster's endpoints whether they are well. Defaults are
// Envoy's. Who asks: upstream/health_checks.h.
#ifndef WEFT_PROXY_CONFIG_HEALTH_CHECK_CONFIG_H_
#define WEFT_PROXY_CONFIG_HEALTH_CHECK_CONFIG_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace weft {

// Statuses from `first` to `last`, both included.
struct StatusRange {
  int64_t first = 0;
  int64_t last = 0;

  friend bool operator==(const StatusRange&, const StatusRange&) = default;
};

struct HealthCheckConfig {
  enum class Kind : uint8_t { kHttp, kTcp, kGrpc };

  Kind kind = Kind::kTcp;
  absl::Duration timeout;
  absl::Duration interval;
  // Instead of `interval`: while it fails; after the check that made it unhealthy; after the one
  // that made it healthy.
  absl::Duration unhealthy_interval;
  absl::Duration unhealthy_edge_interval;
  absl::Duration healthy_edge_interval;
  absl::Duration initial_jitter;        // at most this before the first check
  absl::Duration interval_jitter;       // at most this on top of each interval
  uint32_t interval_jitter_percent = 0;  // at most this percentage of it, too
  uint32_t unhealthy_threshold = 1;     // failures in a row; see upstream/health_state.h
  uint32_t healthy_threshold = 1;       // successes in a row
  uint16_t alt_port = 0;                // 0: the endpoint's
  bool log_failures = false;            // each of them, not only changes

  std::string host;     // HTTP: empty is the cluster's name. gRPC: :authority, likewise
  std::string path;     // HTTP
  std::string method;   // HTTP
  std::string service;  // gRPC
  std::vector<std::pair<std::string, std::string>> headers;  // HTTP and gRPC: to add
  std::vector<StatusRange> expected_statuses;                // HTTP: at least one
  std::vector<StatusRange> retriable_statuses;               // HTTP: count as other failures do
  std::string send;                                          // TCP: empty: connecting is enough
  std::vector<std::string> receive;  // TCP: found in this order, anything between them

  friend bool operator==(const HealthCheckConfig&, const HealthCheckConfig&) = default;
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_HEALTH_CHECK_CONFIG_H_
