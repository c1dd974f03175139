// PodLoads: what a pool knows of the pods behind one gateway, by the names that the gateway gives
// them: how many connections lead to each, how many requests each has had, and which are to be left
// out for a while: those that could not be reached, as any endpoint, and those that the cluster's
// outlier detection ejects.
//
// Pure but for the uses it hands out; one worker's.
#ifndef WEFT_PROXY_UPSTREAM_POD_LOADS_H_
#define WEFT_PROXY_UPSTREAM_POD_LOADS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "proxy/config/outlier_config.h"
#include "proxy/decide/cluster_load.h"
#include "proxy/decide/outlier.h"

namespace weft {

class PodLoads {
 public:
  using Attempt = ClusterLoad::Attempt;

  // How long the gateway is believed that it has no other pods than those that are known.
  static constexpr absl::Duration kSettled = absl::Seconds(5);
  // Requests that a pod may have had more than another one.
  static constexpr uint64_t kMostAhead = 4;
  // Names that are remembered although no connection leads there any more.
  static constexpr size_t kMostForgotten = 256;

  struct Pod {
    size_t connections = 0;
    uint64_t requests = 0;
    EndpointLoad load;  // whether it could be reached, and how it behaves
  };

  // A connection that leads to a pod, for as long as it lives. PodLoads must outlive it.
  class Use {
   public:
    Use() = default;
    explicit Use(Pod& pod) : pod_(&pod) { ++pod.connections; }
    Use(Use&& other) noexcept : pod_(std::exchange(other.pod_, nullptr)) {}
    Use& operator=(Use&& other) noexcept {
      std::swap(pod_, other.pod_);
      return *this;
    }
    ~Use() {
      if (pod_ != nullptr) --pod_->connections;
    }
    Pod* get() const { return pod_; }

   private:
    Pod* pod_ = nullptr;
  };

  // A new connection leads to `name`, which the gateway was free to choose among those that are not
  // in the way. Empty if it has no name.
  Use Connected(const std::string& name, absl::Duration now);
  // The gateway chose `name`, and nothing came of it. The name may be new.
  void ConnectFailed(const std::string& name, absl::Duration now);
  // What came of a request, as ClusterLoad has it of an endpoint. False: the pod is not known.
  // `outlier` null: nobody is ejected.
  bool Responded(const std::string& name, int status, const OutlierConfig* outlier,
                 const Attempt& attempt);
  bool FailedLocally(const std::string& name, LocalFailure failure, const OutlierConfig* outlier,
                     const Attempt& attempt);
  // Ends the interval of outlier detection, if it is over, and lets back in whose time it is.
  void Judge(const OutlierConfig* outlier, const Attempt& attempt);

  // Whom a new connection should not lead to, by commas: while not all of `fanout` pods are known,
  // those that are; else who has more than the fewest connections, or is ahead; and who is left
  // out.
  std::string Avoided(size_t fanout, absl::Duration now) const;
  // Whether another pod has had so many fewer requests that a new connection to it is better than
  // one that is idle to this one.
  bool Ahead(const Pod* pod, absl::Duration now) const {
    return pod != nullptr && pod->requests > FewestRequests(now) + kMostAhead;
  }
  // Whether there are pods, of `fanout`, that no connection leads to and nothing speaks against.
  bool MayFindMore(size_t fanout, absl::Duration now) const;
  // Not to be connected to. One that could not be reached is used by connections that are there.
  static bool LeftOut(const Pod* pod, absl::Duration now) {
    return pod != nullptr && (pod->load.outlier.ejected || pod->load.Failed(now));
  }
  // Not to be used at all; for want of another it is.
  bool Ejected(const Pod* pod) const {
    return pod != nullptr && pod->load.outlier.ejected && left() > 0;
  }

  bool known() const { return !pods_.empty(); }
  const OutlierCounters& outlier_counters() const { return counters_; }

 private:
  size_t left() const;
  uint64_t FewestRequests(absl::Duration now) const;
  void Forget();
  OutlierConfig SettingsOf(const OutlierConfig& outlier) const;
  OutlierDetector::Facts FactsAt(const Attempt& attempt) const;
  std::vector<OutlierState*> OutlierStates();

  std::map<std::string, Pod> pods_;
  absl::Duration settled_until_ = -absl::InfiniteDuration();
  OutlierDetector outliers_;
  OutlierCounters counters_;
};

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_POD_LOADS_H_
