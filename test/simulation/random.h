// Random: the one source of chance in a simulation. Equal seeds, equal choices, on any machine:
// std's distributions differ between libraries, so none is used.
#ifndef WEFT_TEST_SIMULATION_RANDOM_H_
#define WEFT_TEST_SIMULATION_RANDOM_H_

#include <cstdint>
#include <random>
#include <vector>

#include "absl/time/time.h"

namespace weft::simulation {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t Next() { return engine_(); }
  // In [0, limit); the bias of the remainder does not matter here.
  uint64_t Below(uint64_t limit) { return engine_() % limit; }
  bool Percent(uint64_t share) { return Below(100) < share; }
  // In whole microseconds.
  absl::Duration Between(absl::Duration least, absl::Duration most) {
    const auto range = static_cast<uint64_t>(absl::ToInt64Microseconds(most - least));
    return least + absl::Microseconds(static_cast<int64_t>(Below(range + 1)));
  }
  template <typename T>
  const T& Of(const std::vector<T>& choices) {
    return choices[Below(choices.size())];
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_RANDOM_H_
