// ClusterLoad: what one worker knows of a cluster's endpoints beyond configuration: how many
// requests each has under way, how fast it answers, which could not be reached lately, which are
// ejected; and the PickTables that follow from all that.
//
// Lives as long as the worker uses the cluster, across Snapshots: an endpoint that stays (by its
// key) keeps its load when the endpoints change. Belongs to one worker; no locks.
//
// A table is made when it is first needed and serves until something it was made of changes; that
// is what keeps a pick cheap however many endpoints there are, and however many of them are ill.
#ifndef WEFT_PROXY_DECIDE_CLUSTER_LOAD_H_
#define WEFT_PROXY_DECIDE_CLUSTER_LOAD_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "proxy/config/cluster_config.h"
#include "proxy/decide/outlier.h"
#include "proxy/decide/peak_ewma.h"
#include "proxy/decide/pick_table.h"

namespace weft {

struct EndpointLoad {
  uint32_t active = 0;    // requests (or TCP connections) under way; whoever picked it counts
  uint32_t failures = 0;  // connects that failed in a row
  // Since the loop's arbitrary start, as MonotonicTime. Until then it is picked only for want of
  // another.
  absl::Duration failed_until = -absl::InfiniteDuration();
  // When it came, or was well again; slow start counts from then.
  absl::Duration since = -absl::InfiniteDuration();
  bool was_unhealthy = false;  // in the set adopted last
  PeakEwma latency;
  OutlierState outlier;

  bool Failed(absl::Duration now) const { return now < failed_until; }
  // A connect failed, or succeeded; see ClusterLoad::ConnectFailed. True: what is to be avoided
  // changed.
  bool NoteFailure(absl::Duration now);
  bool NoteSuccess();
};

class ClusterLoad {
 public:
  // Takes these endpoints as those that at() counts; free if they are the ones it has. Those that
  // are new start slowly from `now` on, but for the first ones.
  void Adopt(const std::shared_ptr<const EndpointSet>& endpoints,
             absl::Duration now = -absl::InfiniteDuration());

  // The load of endpoint `index` of the set adopted last. A request keeps the pointer while it is
  // under way, since the endpoint may go from the configuration before the request ends.
  const std::shared_ptr<EndpointLoad>& at(size_t index) const { return loads_[index]; }
  size_t size() const { return loads_.size(); }

  // The next number of the round robin, which starts anywhere: else all workers of all proxies
  // would turn to the first endpoint first.
  uint64_t NextTurn(uint64_t random) {
    if (!turn_.has_value()) turn_ = random;
    return (*turn_)++;
  }

  // What came of an attempt at an endpoint; `endpoint` is of at(), at some time.
  //
  // A connect that fails: after 1 s the endpoint gets a request to try, after each further failure
  // in twice that time, to 30 s: a dead endpoint costs few requests a retry, and a new pod on its
  // address is found soon. This needs no configuration.
  void ConnectFailed(EndpointLoad& endpoint, absl::Duration now);
  void ConnectSucceeded(EndpointLoad& endpoint);

  // The following are for outlier detection, where the cluster has it, and for kLeastRequest.
  struct Attempt {
    absl::Duration now;
    uint64_t random = 0;
  };
  // The head of a response, `latency` after the endpoint was asked.
  void Responded(const ClusterConfig& cluster, EndpointLoad& endpoint, int status,
                 absl::Duration latency, const Attempt& attempt);
  void FailedLocally(const ClusterConfig& cluster, EndpointLoad& endpoint, LocalFailure failure,
                     const Attempt& attempt);
  void Connected(const ClusterConfig& cluster, EndpointLoad& endpoint, bool final);
  // Ends the interval of outlier detection, if it is over. For the worker's upkeep; PickEndpoint
  // does it too.
  void JudgeOutliers(const ClusterConfig& cluster, const Attempt& attempt);
  const OutlierCounters& outlier_counters() const { return outlier_counters_; }

  // The table of the whole cluster (view 0), or of subset `view` - 1. `cluster` is of the set
  // adopted last.
  const PickTable& Table(const ClusterConfig& cluster, size_t view, const LocalZones* zones,
                         absl::Duration now);

 private:
  struct Made {
    std::unique_ptr<PickTable> table;
    const LocalZones* zones = nullptr;
  };

  std::vector<OutlierState*> OutlierStates() const;
  void Changed() { tables_.clear(); }

  std::shared_ptr<const EndpointSet> endpoints_;
  std::vector<std::shared_ptr<EndpointLoad>> loads_;  // by index
  absl::flat_hash_map<std::string, std::shared_ptr<EndpointLoad>> by_key_;
  std::optional<uint64_t> turn_;
  std::vector<Made> tables_;  // by view; none: to be made
  OutlierDetector outliers_;
  OutlierCounters outlier_counters_;
};

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_CLUSTER_LOAD_H_
