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

// By cluster.
#define WEFT_CLUSTER_COUNTERS(X)                                                    \
  X(Counter, upstream_cx_total)                                                     \
  X(Gauge, upstream_cx_active)                                                      \
  X(Counter, upstream_cx_http1_total)                                               \
  X(Counter, upstream_cx_http2_total)                                               \
  X(Counter, upstream_cx_overflow)                                                  \
  X(Counter, upstream_cx_connect_fail)                                              \
  X(Counter, upstream_cx_none_healthy)                                              \
  X(Counter, upstream_cx_tx_bytes_total)                                            \
  X(Counter, upstream_cx_rx_bytes_total)                                            \
  X(Histogram, upstream_cx_connect_ms)                                              \
  X(Histogram, upstream_cx_length_ms)                                               \
  X(Counter, upstream_rq_total)                                                     \
  X(Gauge, upstream_rq_active)                                                      \
  X(Gauge, upstream_rq_pending_active)                                              \
  X(Counter, upstream_rq_timeout)                                                   \
  X(Counter, upstream_rq_per_try_timeout)                                           \
  X(Counter, upstream_rq_per_try_idle_timeout)                                      \
  X(Counter, upstream_rq_cancelled)                                                 \
  X(Counter, upstream_rq_retry)                                                     \
  X(Counter, upstream_rq_retry_success)                                             \
  X(Counter, upstream_rq_retry_overflow)                                            \
  X(Counter, upstream_rq_pending_overflow)                                          \
  X(Counter, upstream_rq_rx_reset)                                                  \
  X(Counter, upstream_rq_tx_reset)                                                  \
  X(Classes, upstream_rq_xx)                                                        \
  X(Histogram, upstream_rq_time)                                                    \
  X(Counter, lb_healthy_panic)                                                      \
  X(Counter, lb_subsets_selected)                                                   \
  X(Counter, lb_subsets_fallback)                                                   \
  X(Counter, outlier_detection_ejections_detected_consecutive_5xx)                  \
  X(Counter, outlier_detection_ejections_enforced_consecutive_5xx)                  \
  X(Counter, outlier_detection_ejections_detected_consecutive_gateway_failure)      \
  X(Counter, outlier_detection_ejections_enforced_consecutive_gateway_failure)      \
  X(Counter, outlier_detection_ejections_detected_consecutive_local_origin_failure) \
  X(Counter, outlier_detection_ejections_enforced_consecutive_local_origin_failure) \
  X(Counter, outlier_detection_ejections_detected_success_rate)                     \
  X(Counter, outlier_detection_ejections_enforced_success_rate)                     \
  X(Counter, outlier_detection_ejections_detected_local_origin_success_rate)        \
  X(Counter, outlier_detection_ejections_enforced_local_origin_success_rate)        \
  X(Counter, outlier_detection_ejections_detected_failure_percentage)               \
  X(Counter, outlier_detection_ejections_enforced_failure_percentage)               \
  X(Counter, outlier_detection_ejections_detected_local_origin_failure_percentage)  \
  X(Counter, outlier_detection_ejections_enforced_local_origin_failure_percentage)  \
  X(Counter, outlier_detection_ejections_enforced_total)                            \
  X(Counter, outlier_detection_ejections_overflow)                                  \
  X(Gauge, outlier_detection_ejections_active)

// By stat_prefix of the HTTP connection manager. Rejected requests were malformed and are counted
// by their reason too. Timeouts of requests: until the head, and until all of it has come; until
// something moves; until the response has ended.
#define WEFT_DOWNSTREAM_COUNTERS(X)                    \
  X(Counter, downstream_cx_total)                      \
  X(Gauge, downstream_cx_active)                       \
  X(Counter, downstream_cx_tx_bytes_total)             \
  X(Counter, downstream_cx_rx_bytes_total)             \
  X(Counter, downstream_cx_drain_close)                \
  X(Counter, downstream_cx_idle_timeout)               \
  X(Counter, downstream_cx_max_duration_reached)       \
  X(Counter, downstream_cx_max_requests_reached)       \
  X(Counter, downstream_cx_overload_disable_keepalive) \
  X(Counter, downstream_rq_total)                      \
  X(Gauge, downstream_rq_active)                       \
  X(Counter, downstream_rq_rejected)                   \
  X(Counter, downstream_rq_overload_close)             \
  X(Counter, downstream_rq_header_timeout)             \
  X(Counter, downstream_rq_timeout)                    \
  X(Counter, downstream_rq_idle_timeout)               \
  X(Counter, downstream_rq_max_duration_reached)       \
  X(Classes, downstream_rq_xx)                         \
  X(Histogram, downstream_rq_time)                     \
  X(Counter, no_route)                                 \
  X(Counter, no_cluster)

// By stat_prefix of the TCP proxy.
#define WEFT_TCP_COUNTERS(X)               \
  X(Counter, downstream_cx_total)          \
  X(Gauge, downstream_cx_active)           \
  X(Counter, downstream_cx_tx_bytes_total) \
  X(Counter, downstream_cx_rx_bytes_total) \
  X(Counter, downstream_cx_no_route)       \
  X(Counter, idle_timeout)                 \
  X(Counter, max_downstream_connection_duration)

// By listener. Overflow is of connection_limit, or of what the process may have; reject is of the
// overload manager. Drained: still open when their drain time was over. Revoked: closed as the
// roots that vouched for the client are gone. Paused: out of descriptors. Dials that failed: of a
// listener that dials.
#define WEFT_LISTENER_COUNTERS(X)              \
  X(Counter, downstream_cx_total)              \
  X(Gauge, downstream_cx_active)               \
  X(Counter, downstream_cx_destroy)            \
  X(Counter, downstream_cx_overflow)           \
  X(Counter, downstream_global_cx_overflow)    \
  X(Counter, downstream_cx_overload_reject)    \
  X(Counter, downstream_cx_drained)            \
  X(Histogram, downstream_cx_length_ms)        \
  X(Counter, accept_paused)                    \
  X(Counter, no_filter_chain_match)            \
  X(Counter, ssl_handshake)                    \
  X(Counter, ssl_connection_error)             \
  X(Counter, ssl_session_reused)               \
  X(Counter, ssl_trust_revoked)                \
  X(Counter, downstream_pre_cx_timeout)        \
  X(Counter, downstream_listener_filter_error) \
  X(Counter, rbac_denied)                      \
  X(Counter, dial_fail)

// What happened on HTTP/2 connections, of a cluster or of an HTTP connection manager. Those that
// Envoy's http2.* have too have their names.
#define WEFT_HTTP2_COUNTERS(X)                                                              \
  X(Counter, rx_reset)                                                                      \
  X(Counter, tx_reset)                                                                      \
  X(Counter, rx_messaging_error)                                                            \
  X(Counter, header_overflow)                                                               \
  X(Counter, goaway_sent)                                                                   \
  X(Counter, keepalive_timeout)                                                             \
  X(Counter, inbound_empty_frames_flood)                                                    \
  X(Counter, inbound_priority_frames_flood)                                                 \
  X(Counter, inbound_window_update_frames_flood)                                            \
  X(Counter, outbound_flood)                                                                \
  X(Counter, outbound_control_flood)                                                        \
  X(Counter, continuation_flood)                                                            \
  X(Counter, reset_flood)      /* streams that a peer reset, or made us reset, in masses */ \
  X(Counter, connection_error) /* GOAWAY with an error, from either side */

namespace weft {

// Responses by class: index 1 is 1xx, index 5 is 5xx.
using ResponseClasses = std::array<uint64_t, 6>;

enum class CounterKind { kCounter, kGauge, kClasses, kHistogram };

// One entry of a list: its name, and where a set has it.
template <typename Set>
struct CounterField {
  const char* name;
  CounterKind kind;
  std::variant<uint64_t Set::*, ResponseClasses Set::*, Histogram Set::*> member;
};

namespace counter_types {
using Counter = uint64_t;
using Gauge = uint64_t;
using Classes = ResponseClasses;
using Histogram = ::weft::Histogram;
}  // namespace counter_types

#define WEFT_COUNTER_MEMBER(kind, name) counter_types::kind name = {};
#define WEFT_COUNTER_FIELD(kind, name) {#name, CounterKind::k##kind, &Self::name},
// A set of the counters of a list, and the table of its fields.
#define WEFT_COUNTER_SET(Type, LIST)                                              \
  struct Type {                                                                   \
    LIST(WEFT_COUNTER_MEMBER)                                                     \
    static absl::Span<const CounterField<Type>> Fields() {                        \
      using Self = Type;                                                          \
      static constexpr CounterField<Type> kFields[] = {LIST(WEFT_COUNTER_FIELD)}; \
      return kFields;                                                             \
    }                                                                             \
    void Add(const Type& other);                                                  \
    void Reset(); /* all but gauges */                                            \
  }

WEFT_COUNTER_SET(ClusterCounters, WEFT_CLUSTER_COUNTERS);
WEFT_COUNTER_SET(DownstreamCounters, WEFT_DOWNSTREAM_COUNTERS);
WEFT_COUNTER_SET(TcpCounters, WEFT_TCP_COUNTERS);
WEFT_COUNTER_SET(ListenerCounters, WEFT_LISTENER_COUNTERS);
WEFT_COUNTER_SET(H2Counters, WEFT_HTTP2_COUNTERS);

#undef WEFT_COUNTER_SET
#undef WEFT_COUNTER_FIELD
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
  std::map<std::string, H2Counters> cluster_http2;     // of clusters that had such connections
  std::map<std::string, H2Counters> downstream_http2;  // by stat_prefix
  std::map<std::string, uint64_t> rejections;          // of malformed requests, by reason
  // Connections that gateways dialed to us, by trust domain: gauges.
  std::map<std::string, uint64_t> reverse_tunnels;
  // Of HTTP filters, by their whole names: "http.in.fault.aborts_injected".
  std::map<std::string, uint64_t> filters;

  void Add(const Counters& other);
};

}  // namespace weft

#endif  // WEFT_PROXY_TELEMETRY_COUNTERS_H_
