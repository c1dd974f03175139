#include "proxy/upstream/pod_loads.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"

namespace weft {

PodLoads::Use PodLoads::Connected(const std::string& name, absl::Duration now) {
  if (name.empty()) return Use();
  const auto [at, is_new] = pods_.try_emplace(name);
  if (is_new) {
    // From now on it has its share; it has nothing to catch up with.
    uint64_t fewest = std::numeric_limits<uint64_t>::max();
    for (const auto& [other, pod] : pods_) {
      if (other != name && pod.connections > 0) fewest = std::min(fewest, pod.requests);
    }
    if (fewest != std::numeric_limits<uint64_t>::max()) at->second.requests = fewest;
    Forget();
  } else if (at->second.connections > 0) {
    settled_until_ = now + kSettled;
  }
  return Use(at->second);
}

void PodLoads::Forget() {
  if (pods_.size() <= kMostForgotten) return;
  std::erase_if(pods_, [](const auto& one) { return one.second.connections == 0; });
}

size_t PodLoads::connected() const {
  return static_cast<size_t>(std::count_if(
      pods_.begin(), pods_.end(), [](const auto& one) { return one.second.connections > 0; }));
}

uint64_t PodLoads::FewestRequests(absl::Duration now) const {
  uint64_t fewest = std::numeric_limits<uint64_t>::max() - kMostAhead;
  for (const auto& [name, pod] : pods_) {
    if (pod.connections > 0 && now >= pod.ejected_until) fewest = std::min(fewest, pod.requests);
  }
  return fewest;
}

bool PodLoads::MayFindMore(size_t fanout, absl::Duration now) const {
  return now >= settled_until_ && connected() < fanout;
}

std::string PodLoads::Avoided(size_t fanout, absl::Duration now) const {
  const bool find_more = MayFindMore(fanout, now);
  size_t fewest = std::numeric_limits<size_t>::max();
  for (const auto& [name, pod] : pods_) {
    if (pod.connections > 0 && now >= pod.ejected_until) fewest = std::min(fewest, pod.connections);
  }
  std::string avoided;
  for (const auto& [name, pod] : pods_) {
    const bool enough =
        pod.connections > 0 && (find_more || pod.connections > fewest || Ahead(&pod, now));
    if (!enough && now >= pod.ejected_until) continue;
    absl::StrAppend(&avoided, avoided.empty() ? "" : ",", name);
  }
  return avoided;
}

bool PodLoads::Report(const std::string& name, bool failed, const OutlierConfig* outlier,
                      absl::Duration now) {
  const auto found = pods_.find(name);
  if (name.empty() || found == pods_.end()) return false;
  Pod& pod = found->second;
  if (!failed) {
    pod.failures = 0;
    return true;
  }
  ++pod.failures;
  if (outlier == nullptr || pod.failures < outlier->consecutive_5xx) return true;
  const auto ejected = static_cast<size_t>(std::count_if(
      pods_.begin(), pods_.end(), [&](const auto& one) { return now < one.second.ejected_until; }));
  // One may always be left out, as long as there is another.
  const size_t most = std::max<size_t>(1, connected() * outlier->max_ejection_percent / 100);
  if (now < pod.ejected_until || ejected >= most || connected() < 2) return true;
  pod.failures = 0;
  ++pod.ejections;
  pod.ejected_until =
      now + std::min(outlier->base_ejection_time * pod.ejections, outlier->max_ejection_time);
  return true;
}

}  // namespace weft
