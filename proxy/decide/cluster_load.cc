#include "proxy/decide/cluster_load.h"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

constexpr absl::Duration kFirstAvoidance = absl::Seconds(1);
constexpr absl::Duration kLongestAvoidance = absl::Seconds(30);
constexpr uint32_t kMostDoublings = 5;  // beyond, kLongestAvoidance holds

}  // namespace

void EndpointLoad::ConnectFailed(absl::Duration now) {
  // Several connects that fail at once, or within the time it is avoided anyway, are one failure.
  if (Failed(now)) return;
  const absl::Duration avoid = kFirstAvoidance * (1 << std::min(failures, kMostDoublings));
  ++failures;
  failed_until = now + std::min(avoid, kLongestAvoidance);
}

void EndpointLoad::ConnectSucceeded() {
  failures = 0;
  failed_until = -absl::InfiniteDuration();
}

void ClusterLoad::Adopt(const std::shared_ptr<const EndpointSet>& endpoints) {
  if (endpoints == endpoints_) return;
  absl::flat_hash_map<std::string, std::shared_ptr<EndpointLoad>> by_key;
  loads_.clear();
  for (const EndpointConfig& one : endpoints->endpoints) {
    std::shared_ptr<EndpointLoad>& load = by_key[one.key];
    if (load == nullptr) {
      auto known = by_key_.find(one.key);
      load = known != by_key_.end() ? known->second : std::make_shared<EndpointLoad>();
    }
    loads_.push_back(load);
  }
  by_key_ = std::move(by_key);
  endpoints_ = endpoints;
}

}  // namespace weft
