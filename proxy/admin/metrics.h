// Counters as text: Envoy's flat form and its JSON for /stats, and Prometheus' for
// /stats/prometheus.
#ifndef WEFT_PROXY_ADMIN_METRICS_H_
#define WEFT_PROXY_ADMIN_METRICS_H_

#include <re2/re2.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proxy/telemetry/counters.h"

namespace weft {

// A number of the process rather than of a worker.
struct ServerMetric {
  const char* prefix;  // "server", "cluster_manager", "listener_manager"
  const char* name;
  bool gauge = false;
  double value = 0;
};

// What /stats is made from.
struct Statistics {
  Counters counters;
  std::vector<ServerMetric> server;
};

struct StatsQuery {
  const RE2* filter = nullptr;  // only flat names of which a part matches; null: all
  bool used_only = false;       // only what is not zero
};

// "cluster.NAME.upstream_rq_total: 3", one a line; histograms by their quantiles, last.
std::string FormatStats(const Statistics& statistics, const StatsQuery& query);
// {"stats":[{"name":…,"value":…},…]}
std::string FormatStatsJson(const Statistics& statistics, const StatsQuery& query);
std::string FormatPrometheus(const Statistics& statistics, const StatsQuery& query);

}  // namespace weft

#endif  // WEFT_PROXY_ADMIN_METRICS_H_
