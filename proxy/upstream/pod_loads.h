// PodLoads: what a pool knows of the pods behind one gateway, by the names that the gateway gives
// them: how many connections lead to each, how many requests each has had, and which are to be left
// out for a while since they failed.
//
// Pure but for the uses it hands out; one worker's.
#ifndef WEFT_PROXY_UPSTREAM_POD_LOADS_H_
#define WEFT_PROXY_UPSTREAM_POD_LOADS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "proxy/config/outlier_config.h"

namespace weft {

class PodLoads {
 public:
  // How long the gateway is believed that it has no other pods than those that are known.
  static constexpr absl::Duration kSettled = absl::Seconds(5);
  // Requests that a pod may have had more than another one.
  static constexpr uint64_t kMostAhead = 4;
  // Names that are remembered although no connection leads there any more.
  static constexpr size_t kMostForgotten = 256;

  struct Pod {
    size_t connections = 0;
    uint64_t requests = 0;
    uint32_t failures = 0;   // in a row
    uint32_t ejections = 0;  // each time it is for longer
    absl::Duration ejected_until = -absl::InfiniteDuration();
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
  // Whom a new connection should not lead to, by commas: while not all of `fanout` pods are known,
  // those that are; else who has more than the fewest connections, or is ahead; and who is left
  // out.
  std::string Avoided(size_t fanout, absl::Duration now) const;
  // Whether another pod has had so many fewer requests that a new connection to it is better than
  // one that is idle to this one.
  bool Ahead(const Pod* pod, absl::Duration now) const {
    return pod != nullptr && pod->requests > FewestRequests(now) + kMostAhead;
  }
  // Whether there are pods, of `fanout`, that no connection leads to.
  bool MayFindMore(size_t fanout, absl::Duration now) const;
  bool Ejected(const Pod* pod, absl::Duration now) const {
    return pod != nullptr && now < pod->ejected_until;
  }

  // See Pool::Report. `outlier` null: nobody is left out.
  bool Report(const std::string& name, bool failed, const OutlierConfig* outlier,
              absl::Duration now);

  bool known() const { return !pods_.empty(); }

 private:
  size_t connected() const;
  uint64_t FewestRequests(absl::Duration now) const;
  void Forget();

  std::map<std::string, Pod> pods_;
  absl::Duration settled_until_ = -absl::InfiniteDuration();
};

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_POD_LOADS_H_
