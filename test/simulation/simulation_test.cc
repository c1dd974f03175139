#include "test/simulation/simulation.h"

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace weft::simulation {
namespace {

// Others every day would be noise in CI; tools/simulate runs as many as one likes.
constexpr uint64_t kFirstSeed = 1;
constexpr uint64_t kSeeds = 200;

Result RunSeed(uint64_t seed, const Defences& defences = {}) {
  Options options;
  options.seed = seed;
  options.defences = defences;
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

// The seeds that may pass before one of them shows that a defence is missing.
constexpr uint64_t kMostTries = 300;

struct Missing {
  const char* name;
  bool Defences::*defence;
  const char* shows;  // in the text of the failure
};

class WithoutADefence : public ::testing::TestWithParam<Missing> {};

TEST_P(WithoutADefence, AnInvariantBreaks) {
  Defences defences;
  defences.*GetParam().defence = false;
  for (uint64_t seed = kFirstSeed; seed < kFirstSeed + kMostTries; ++seed) {
    const Result result = RunSeed(seed, defences);
    if (result.failure.empty()) continue;
    EXPECT_NE(result.failure.find(GetParam().shows), std::string::npos) << result.failure;
    return;
  }
  FAIL() << "nobody noticed in " << kMostTries << " seeds";
}

INSTANTIATE_TEST_SUITE_P(
    Simulation, WithoutADefence,
    ::testing::Values(
        Missing{"HoldUntilSynced", &Defences::hold_until_synced, "empty push"},
        Missing{"CheckSequence", &Defences::check_sequence, "c"},
        Missing{"DropStaleEpochs", &Defences::drop_stale_epochs, "c"},
        Missing{"OwnBundleOnly", &Defences::own_bundle_only, "that is not its own"},
        Missing{"SeparateBundles", &Defences::separate_bundles, "took a caller"},
        Missing{"VerifyIdentity", &Defences::verify_identity, "took a caller"},
        Missing{"ExportCheckAtGateway", &Defences::export_check_at_gateway, "lets in a request"},
        Missing{"SnapshotOnDisk", &Defences::snapshot_on_disk, "empty push"},
        Missing{"RisingEpochs", &Defences::rising_epochs, "at the end"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace weft::simulation
