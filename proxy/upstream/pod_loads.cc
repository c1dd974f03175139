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
  } else if (at->second.connections > 0) {
    settled_until_ = now + kSettled;
  }
  at->second.load.NoteSuccess();
  Use use(at->second);
  Forget();  // not this one, which has a connection now
  return use;
}

void PodLoads::ConnectFailed(const std::string& name, absl::Duration now) {
  if (name.empty()) return;
  pods_[name].load.NoteFailure(now);
  Forget();
}

// One that is ejected stays, lest it be taken for a new one.
void PodLoads::Forget() {
  if (pods_.size() <= kMostForgotten) return;
  std::erase_if(pods_, [](const auto& one) {
    return one.second.connections == 0 && !one.second.load.outlier.ejected;
  });
}

// Connected to, and not ejected.
size_t PodLoads::left() const {
  return static_cast<size_t>(std::count_if(pods_.begin(), pods_.end(), [](const auto& one) {
    return one.second.connections > 0 && !one.second.load.outlier.ejected;
  }));
}

uint64_t PodLoads::FewestRequests(absl::Duration now) const {
  uint64_t fewest = std::numeric_limits<uint64_t>::max() - kMostAhead;
  for (const auto& [name, pod] : pods_) {
    if (pod.connections > 0 && !LeftOut(&pod, now)) fewest = std::min(fewest, pod.requests);
  }
  return fewest;
}

bool PodLoads::MayFindMore(size_t fanout, absl::Duration now) const {
  if (now < settled_until_) return false;
  const auto found = std::count_if(pods_.begin(), pods_.end(), [&](const auto& one) {
    return one.second.connections > 0 || LeftOut(&one.second, now);
  });
  return static_cast<size_t>(found) < fanout;
}

std::string PodLoads::Avoided(size_t fanout, absl::Duration now) const {
  const bool find_more = MayFindMore(fanout, now);
  size_t fewest = std::numeric_limits<size_t>::max();
  for (const auto& [name, pod] : pods_) {
    if (pod.connections > 0 && !LeftOut(&pod, now)) fewest = std::min(fewest, pod.connections);
  }
  std::string avoided;
  for (const auto& [name, pod] : pods_) {
    const bool enough =
        pod.connections > 0 && (find_more || pod.connections > fewest || Ahead(&pod, now));
    if (!enough && !LeftOut(&pod, now)) continue;
    absl::StrAppend(&avoided, avoided.empty() ? "" : ",", name);
  }
  return avoided;
}

// ---- Outlier detection.

// One may always be ejected, as long as there is another: few clusters have so many pods that a
// tenth of them is one.
OutlierConfig PodLoads::SettingsOf(const OutlierConfig& outlier) const {
  OutlierConfig settings = outlier;
  settings.always_eject_one_host = left() > 1;
  if (left() <= 1) settings.max_ejection_percent = 0;
  return settings;
}

OutlierDetector::Facts PodLoads::FactsAt(const Attempt& attempt) const {
  // Who is ejected may have no connection, but belongs to those of which a part may be ejected.
  const auto pods = std::count_if(pods_.begin(), pods_.end(), [](const auto& one) {
    return one.second.connections > 0 || one.second.load.outlier.ejected;
  });
  return {attempt.now, attempt.random, static_cast<size_t>(pods)};
}

std::vector<OutlierState*> PodLoads::OutlierStates() {
  std::vector<OutlierState*> states;
  states.reserve(pods_.size());
  for (auto& [name, pod] : pods_) states.push_back(&pod.load.outlier);
  return states;
}

bool PodLoads::Responded(const std::string& name, int status, const OutlierConfig* outlier,
                         const Attempt& attempt) {
  const auto found = pods_.find(name);
  if (found == pods_.end()) return false;
  if (outlier == nullptr) return true;
  outliers_.OnResponse(SettingsOf(*outlier), FactsAt(attempt), status, found->second.load.outlier,
                       counters_);
  return true;
}

bool PodLoads::FailedLocally(const std::string& name, LocalFailure failure,
                             const OutlierConfig* outlier, const Attempt& attempt) {
  const auto found = pods_.find(name);
  if (found == pods_.end()) return false;
  if (outlier == nullptr) return true;
  outliers_.OnLocalFailure(SettingsOf(*outlier), FactsAt(attempt), failure,
                           found->second.load.outlier, counters_);
  return true;
}

void PodLoads::Judge(const OutlierConfig* outlier, const Attempt& attempt) {
  if (outlier == nullptr) {
    if (outliers_.ejected() > 0) outliers_.Forget(OutlierStates(), counters_);
    return;
  }
  if (!outliers_.Due(attempt.now)) return;
  outliers_.Judge(SettingsOf(*outlier), FactsAt(attempt), OutlierStates(), counters_);
}

}  // namespace weft
