// Fact: something that is true or false and may change; what it was lately. Invariants are about
// what is known of the world elsewhere, and knowledge may be late: they ask whether there was a
// moment, since some time, at which what is believed was so.
#ifndef WEFT_TEST_SIMULATION_FACTS_H_
#define WEFT_TEST_SIMULATION_FACTS_H_

#include "absl/time/time.h"

namespace weft::simulation {

class Fact {
 public:
  void Set(bool value, absl::Duration now) {
    if (value == value_) return;
    value_ = value;
    since_ = now;
  }
  bool value() const { return value_; }
  bool WasTrueSince(absl::Duration when) const { return value_ || since_ >= when; }
  bool WasFalseSince(absl::Duration when) const { return !value_ || since_ >= when; }

 private:
  bool value_ = false;
  // Long before all else: what was never set was always false.
  absl::Duration since_ = -absl::InfiniteDuration();
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_FACTS_H_
