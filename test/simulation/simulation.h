// Runs one seed from start to verdict.
#ifndef WEFT_TEST_SIMULATION_SIMULATION_H_
#define WEFT_TEST_SIMULATION_SIMULATION_H_

#include <cstdint>
#include <string>

#include "test/simulation/context.h"

namespace weft::simulation {

struct Result {
  std::string failure;  // empty: every invariant held; else what broke, and what happened before
  int clusters = 0;
  uint64_t steps = 0;
  uint64_t messages = 0;
  // Of all that happened, in order: equal seeds, equal fingerprints.
  uint64_t fingerprint = 0;
};

Result Simulate(const Options& options);

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_SIMULATION_H_
