// PeakEwma: how long an endpoint takes to answer, as a moving average that forgets slowly and is
// alarmed at once: a slower answer than expected is believed entirely, faster ones by and by.
//
// Without answers it falls too, so an endpoint that was slow is asked again after a while.
#ifndef WEFT_PROXY_DECIDE_PEAK_EWMA_H_
#define WEFT_PROXY_DECIDE_PEAK_EWMA_H_

#include <cmath>

#include "absl/time/time.h"

namespace weft {

class PeakEwma {
 public:
  // What is this old counts for a third (as in Finagle): long enough that an endpoint a hundred
  // times too slow is asked about once in 40 s, short enough that one that recovered is back soon.
  static constexpr double kDecaySeconds = 10;

  void Observe(absl::Duration latency, absl::Duration now) {
    const double sample = absl::ToDoubleSeconds(latency);
    const double at = absl::ToDoubleSeconds(now);
    const double kept = known() ? std::exp((at_ - at) / kDecaySeconds) : 0;
    seconds_ = sample > seconds_ * kept ? sample : seconds_ * kept + sample * (1 - kept);
    at_ = at;
  }

  bool known() const { return at_ >= 0; }
  // In seconds, as it stands at `now` (seconds, too).
  double At(double now) const {
    const double age = (now - at_) / kDecaySeconds;
    // Close to 0 the exponential is its tangent; nearly every pick of a busy endpoint is there.
    return seconds_ * (age < 0.01 ? 1 - age : std::exp(-age));
  }

 private:
  double seconds_ = 0;
  double at_ = -1;  // the last answer; below 0: there was none
};

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_PEAK_EWMA_H_
