// Counters of one worker: plain numbers that only its thread touches. A reader asks each worker for
// a copy and adds them up (admin/metrics.h). Names follow Envoy's statistics.
#ifndef WEFT_PROXY_TELEMETRY_COUNTERS_H_
#define WEFT_PROXY_TELEMETRY_COUNTERS_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "proxy/telemetry/outlier_counters.h"

namespace weft {

// Responses by class: index 1 is 1xx, index 5 is 5xx.
using ResponseClasses = std::array<uint64_t, 6>;

struct ClusterCounters {
  uint64_t upstream_cx_total = 0;
  uint64_t upstream_cx_active = 0;
  uint64_t upstream_cx_http1_total = 0;
  uint64_t upstream_cx_http2_total = 0;
  uint64_t upstream_cx_overflow = 0;  // requests that waited because of max_connections
  uint64_t upstream_cx_connect_fail = 0;
  uint64_t upstream_cx_none_healthy = 0;
  uint64_t upstream_cx_tx_bytes_total = 0;
  uint64_t upstream_cx_rx_bytes_total = 0;
  uint64_t upstream_rq_total = 0;
  uint64_t upstream_rq_active = 0;
  uint64_t upstream_rq_pending_active = 0;
  uint64_t upstream_rq_timeout = 0;
  uint64_t upstream_rq_retry = 0;
  uint64_t upstream_rq_retry_overflow = 0;    // max_retries
  uint64_t upstream_rq_pending_overflow = 0;  // max_pending_requests, max_requests
  uint64_t upstream_rq_rx_reset = 0;
  uint64_t lb_healthy_panic = 0;
  uint64_t lb_subsets_selected = 0;
  uint64_t lb_subsets_fallback = 0;
  OutlierCounters outlier;
  ResponseClasses upstream_rq_xx = {};

  void Add(const ClusterCounters& other);
};

// By stat_prefix of the HTTP connection manager or TCP proxy.
struct DownstreamCounters {
  uint64_t downstream_cx_total = 0;
  uint64_t downstream_cx_active = 0;
  uint64_t downstream_rq_total = 0;
  uint64_t downstream_rq_active = 0;
  uint64_t downstream_rq_rejected = 0;  // malformed; counted with its reason in `rejections`
  uint64_t no_route = 0;
  uint64_t no_cluster = 0;
  uint64_t downstream_cx_tx_bytes_total = 0;
  uint64_t downstream_cx_rx_bytes_total = 0;
  ResponseClasses downstream_rq_xx = {};

  void Add(const DownstreamCounters& other);
};

struct ListenerCounters {
  uint64_t downstream_cx_total = 0;
  uint64_t downstream_cx_active = 0;
  uint64_t no_filter_chain_match = 0;
  uint64_t ssl_handshake = 0;
  uint64_t ssl_connection_error = 0;
  uint64_t downstream_listener_filter_error = 0;
  uint64_t rbac_denied = 0;  // connections that an RBAC network filter closed

  void Add(const ListenerCounters& other);
};

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
  std::map<std::string, ListenerCounters> listeners;
  std::map<std::string, uint64_t> rejections;  // of malformed requests, by reason
  // Of HTTP filters, by their whole names: "http.in.fault.aborts_injected".
  std::map<std::string, uint64_t> filters;

  void Add(const Counters& other);
};

}  // namespace weft

#endif  // WEFT_PROXY_TELEMETRY_COUNTERS_H_
