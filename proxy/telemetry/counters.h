// Counters of one worker: plain numbers that only its thread touches. A reader asks each worker for
// a copy and adds them up (admin/metrics.h). Names follow Envoy's statistics.
#ifndef WEFT_PROXY_TELEMETRY_COUNTERS_H_
#define WEFT_PROXY_TELEMETRY_COUNTERS_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>

namespace weft {

// Responses by class: index 1 is 1xx, index 5 is 5xx.
using ResponseClasses = std::array<uint64_t, 6>;

struct ClusterCounters {
  uint64_t upstream_cx_total = 0;
  uint64_t upstream_cx_connect_fail = 0;
  uint64_t upstream_cx_none_healthy = 0;
  uint64_t upstream_cx_tx_bytes_total = 0;
  uint64_t upstream_cx_rx_bytes_total = 0;
  uint64_t upstream_rq_total = 0;
  uint64_t upstream_rq_timeout = 0;
  uint64_t upstream_rq_retry = 0;
  uint64_t upstream_rq_pending_overflow = 0;
  uint64_t upstream_rq_rx_reset = 0;
  ResponseClasses upstream_rq_xx = {};

  void Add(const ClusterCounters& other);
};

// By stat_prefix of the HTTP connection manager or TCP proxy.
struct DownstreamCounters {
  uint64_t downstream_cx_total = 0;
  uint64_t downstream_cx_active = 0;
  uint64_t downstream_rq_total = 0;
  uint64_t downstream_rq_active = 0;
  uint64_t downstream_rq_rejected = 0;        // malformed; counted with its reason in `rejections`
  uint64_t downstream_rq_overload_close = 0;  // refused since the process is overloaded
  uint64_t no_route = 0;
  uint64_t no_cluster = 0;
  uint64_t downstream_cx_tx_bytes_total = 0;
  uint64_t downstream_cx_rx_bytes_total = 0;
  uint64_t idle_timeout = 0;  // of TCP connections
  uint64_t max_downstream_connection_duration = 0;
  ResponseClasses downstream_rq_xx = {};

  void Add(const DownstreamCounters& other);
};

struct ListenerCounters {
  uint64_t downstream_cx_total = 0;
  uint64_t downstream_cx_active = 0;
  uint64_t no_filter_chain_match = 0;
  uint64_t ssl_handshake = 0;
  uint64_t ssl_connection_error = 0;
  uint64_t ssl_session_reused = 0;
  uint64_t downstream_listener_filter_error = 0;
  uint64_t downstream_cx_overflow = 0;         // more than connection_limit allows
  uint64_t downstream_global_cx_overflow = 0;  // more than the process may have
  uint64_t downstream_cx_overload_reject = 0;
  uint64_t downstream_pre_cx_timeout = 0;  // silent while listener filters waited
  uint64_t accept_paused = 0;              // out of descriptors
  uint64_t downstream_cx_drained = 0;      // still open when their drain time was over
  uint64_t ssl_trust_revoked = 0;          // closed since the roots that vouched for it are gone

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

  void Add(const Counters& other);
};

}  // namespace weft

#endif  // WEFT_PROXY_TELEMETRY_COUNTERS_H_
