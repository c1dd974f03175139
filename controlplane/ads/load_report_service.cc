#include "controlplane/ads/load_report_service.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include <string>
#include <utility>

#include "api/envoy/load_stats.grpc.pb.h"

namespace weft {
namespace {

using envoy::config::endpoint::v3::ClusterStats;
using envoy::service::load_stats::v3::LoadReportingService;
using envoy::service::load_stats::v3::LoadStatsRequest;
using envoy::service::load_stats::v3::LoadStatsResponse;

Metrics::Load LoadOf(const ClusterStats& stats) {
  Metrics::Load load;
  for (const auto& locality : stats.upstream_locality_stats()) {
    load.succeeded += locality.total_successful_requests();
    load.failed += locality.total_error_requests();
  }
  load.dropped = stats.total_dropped_requests();
  return load;
}

// One client's stream: it is asked once for all its clusters, and reports until it goes. Deletes
// itself once gRPC is done with it. Of its calls only one runs at a time: a read or the write.
class Reports : public grpc::ServerBidiReactor<LoadStatsRequest, LoadStatsResponse> {
 public:
  Reports(Metrics& metrics, absl::Duration interval) : metrics_(metrics) {
    answer_.set_send_all_clusters(true);
    auto* every = answer_.mutable_load_reporting_interval();
    every->set_seconds(absl::IDivDuration(interval, absl::Seconds(1), &interval));
    every->set_nanos(static_cast<int32_t>(interval / absl::Nanoseconds(1)));
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    for (const ClusterStats& stats : request_.cluster_stats()) {
      metrics_.Loaded(stats.cluster_name(), LoadOf(stats));
    }
    if (std::exchange(answered_, true)) return StartRead(&request_);
    StartWrite(&answer_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    StartRead(&request_);
  }
  void OnDone() override { delete this; }

 private:
  Metrics& metrics_;
  LoadStatsRequest request_;
  LoadStatsResponse answer_;
  bool answered_ = false;
};

class Refused : public grpc::ServerBidiReactor<LoadStatsRequest, LoadStatsResponse> {
 public:
  Refused() {
    Finish({grpc::StatusCode::UNAUTHENTICATED, "load reports need a client certificate"});
  }
  void OnDone() override { delete this; }
};

class Service final : public LoadReportingService::CallbackService {
 public:
  Service(const Connections& connections, Metrics& metrics, absl::Duration interval)
      : connections_(connections), metrics_(metrics), interval_(interval) {}

  grpc::ServerBidiReactor<LoadStatsRequest, LoadStatsResponse>* StreamLoadStats(
      grpc::CallbackServerContext* context) override {
    const auto connection = connections_.Find(context->peer());
    if (connection.has_value() && !connection->identity.has_value()) return new Refused;
    return new Reports(metrics_, interval_);
  }

 private:
  const Connections& connections_;
  Metrics& metrics_;
  const absl::Duration interval_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeLoadReportService(const Connections& connections,
                                                     Metrics& metrics, absl::Duration interval) {
  return std::make_unique<Service>(connections, metrics, interval);
}

}  // namespace weft
