#include "proxy/decide/cluster_load.h"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

constexpr absl::Duration kFirstAvoidance = absl::Seconds(1);
constexpr absl::Duration kLongestAvoidance = absl::Seconds(30);
constexpr uint32_t kMostDoublings = 5;  // beyond, kLongestAvoidance holds

}  // namespace

void ClusterLoad::Adopt(const std::shared_ptr<const EndpointSet>& endpoints, absl::Duration now) {
  if (endpoints == endpoints_) return;
  const bool first = endpoints_ == nullptr;
  absl::flat_hash_map<std::string, std::shared_ptr<EndpointLoad>> by_key;
  by_key.reserve(endpoints->endpoints.size());
  loads_.clear();
  loads_.reserve(endpoints->endpoints.size());
  for (const EndpointConfig& one : endpoints->endpoints) {
    std::shared_ptr<EndpointLoad>& load = by_key[one.key];
    if (load == nullptr) {
      auto known = by_key_.find(one.key);
      load = known != by_key_.end() ? known->second : std::make_shared<EndpointLoad>();
      const bool is_new = known == by_key_.end() && !first;
      const bool unhealthy = IsUnhealthy(one);
      if (is_new || (load->was_unhealthy && !unhealthy)) load->since = now;
      load->was_unhealthy = unhealthy;
    }
    loads_.push_back(load);
  }
  by_key_ = std::move(by_key);
  endpoints_ = endpoints;
  outliers_.Recount(OutlierStates());
  outlier_counters_.ejections_active = outliers_.ejected();
  Changed();
}

bool EndpointLoad::NoteFailure(absl::Duration now) {
  // Several connects that fail at once, or within the time it is avoided anyway, are one failure.
  if (Failed(now)) return false;
  const absl::Duration avoid = kFirstAvoidance * (1 << std::min(failures, kMostDoublings));
  ++failures;
  failed_until = now + std::min(avoid, kLongestAvoidance);
  return true;
}

bool EndpointLoad::NoteSuccess() {
  if (failures == 0) return false;
  failures = 0;
  failed_until = -absl::InfiniteDuration();
  return true;
}

void ClusterLoad::ConnectFailed(EndpointLoad& endpoint, absl::Duration now) {
  if (endpoint.NoteFailure(now)) Changed();
}

void ClusterLoad::ConnectSucceeded(EndpointLoad& endpoint) {
  if (endpoint.NoteSuccess()) Changed();
}

void ClusterLoad::Responded(const ClusterConfig& cluster, EndpointLoad& endpoint, int status,
                            absl::Duration latency, const Attempt& attempt) {
  // How fast an endpoint fails says nothing of how fast it serves.
  if (status < 500 && cluster.balancing == LoadBalancing::kLeastRequest) {
    endpoint.latency.Observe(latency, attempt.now);
  }
  if (cluster.outlier == nullptr) return;
  const OutlierDetector::Facts facts = {attempt.now, attempt.random, loads_.size()};
  if (outliers_.OnResponse(*cluster.outlier, facts, status, endpoint.outlier, outlier_counters_)) {
    Changed();
  }
}

void ClusterLoad::FailedLocally(const ClusterConfig& cluster, EndpointLoad& endpoint,
                                LocalFailure failure, const Attempt& attempt) {
  if (cluster.outlier == nullptr) return;
  const OutlierDetector::Facts facts = {attempt.now, attempt.random, loads_.size()};
  if (outliers_.OnLocalFailure(*cluster.outlier, facts, failure, endpoint.outlier,
                               outlier_counters_)) {
    Changed();
  }
}

void ClusterLoad::Connected(const ClusterConfig& cluster, EndpointLoad& endpoint, bool final) {
  ConnectSucceeded(endpoint);
  if (cluster.outlier != nullptr) outliers_.OnConnected(*cluster.outlier, final, endpoint.outlier);
}

void ClusterLoad::JudgeOutliers(const ClusterConfig& cluster, const Attempt& attempt) {
  if (cluster.outlier == nullptr) {
    if (outliers_.ejected() == 0) return;
    if (outliers_.Forget(OutlierStates(), outlier_counters_)) Changed();
    return;
  }
  if (!outliers_.Due(attempt.now)) return;
  const OutlierDetector::Facts facts = {attempt.now, attempt.random, loads_.size()};
  if (outliers_.Judge(*cluster.outlier, facts, OutlierStates(), outlier_counters_)) Changed();
}

std::vector<OutlierState*> ClusterLoad::OutlierStates() const {
  std::vector<OutlierState*> states;
  states.reserve(by_key_.size());
  for (const auto& [key, load] : by_key_) states.push_back(&load->outlier);
  return states;
}

const PickTable& ClusterLoad::Table(const ClusterConfig& cluster, size_t view,
                                    const LocalZones* zones, absl::Duration now) {
  if (tables_.size() <= view) tables_.resize(view + 1);
  Made& made = tables_[view];
  if (made.table == nullptr || made.zones != zones || now >= made.table->valid_until()) {
    made.table = std::make_unique<PickTable>(cluster, *this, view, zones, now);
    made.zones = zones;
  }
  return *made.table;
}

}  // namespace weft
