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
  upstream_cx_active += other.upstream_cx_active;
  upstream_cx_http1_total += other.upstream_cx_http1_total;
  upstream_cx_http2_total += other.upstream_cx_http2_total;
  upstream_cx_overflow += other.upstream_cx_overflow;
  upstream_cx_connect_fail += other.upstream_cx_connect_fail;
  upstream_cx_none_healthy += other.upstream_cx_none_healthy;
  upstream_cx_tx_bytes_total += other.upstream_cx_tx_bytes_total;
  upstream_cx_rx_bytes_total += other.upstream_cx_rx_bytes_total;
  upstream_rq_total += other.upstream_rq_total;
  upstream_rq_active += other.upstream_rq_active;
  upstream_rq_pending_active += other.upstream_rq_pending_active;
  upstream_rq_timeout += other.upstream_rq_timeout;
  upstream_rq_retry += other.upstream_rq_retry;
  upstream_rq_retry_overflow += other.upstream_rq_retry_overflow;
  upstream_rq_pending_overflow += other.upstream_rq_pending_overflow;
  upstream_rq_rx_reset += other.upstream_rq_rx_reset;
  lb_healthy_panic += other.lb_healthy_panic;
  lb_subsets_selected += other.lb_subsets_selected;
  lb_subsets_fallback += other.lb_subsets_fallback;
  outlier.Add(other.outlier);
  AddClasses(upstream_rq_xx, other.upstream_rq_xx);
}

void DownstreamCounters::Add(const DownstreamCounters& other) {
  downstream_cx_total += other.downstream_cx_total;
  downstream_cx_active += other.downstream_cx_active;
  downstream_rq_total += other.downstream_rq_total;
  downstream_rq_active += other.downstream_rq_active;
  downstream_rq_rejected += other.downstream_rq_rejected;
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
  downstream_listener_filter_error += other.downstream_listener_filter_error;
  rbac_denied += other.rbac_denied;
}

void Counters::Add(const Counters& other) {
  AddByName(clusters, other.clusters);
  AddByName(downstreams, other.downstreams);
  AddByName(listeners, other.listeners);
  for (const auto& [reason, count] : other.rejections) rejections[reason] += count;
  for (const auto& [name, count] : other.filters) filters[name] += count;
}

}  // namespace weft
