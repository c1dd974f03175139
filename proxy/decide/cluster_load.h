// ClusterLoad: what one worker knows of a cluster's endpoints beyond configuration: how many
// requests each has under way, and which could not be reached lately.
//
// Lives as long as the worker uses the cluster, across Snapshots: an endpoint that stays (by its
// key) keeps its load when the endpoints change. Belongs to one worker; no locks.
#ifndef WEFT_PROXY_DECIDE_CLUSTER_LOAD_H_
#define WEFT_PROXY_DECIDE_CLUSTER_LOAD_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "proxy/config/cluster_config.h"

namespace weft {

struct EndpointLoad {
  uint32_t active = 0;    // requests (or TCP connections) under way; whoever picked it counts
  uint32_t failures = 0;  // connects that failed in a row
  // Since the loop's arbitrary start, as MonotonicTime. Until then it is picked only for want of
  // another.
  absl::Duration failed_until = -absl::InfiniteDuration();

  bool Failed(absl::Duration now) const { return now < failed_until; }
  // After 1 s the endpoint gets a request to try, after each further failure in twice that time, to
  // 30 s: a dead endpoint costs few requests a retry, and a new pod on its address is found soon.
  void ConnectFailed(absl::Duration now);
  void ConnectSucceeded();
};

class ClusterLoad {
 public:
  // Takes these endpoints as those that at() counts; free if they are the ones it has.
  void Adopt(const std::shared_ptr<const EndpointSet>& endpoints);

  // The load of endpoint `index` of the set adopted last. A request keeps the pointer while it is
  // under way, since the endpoint may go from the configuration before the request ends.
  const std::shared_ptr<EndpointLoad>& at(size_t index) const { return loads_[index]; }
  size_t size() const { return loads_.size(); }

  // The next number of the round robin.
  uint64_t NextTurn() { return turn_++; }

 private:
  std::shared_ptr<const EndpointSet> endpoints_;
  std::vector<std::shared_ptr<EndpointLoad>> loads_;  // by index
  absl::flat_hash_map<std::string, std::shared_ptr<EndpointLoad>> by_key_;
  uint64_t turn_ = 0;
};

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_CLUSTER_LOAD_H_
