#include "controlplane/debug/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace weft {

struct Metrics::Series {
  prometheus::Registry registry;
  prometheus::Gauge& proxies = prometheus::BuildGauge()
                                   .Name("pilot_xds")
                                   .Help("Proxies connected over xDS.")
                                   .Register(registry)
                                   .Add({});
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
  prometheus::Family<prometheus::Gauge>& peers = prometheus::BuildGauge()
                                                     .Name("weft_peers")
                                                     .Help("Linked clusters, by state.")
                                                     .Register(registry);
};

Metrics::Metrics() : series_(std::make_unique<Series>()) {}
Metrics::~Metrics() = default;

void Metrics::ProxyConnected() { series_->proxies.Increment(); }
void Metrics::ProxyDisconnected() { series_->proxies.Decrement(); }

void Metrics::Pushed(absl::string_view type) {
  series_->pushes.Add({{"type", std::string(type)}}).Increment();
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

std::string Metrics::Text() const {
  return prometheus::TextSerializer().Serialize(series_->registry.Collect());
}

}  // namespace weft
