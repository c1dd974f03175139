#include "test/simulation/simulation.h"

#include <cstdint>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "test/simulation/context.h"

namespace weft::simulation {
namespace {

// The same each time: others would be noise in CI. tools/simulate runs as many as one likes.
constexpr uint64_t kFirstSeed = 1;
constexpr uint64_t kSeeds = 200;

Result RunSeed(uint64_t seed) {
  Options options;
  options.seed = seed;
  return Simulate(options);
}

TEST(Simulation, TheInvariantsHold) {
  for (uint64_t seed = kFirstSeed; seed < kFirstSeed + kSeeds; ++seed) {
    const Result result = RunSeed(seed);
    ASSERT_EQ(result.failure, "");
    ASSERT_GT(result.messages, 100u) << "seed " << seed << " has nothing happen";
  }
}

TEST(Simulation, ASeedReplaysExactly) {
  for (uint64_t seed : {3, 4, 5}) {
    const Result one = RunSeed(seed);
    const Result other = RunSeed(seed);
    EXPECT_EQ(one.steps, other.steps);
    EXPECT_EQ(one.messages, other.messages);
    EXPECT_EQ(one.fingerprint, other.fingerprint);
  }
}

TEST(Simulation, ManyClusters) {
  Options options;
  options.seed = 50;
  options.clusters = 50;
  options.chaos = absl::Seconds(5);
  EXPECT_EQ(Simulate(options).failure, "");
}

}  // namespace
}  // namespace weft::simulation
