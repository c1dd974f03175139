#include "proxy/admin/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

using Scope = Metric::Scope;

class Lister {
 public:
  explicit Lister(std::vector<Metric>* metrics) : metrics_(metrics) {}

  void Begin(Scope scope, const std::string& subject) {
    scope_ = scope;
    subject_ = &subject;
  }
  void Counter(const char* name, uint64_t value) { Push(name, "", false, value); }
  void Gauge(const char* name, uint64_t value) { Push(name, "", true, value); }
  void Classes(const char* name, const ResponseClasses& classes) {
    for (size_t i = 1; i < classes.size(); ++i) Push(name, absl::StrCat(i), false, classes[i]);
  }

 private:
  void Push(const char* name, std::string response_class, bool gauge, uint64_t value) {
    metrics_->push_back(
        {scope_, *subject_, name, std::move(response_class), gauge, static_cast<double>(value)});
  }

  std::vector<Metric>* metrics_;
  Scope scope_ = Scope::kServer;
  const std::string* subject_ = nullptr;
};

void ListCluster(const ClusterCounters& c, Lister& list) {
  list.Counter("upstream_cx_total", c.upstream_cx_total);
  list.Counter("upstream_cx_connect_fail", c.upstream_cx_connect_fail);
  list.Counter("upstream_cx_none_healthy", c.upstream_cx_none_healthy);
  list.Counter("upstream_cx_tx_bytes_total", c.upstream_cx_tx_bytes_total);
  list.Counter("upstream_cx_rx_bytes_total", c.upstream_cx_rx_bytes_total);
  list.Counter("upstream_rq_total", c.upstream_rq_total);
  list.Counter("upstream_rq_timeout", c.upstream_rq_timeout);
  list.Counter("upstream_rq_retry", c.upstream_rq_retry);
  list.Counter("upstream_rq_pending_overflow", c.upstream_rq_pending_overflow);
  list.Counter("upstream_rq_rx_reset", c.upstream_rq_rx_reset);
  list.Classes("upstream_rq_xx", c.upstream_rq_xx);
}

void ListDownstream(const DownstreamCounters& c, Lister& list) {
  list.Counter("downstream_cx_total", c.downstream_cx_total);
  list.Gauge("downstream_cx_active", c.downstream_cx_active);
  list.Counter("downstream_rq_total", c.downstream_rq_total);
  list.Gauge("downstream_rq_active", c.downstream_rq_active);
  list.Counter("downstream_rq_rejected", c.downstream_rq_rejected);
  list.Counter("downstream_rq_overload_close", c.downstream_rq_overload_close);
  list.Counter("idle_timeout", c.idle_timeout);
  list.Counter("max_downstream_connection_duration", c.max_downstream_connection_duration);
  list.Counter("no_route", c.no_route);
  list.Counter("no_cluster", c.no_cluster);
  list.Counter("downstream_cx_tx_bytes_total", c.downstream_cx_tx_bytes_total);
  list.Counter("downstream_cx_rx_bytes_total", c.downstream_cx_rx_bytes_total);
  list.Classes("downstream_rq_xx", c.downstream_rq_xx);
}

void ListListener(const ListenerCounters& c, Lister& list) {
  list.Counter("downstream_cx_total", c.downstream_cx_total);
  list.Gauge("downstream_cx_active", c.downstream_cx_active);
  list.Counter("no_filter_chain_match", c.no_filter_chain_match);
  list.Counter("ssl_handshake", c.ssl_handshake);
  list.Counter("ssl_connection_error", c.ssl_connection_error);
  list.Counter("downstream_listener_filter_error", c.downstream_listener_filter_error);
  list.Counter("ssl_session_reused", c.ssl_session_reused);
  list.Counter("downstream_cx_destroy", c.downstream_cx_total - c.downstream_cx_active);
  list.Counter("downstream_cx_overflow", c.downstream_cx_overflow);
  list.Counter("downstream_global_cx_overflow", c.downstream_global_cx_overflow);
  list.Counter("downstream_cx_overload_reject", c.downstream_cx_overload_reject);
  list.Counter("downstream_pre_cx_timeout", c.downstream_pre_cx_timeout);
  list.Counter("accept_paused", c.accept_paused);
  list.Counter("downstream_cx_drained", c.downstream_cx_drained);
  list.Counter("ssl_trust_revoked", c.ssl_trust_revoked);
}

absl::string_view Prefix(Scope scope) {
  switch (scope) {
    case Scope::kServer:
      return "server";
    case Scope::kCluster:
      return "cluster";
    case Scope::kHttp:
      return "http";
    case Scope::kListener:
      return "listener";
  }
  return "";
}

// Envoy's label for the subject of each scope.
absl::string_view SubjectLabel(Scope scope) {
  switch (scope) {
    case Scope::kServer:
      return "reason";
    case Scope::kCluster:
      return "envoy_cluster_name";
    case Scope::kHttp:
      return "envoy_http_conn_manager_prefix";
    case Scope::kListener:
      return "envoy_listener_address";
  }
  return "";
}

std::string FlatName(const Metric& metric) {
  std::string name(Prefix(metric.scope));
  if (!metric.subject.empty()) absl::StrAppend(&name, ".", metric.subject);
  absl::StrAppend(&name, ".", metric.name);
  if (!metric.response_class.empty()) {
    // "upstream_rq_xx" of class 2 is "upstream_rq_2xx".
    name.insert(name.size() - 2, metric.response_class);
  }
  return name;
}

}  // namespace

std::vector<Metric> ListMetrics(const Counters& counters, std::vector<Metric> server) {
  std::vector<Metric> metrics = std::move(server);
  Lister list(&metrics);
  for (const auto& [name, cluster] : counters.clusters) {
    list.Begin(Scope::kCluster, name);
    ListCluster(cluster, list);
  }
  for (const auto& [name, downstream] : counters.downstreams) {
    list.Begin(Scope::kHttp, name);
    ListDownstream(downstream, list);
  }
  for (const auto& [name, listener] : counters.listeners) {
    list.Begin(Scope::kListener, name);
    ListListener(listener, list);
  }
  for (const auto& [reason, count] : counters.rejections) {
    list.Begin(Scope::kServer, reason);
    list.Counter("rejected_requests", count);
  }
  return metrics;
}

std::string FormatStats(const std::vector<Metric>& metrics, absl::string_view filter,
                        bool used_only) {
  std::string text;
  for (const Metric& metric : metrics) {
    const std::string name = FlatName(metric);
    if (used_only && metric.value == 0) continue;
    if (!absl::StrContains(name, filter)) continue;
    absl::StrAppend(&text, name, ": ", static_cast<int64_t>(metric.value), "\n");
  }
  return text;
}

std::string FormatPrometheus(const std::vector<Metric>& metrics) {
  std::map<std::string, prometheus::MetricFamily> families;
  for (const Metric& metric : metrics) {
    const std::string name = absl::StrCat("envoy_", Prefix(metric.scope), "_", metric.name);
    prometheus::MetricFamily& family = families[name];
    family.name = name;
    family.type = metric.gauge ? prometheus::MetricType::Gauge : prometheus::MetricType::Counter;
    prometheus::ClientMetric& value = family.metric.emplace_back();
    if (!metric.subject.empty()) {
      value.label.push_back({std::string(SubjectLabel(metric.scope)), metric.subject});
    }
    if (!metric.response_class.empty()) {
      value.label.push_back({"envoy_response_code_class", metric.response_class});
    }
    (metric.gauge ? value.gauge.value : value.counter.value) = metric.value;
  }
  std::vector<prometheus::MetricFamily> list;
  for (auto& [name, family] : families) list.push_back(std::move(family));
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, list);
  return out.str();
}

}  // namespace weft
