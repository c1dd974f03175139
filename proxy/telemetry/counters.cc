#include "proxy/telemetry/counters.h"

namespace weft {
namespace {

void AddClasses(ResponseClasses& to, const ResponseClasses& from) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

template <typename Value>
void AddByName(std::map<std::string, Value>& to, const std::map<std::string, Value>& from) {
  for (const auto& [name, value] : from) to[name].Add(value);
}

}  // namespace

void ClusterCounters::Add(const ClusterCounters& other) {
  upstream_cx_total += other.upstream_cx_total;
  upstream_cx_connect_fail += other.upstream_cx_connect_fail;
  upstream_cx_none_healthy += other.upstream_cx_none_healthy;
  upstream_cx_tx_bytes_total += other.upstream_cx_tx_bytes_total;
  upstream_cx_rx_bytes_total += other.upstream_cx_rx_bytes_total;
  upstream_rq_total += other.upstream_rq_total;
  upstream_rq_timeout += other.upstream_rq_timeout;
  upstream_rq_retry += other.upstream_rq_retry;
  upstream_rq_pending_overflow += other.upstream_rq_pending_overflow;
  upstream_rq_rx_reset += other.upstream_rq_rx_reset;
  AddClasses(upstream_rq_xx, other.upstream_rq_xx);
}

void DownstreamCounters::Add(const DownstreamCounters& other) {
  downstream_cx_total += other.downstream_cx_total;
  downstream_cx_active += other.downstream_cx_active;
  downstream_rq_total += other.downstream_rq_total;
  downstream_rq_active += other.downstream_rq_active;
  downstream_rq_rejected += other.downstream_rq_rejected;
  downstream_rq_overload_close += other.downstream_rq_overload_close;
  idle_timeout += other.idle_timeout;
  max_downstream_connection_duration += other.max_downstream_connection_duration;
  no_route += other.no_route;
  no_cluster += other.no_cluster;
  downstream_cx_tx_bytes_total += other.downstream_cx_tx_bytes_total;
  downstream_cx_rx_bytes_total += other.downstream_cx_rx_bytes_total;
  AddClasses(downstream_rq_xx, other.downstream_rq_xx);
}

void ListenerCounters::Add(const ListenerCounters& other) {
  downstream_cx_total += other.downstream_cx_total;
  downstream_cx_active += other.downstream_cx_active;
  no_filter_chain_match += other.no_filter_chain_match;
  ssl_handshake += other.ssl_handshake;
  ssl_connection_error += other.ssl_connection_error;
  ssl_session_reused += other.ssl_session_reused;
  downstream_listener_filter_error += other.downstream_listener_filter_error;
  downstream_cx_overflow += other.downstream_cx_overflow;
  downstream_global_cx_overflow += other.downstream_global_cx_overflow;
  downstream_cx_overload_reject += other.downstream_cx_overload_reject;
  downstream_pre_cx_timeout += other.downstream_pre_cx_timeout;
  accept_paused += other.accept_paused;
  downstream_cx_drained += other.downstream_cx_drained;
  ssl_trust_revoked += other.ssl_trust_revoked;
}

void Counters::Add(const Counters& other) {
  AddByName(clusters, other.clusters);
  AddByName(downstreams, other.downstreams);
  AddByName(listeners, other.listeners);
  for (const auto& [reason, count] : other.rejections) rejections[reason] += count;
}

}  // namespace weft
