// Context: what everything in one run shares: the options, time, chance, and the verdict.
#ifndef WEFT_TEST_SIMULATION_CONTEXT_H_
#define WEFT_TEST_SIMULATION_CONTEXT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "test/simulation/journal.h"
#include "test/simulation/random.h"
#include "test/simulation/virtual_time.h"

namespace weft::simulation {

// What keeps a mesh of clusters from harm. Each can be switched off, by what the simulator puts
// around the real code, to prove that without it the invariants do not hold.
struct Defences {
  // What a peer exported before holds until a new stream has said everything.
  bool hold_until_synced = true;
  // Messages whose sequence does not rise by one are not believed.
  bool check_sequence = true;
  // What an earlier start of a peer's weftd says is not believed.
  bool drop_stale_epochs = true;
  // A peer speaks of the roots of its own trust domain only.
  bool own_bundle_only = true;
  // Roots vouch for identities of their own trust domain only.
  bool separate_bundles = true;
  // Whoever dials must prove its identity.
  bool verify_identity = true;
  // A gateway lets in only what is for an exported service.
  bool export_check_at_gateway = true;
  // What is known of peers survives a restart on disk.
  bool snapshot_on_disk = true;
  // A start's epoch is above that of every start before, whatever the clock says.
  bool rising_epochs = true;
};

struct NamedDefence {
  const char* name;
  bool Defences::*defence;
};
inline constexpr NamedDefence kDefences[] = {
    {"hold_until_synced", &Defences::hold_until_synced},
    {"check_sequence", &Defences::check_sequence},
    {"drop_stale_epochs", &Defences::drop_stale_epochs},
    {"own_bundle_only", &Defences::own_bundle_only},
    {"separate_bundles", &Defences::separate_bundles},
    {"verify_identity", &Defences::verify_identity},
    {"export_check_at_gateway", &Defences::export_check_at_gateway},
    {"snapshot_on_disk", &Defences::snapshot_on_disk},
    {"rising_epochs", &Defences::rising_epochs},
};

struct Options {
  uint64_t seed = 0;
  int clusters = 0;  // 0: as the seed has it, mostly 3 to 5
  absl::Duration chaos = absl::Seconds(60);
  bool verbose = false;
  Defences defences = {};
};

struct Context {
  explicit Context(Options given)
      : options(given), random(given.seed), journal(time, given.verbose) {}

  const Defences& defences() const { return options.defences; }
  // The first one counts; the run ends with it.
  template <typename... Parts>
  void Fail(const Parts&... parts) {
    if (failure.has_value()) return;
    journal.Note("FAILED ", parts...);
    failure = absl::StrCat("seed ", options.seed, ", step ", time.steps(), ", at ",
                           absl::FormatDuration(time.now()), ": ", parts..., "\n  ",
                           absl::StrJoin(journal.lines(), "\n  "));
  }

  const Options options;
  Random random;
  VirtualTime time;
  Journal journal;
  std::optional<std::string> failure;
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_CONTEXT_H_
