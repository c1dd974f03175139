// Counters as text: Envoy's flat form for /stats, and Prometheus' for /stats/prometheus.
#ifndef WEFT_PROXY_ADMIN_METRICS_H_
#define WEFT_PROXY_ADMIN_METRICS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proxy/telemetry/counters.h"

namespace weft {

// One number with what it is about.
struct Metric {
  // "upstream_rq_total" of the cluster `subject`.
  enum class Scope { kServer, kCluster, kHttp, kListener };
  Scope scope = Scope::kServer;
  std::string subject;
  std::string name;
  std::string response_class;  // "2" of upstream_rq_xx, else empty
  bool gauge = false;
  double value = 0;
};

// All counters in a fixed order. `server` is added in front.
std::vector<Metric> ListMetrics(const Counters& counters, std::vector<Metric> server);

// "cluster.NAME.upstream_rq_total: 3", one a line; only names that contain `filter`.
std::string FormatStats(const std::vector<Metric>& metrics, absl::string_view filter,
                        bool used_only);
std::string FormatPrometheus(const std::vector<Metric>& metrics);

}  // namespace weft

#endif  // WEFT_PROXY_ADMIN_METRICS_H_
