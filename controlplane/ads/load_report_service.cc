#include "controlplane/ads/load_report_service.h"

#include <string>
#include <utility>

#include "api/envoy/load_stats.pb.h"

namespace weft {
namespace {

using envoy::config::endpoint::v3::ClusterStats;
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

std::string AskForAll(absl::Duration interval) {
  LoadStatsResponse answer;
  answer.set_send_all_clusters(true);
  auto* every = answer.mutable_load_reporting_interval();
  every->set_seconds(absl::IDivDuration(interval, absl::Seconds(1), &interval));
  every->set_nanos(static_cast<int32_t>(interval / absl::Nanoseconds(1)));
  return answer.SerializeAsString();
}

// A client is asked once for all its clusters, and reports until it goes.
Task<absl::Status> StreamLoadStats(GrpcCall& call, Metrics& metrics, absl::Duration interval) {
  if (call.peer().secure && !call.peer().identity.has_value()) {
    co_return absl::UnauthenticatedError("load reports need a client certificate");
  }
  bool asked = false;
  std::string message;
  while (true) {
    const GrpcCall::Event event = co_await call.Receive(&message);
    if (event == GrpcCall::Event::kEnd) co_return call.status();
    LoadStatsRequest request;
    if (!request.ParseFromString(message)) {
      co_return absl::InvalidArgumentError("not a LoadStatsRequest");
    }
    for (const ClusterStats& stats : request.cluster_stats()) {
      metrics.Loaded(stats.cluster_name(), LoadOf(stats));
    }
    if (!std::exchange(asked, true)) call.Send(AskForAll(interval));
  }
}

}  // namespace

void AddLoadReportService(Metrics& metrics, GrpcServices& services, absl::Duration interval) {
  services["/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats"] =
      [&metrics, interval](GrpcCall& call) { return StreamLoadStats(call, metrics, interval); };
}

}  // namespace weft
