#include "controlplane/debug/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <functional>
#include <map>
#include <mutex>
#include <set>

namespace weft {
namespace {

// Clusters are named by clients; what comes beyond these is counted together.
constexpr size_t kMostClusters = 10000;

prometheus::Counter& CounterOf(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Gauge& GaugeOf(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

struct Metrics::Series {
  prometheus::Registry registry;
  prometheus::Gauge& proxies = GaugeOf(registry, "pilot_xds", "Proxies connected over xDS.");
  prometheus::Family<prometheus::Counter>& pushes = prometheus::BuildCounter()
                                                        .Name("pilot_xds_pushes")
                                                        .Help("xDS responses sent, by type.")
                                                        .Register(registry);
  prometheus::Counter& rejects = prometheus::BuildCounter()
                                     .Name("pilot_total_xds_rejects")
                                     .Help("xDS responses that proxies refused.")
                                     .Register(registry)
                                     .Add({});
  prometheus::Family<prometheus::Counter>& rejects_by_type =
      prometheus::BuildCounter()
          .Name("weft_xds_rejects")
          .Help("xDS responses that proxies refused, by type.")
          .Register(registry);
  prometheus::Histogram& convergence =
      prometheus::BuildHistogram()
          .Name("pilot_proxy_convergence_time")
          .Help("Seconds from a change to its push to a proxy.")
          .Register(registry)
          .Add({}, prometheus::Histogram::BucketBoundaries{.001, .002, .005, .01, .02, .05, .1, .5,
                                                           1, 3, 5, 10});
  prometheus::Family<prometheus::Histogram>& push_time =
      prometheus::BuildHistogram()
          .Name("pilot_xds_push_time")
          .Help("Seconds that one response took to be made and written, by type.")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& loads =
      prometheus::BuildCounter()
          .Name("weft_xds_client_requests_total")
          .Help("Calls that proxyless clients report, by cluster and result.")
          .Register(registry);
  std::mutex mutex;                                                    // over the three that follow
  std::map<std::string, prometheus::Counter*, std::less<>> pushes_of;  // by type
  std::map<std::string, prometheus::Histogram*, std::less<>> push_time_of;
  std::set<std::string> clusters;  // that reported load
  prometheus::Family<prometheus::Gauge>& peers = prometheus::BuildGauge()
                                                     .Name("weft_peers")
                                                     .Help("Linked clusters, by state.")
                                                     .Register(registry);
  prometheus::Family<prometheus::Gauge>& managed_clusters =
      prometheus::BuildGauge()
          .Name("istiod_managed_clusters")
          .Help("Clusters whose API servers are read, by type.")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& remotes =
      prometheus::BuildGauge()
          .Name("weft_remote_clusters")
          .Help("Clusters that Secrets name, by state.")
          .Register(registry);
  prometheus::Gauge& root_end = GaugeOf(registry, "citadel_server_root_cert_expiry_timestamp",
                                        "When the CA's root ends, in seconds since the epoch.");
  prometheus::Gauge& ca_end =
      GaugeOf(registry, "citadel_server_cert_chain_expiry_timestamp",
              "When the first of the CA's chain ends, in seconds since the epoch.");
  prometheus::Gauge& ca_refused =
      GaugeOf(registry, "weft_ca_refused",
              "1 while the CA that is plugged in cannot be used, and the last good one signs.");
  prometheus::Counter& injections = CounterOf(registry, "sidecar_injection_requests_total",
                                              "Pods that the injecting webhook was asked about.");
  prometheus::Counter& injections_done =
      CounterOf(registry, "sidecar_injection_success_total", "Pods that were given a sidecar.");
  prometheus::Counter& injections_skipped =
      CounterOf(registry, "sidecar_injection_skip_total", "Pods that were left as they were.");
  prometheus::Counter& injections_failed =
      CounterOf(registry, "sidecar_injection_failure_total", "Pods that were refused.");
  prometheus::Counter& validations_passed = CounterOf(
      registry, "galley_validation_passed", "Objects that the validating webhook allowed.");
  prometheus::Counter& validations_failed = CounterOf(
      registry, "galley_validation_failed", "Objects that the validating webhook refused.");
};

Metrics::Metrics() : series_(std::make_unique<Series>()) {}
Metrics::~Metrics() = default;

void Metrics::ProxyConnected() { series_->proxies.Increment(); }
void Metrics::ProxyDisconnected() { series_->proxies.Decrement(); }

void Metrics::Pushed(absl::string_view type) {
  std::lock_guard<std::mutex> lock(series_->mutex);
  prometheus::Counter*& counter = series_->pushes_of[std::string(type)];
  if (counter == nullptr) counter = &series_->pushes.Add({{"type", std::string(type)}});
  counter->Increment();
}

void Metrics::Written(absl::string_view type, absl::Duration took) {
  std::lock_guard<std::mutex> lock(series_->mutex);
  prometheus::Histogram*& histogram = series_->push_time_of[std::string(type)];
  if (histogram == nullptr) {
    histogram = &series_->push_time.Add(
        {{"type", std::string(type)}},
        prometheus::Histogram::BucketBoundaries{.001, .01, .1, .5, 1, 3, 5, 10, 20, 30});
  }
  histogram->Observe(absl::ToDoubleSeconds(took));
}

void Metrics::SetCa(const Ca& ca) {
  series_->root_end.Set(absl::ToDoubleSeconds(ca.root_end - absl::UnixEpoch()));
  series_->ca_end.Set(absl::ToDoubleSeconds(ca.end - absl::UnixEpoch()));
  series_->ca_refused.Set(ca.refused ? 1 : 0);
}

void Metrics::Loaded(const std::string& cluster, const Load& load) {
  std::string name = cluster;
  {
    std::lock_guard<std::mutex> lock(series_->mutex);
    if (series_->clusters.size() < kMostClusters) {
      series_->clusters.insert(name);
    } else if (series_->clusters.count(name) == 0) {
      name = "other";
    }
  }
  const auto count = [&](const char* result, uint64_t calls) {
    if (calls == 0) return;
    series_->loads.Add({{"cluster", name}, {"result", result}})
        .Increment(static_cast<double>(calls));
  };
  count("success", load.succeeded);
  count("error", load.failed);
  count("dropped", load.dropped);
}

void Metrics::Injected(Injection result) {
  series_->injections.Increment();
  switch (result) {
    case Injection::kDone:
      return series_->injections_done.Increment();
    case Injection::kSkipped:
      return series_->injections_skipped.Increment();
    case Injection::kFailed:
      return series_->injections_failed.Increment();
  }
}

void Metrics::Validated(bool allowed) {
  (allowed ? series_->validations_passed : series_->validations_failed).Increment();
}

void Metrics::Rejected(absl::string_view type) {
  series_->rejects.Increment();
  series_->rejects_by_type.Add({{"type", std::string(type)}}).Increment();
}

void Metrics::Converged(absl::Duration took) {
  series_->convergence.Observe(absl::ToDoubleSeconds(took));
}

void Metrics::SetPeers(int configured, int synced) {
  series_->peers.Add({{"state", "configured"}}).Set(configured);
  series_->peers.Add({{"state", "synced"}}).Set(synced);
}

void Metrics::SetRemotes(const Remotes& remotes) {
  series_->managed_clusters.Add({{"cluster_type", "local"}}).Set(1);
  series_->managed_clusters.Add({{"cluster_type", "remote"}}).Set(remotes.configured);
  series_->remotes.Add({{"state", "configured"}}).Set(remotes.configured);
  series_->remotes.Add({{"state", "synced"}}).Set(remotes.synced);
  series_->remotes.Add({{"state", "refused"}}).Set(remotes.refused);
}

std::string Metrics::Text() const {
  return prometheus::TextSerializer().Serialize(series_->registry.Collect());
}

}  // namespace weft
