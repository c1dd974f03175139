// That the simulator sees harm: without any one of the defences an invariant breaks within few
// seeds. A simulation that passes whatever one takes away would prove nothing.
#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "test/simulation/context.h"
#include "test/simulation/simulation.h"

namespace weft::simulation {
namespace {

// A few times what each takes.
constexpr uint64_t kMostSeeds = 120;

struct Row {
  const char* missing;
  const char* shows;  // in the text of the failure; "": it may show in several ways
};

class WithoutADefence : public ::testing::TestWithParam<Row> {};

TEST_P(WithoutADefence, AnInvariantBreaks) {
  Options options;
  for (const NamedDefence& one : kDefences) {
    if (std::string(one.name) == GetParam().missing) options.defences.*one.defence = false;
  }
  for (options.seed = 1; options.seed <= kMostSeeds; ++options.seed) {
    const Result result = Simulate(options);
    if (result.failure.empty()) continue;
    EXPECT_NE(result.failure.find(GetParam().shows), std::string::npos) << result.failure;
    return;
  }
  FAIL() << "nobody noticed in " << kMostSeeds << " seeds";
}

INSTANTIATE_TEST_SUITE_P(Simulation, WithoutADefence,
                         ::testing::Values(Row{"hold_until_synced", "empty push"},
                                           Row{"check_sequence", ""}, Row{"drop_stale_epochs", ""},
                                           Row{"own_bundle_only", "that is not its own"},
                                           Row{"separate_bundles", "took a caller"},
                                           Row{"verify_identity", "took a caller"},
                                           Row{"export_check_at_gateway", "lets in a request"},
                                           Row{"snapshot_on_disk", "empty push"},
                                           Row{"rising_epochs", "no stream with"}),
                         [](const auto& info) { return std::string(info.param.missing); });

TEST(Defences, AreAllTriedHere) { EXPECT_EQ(std::size(kDefences), 9u); }

}  // namespace
}  // namespace weft::simulation
