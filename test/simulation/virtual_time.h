// VirtualTime: a clock that moves from event to event, and what is to happen when. Events at the
// same time happen in the order in which they were put in, so that a run is one sequence.
#ifndef WEFT_TEST_SIMULATION_VIRTUAL_TIME_H_
#define WEFT_TEST_SIMULATION_VIRTUAL_TIME_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "absl/time/time.h"

namespace weft::simulation {

class VirtualTime {
 public:
  // Since the start of the run; never goes back, whatever the clocks of the clusters do.
  absl::Duration now() const { return now_; }
  uint64_t steps() const { return steps_; }

  // In the past counts as now. An event may add others; it must know itself whether what it
  // concerns is still there.
  void At(absl::Duration when, std::function<void()> event) {
    events_.emplace(std::make_pair(std::max(when, now_), next_++), std::move(event));
  }
  void After(absl::Duration delay, std::function<void()> event) {
    At(now_ + delay, std::move(event));
  }
  // The next event; false if there is none until `end`.
  bool Step(absl::Duration end) {
    if (events_.empty() || events_.begin()->first.first > end) return false;
    auto first = events_.extract(events_.begin());
    now_ = first.key().first;
    ++steps_;
    first.mapped()();
    return true;
  }

 private:
  absl::Duration now_ = absl::ZeroDuration();
  uint64_t steps_ = 0;
  uint64_t next_ = 0;
  std::map<std::pair<absl::Duration, uint64_t>, std::function<void()>> events_;
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_VIRTUAL_TIME_H_
