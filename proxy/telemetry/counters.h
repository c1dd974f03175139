// Counters of one worker: plain numbers that only its thread touches. A reader asks each worker for
// a copy and adds them up (admin/metrics.h). Names follow Envoy's statistics.
//
// A new counter is one line in one of the lists below: it becomes a member of that name, is added
// up, and is in /stats and /stats/prometheus. The name is Envoy's with '_' where that has a dot:
// ssl_handshake is "ssl.handshake" in /stats (kGroups in admin/metrics.cc).
//   Counter    only grows
//   Gauge      what is so now
//   Classes    responses by class; the name ends in _xx
//   Histogram  milliseconds, or bytes
#ifndef WEFT_PROXY_TELEMETRY_COUNTERS_H_
#define WEFT_PROXY_TELEMETRY_COUNTERS_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <variant>

#include "absl/types/span.h"
#include "proxy/telemetry/histogram.h"
#include "proxy/telemetry/outlier_counters.h"

// By cluster. upstream_cx_overflow: requests that waited because of max_connections;
// upstream_rq_retry_overflow: max_retries; upstream_rq_pending_overflow: max_pending_requests and
// max_requests.
#define WEFT_CLUSTER_COUNTERS(X)           \
  X(Counter, upstream_cx_total)            \
  X(Gauge, upstream_cx_active)             \
  X(Counter, upstream_cx_http1_total)      \
  X(Counter, upstream_cx_http2_total)      \
  X(Counter, upstream_cx_overflow)         \
  X(Counter, upstream_cx_connect_fail)     \
  X(Counter, upstream_cx_none_healthy)     \
  X(Counter, upstream_cx_tx_bytes_total)   \
  X(Counter, upstream_cx_rx_bytes_total)   \
  X(Histogram, upstream_cx_connect_ms)     \
  X(Counter, upstream_rq_total)            \
  X(Gauge, upstream_rq_active)             \
  X(Gauge, upstream_rq_pending_active)     \
  X(Counter, upstream_rq_timeout)          \
  X(Counter, upstream_rq_retry)            \
  X(Counter, upstream_rq_retry_overflow)   \
  X(Counter, upstream_rq_pending_overflow) \
  X(Counter, upstream_rq_rx_reset)         \
  X(Classes, upstream_rq_xx)               \
  X(Histogram, upstream_rq_time)           \
  X(Counter, lb_healthy_panic)             \
  X(Counter, lb_subsets_selected)          \
  X(Counter, lb_subsets_fallback)

// What outlier detection counts for itself, as Y(kind, name, where ClusterCounters has it).
#define WEFT_OUTLIER_KIND(Y, kind)                                               \
  Y(Counter, outlier_detection_ejections_detected_##kind, outlier.kind.detected) \
  Y(Counter, outlier_detection_ejections_enforced_##kind, outlier.kind.enforced)
#define WEFT_OUTLIER_COUNTERS(Y)                                                           \
  WEFT_OUTLIER_KIND(Y, consecutive_5xx)                                                    \
  WEFT_OUTLIER_KIND(Y, consecutive_gateway_failure)                                        \
  WEFT_OUTLIER_KIND(Y, consecutive_local_origin_failure)                                   \
  WEFT_OUTLIER_KIND(Y, success_rate)                                                       \
  WEFT_OUTLIER_KIND(Y, local_origin_success_rate)                                          \
  WEFT_OUTLIER_KIND(Y, failure_percentage)                                                 \
  WEFT_OUTLIER_KIND(Y, local_origin_failure_percentage)                                    \
  Y(Counter, outlier_detection_ejections_enforced_total, outlier.ejections_enforced_total) \
  Y(Counter, outlier_detection_ejections_overflow, outlier.ejections_overflow)             \
  Y(Gauge, outlier_detection_ejections_active, outlier.ejections_active)

// By stat_prefix of the HTTP connection manager. Rejected requests were malformed and are counted
// by their reason too.
#define WEFT_DOWNSTREAM_COUNTERS(X)        \
  X(Counter, downstream_cx_total)          \
  X(Gauge, downstream_cx_active)           \
  X(Counter, downstream_cx_tx_bytes_total) \
  X(Counter, downstream_cx_rx_bytes_total) \
  X(Counter, downstream_rq_total)          \
  X(Gauge, downstream_rq_active)           \
  X(Counter, downstream_rq_rejected)       \
  X(Classes, downstream_rq_xx)             \
  X(Histogram, downstream_rq_time)         \
  X(Counter, no_route)                     \
  X(Counter, no_cluster)

// By stat_prefix of the TCP proxy.
#define WEFT_TCP_COUNTERS(X)               \
  X(Counter, downstream_cx_total)          \
  X(Gauge, downstream_cx_active)           \
  X(Counter, downstream_cx_tx_bytes_total) \
  X(Counter, downstream_cx_rx_bytes_total) \
  X(Counter, downstream_cx_no_route)

// By listener.
#define WEFT_LISTENER_COUNTERS(X)              \
  X(Counter, downstream_cx_total)              \
  X(Gauge, downstream_cx_active)               \
  X(Counter, no_filter_chain_match)            \
  X(Counter, ssl_handshake)                    \
  X(Counter, ssl_connection_error)             \
  X(Counter, downstream_listener_filter_error) \
  X(Counter, rbac_denied)

namespace weft {

// Responses by class: index 1 is 1xx, index 5 is 5xx.
using ResponseClasses = std::array<uint64_t, 6>;

enum class CounterKind { kCounter, kGauge, kClasses, kHistogram };

// One entry of a list: its name, and where a set has it.
template <typename Set>
struct CounterField {
  const char* name;
  CounterKind kind;
  std::variant<uint64_t& (*)(Set&), ResponseClasses& (*)(Set&), Histogram& (*)(Set&)> in;
};

namespace counter_types {
using Counter = uint64_t;
using Gauge = uint64_t;
using Classes = ResponseClasses;
using Histogram = ::weft::Histogram;
}  // namespace counter_types

#define WEFT_COUNTER_MEMBER(kind, name) counter_types::kind name = {};

struct ClusterCounters {
  WEFT_CLUSTER_COUNTERS(WEFT_COUNTER_MEMBER)
  OutlierCounters outlier;

  static absl::Span<const CounterField<ClusterCounters>> Fields();
  void Add(const ClusterCounters& other);
  void Reset();  // all but gauges
};

struct DownstreamCounters {
  WEFT_DOWNSTREAM_COUNTERS(WEFT_COUNTER_MEMBER)

  static absl::Span<const CounterField<DownstreamCounters>> Fields();
  void Add(const DownstreamCounters& other);
  void Reset();  // all but gauges
};

struct TcpCounters {
  WEFT_TCP_COUNTERS(WEFT_COUNTER_MEMBER)

  static absl::Span<const CounterField<TcpCounters>> Fields();
  void Add(const TcpCounters& other);
  void Reset();  // all but gauges
};

struct ListenerCounters {
  WEFT_LISTENER_COUNTERS(WEFT_COUNTER_MEMBER)

  static absl::Span<const CounterField<ListenerCounters>> Fields();
  void Add(const ListenerCounters& other);
  void Reset();  // all but gauges
};

#undef WEFT_COUNTER_MEMBER

// Counts something for as long as it is under way.
class ActiveCount {
 public:
  ActiveCount(uint64_t& total, uint64_t& active) : active_(active) {
    ++total;
    ++active_;
  }
  ~ActiveCount() { --active_; }
  ActiveCount(const ActiveCount&) = delete;
  ActiveCount& operator=(const ActiveCount&) = delete;

 private:
  uint64_t& active_;
};

struct Counters {
  std::map<std::string, ClusterCounters> clusters;
  std::map<std::string, DownstreamCounters> downstreams;
  std::map<std::string, TcpCounters> tcps;
  std::map<std::string, ListenerCounters> listeners;
  std::map<std::string, uint64_t> rejections;  // of malformed requests, by reason

  void Add(const Counters& other);
};

}  // namespace weft

#endif  // WEFT_PROXY_TELEMETRY_COUNTERS_H_
