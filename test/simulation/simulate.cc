// simulate: runs seeds of the simulation by hand, as many as are wanted.
//
//   simulate --seeds 10000 [--first N]   says which fail; exits 1 if any does
//   simulate --seed N                    one, telling all that happens
//   simulate --without DEFENCE …         the same where a defence is missing (see context.h)
//   simulate --scale                     what 100 clusters of 1,000 exported services each cost
#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "test/simulation/context.h"
#include "test/simulation/scale.h"
#include "test/simulation/simulation.h"

namespace weft::simulation {
namespace {

constexpr uint64_t kProgress = 500;

int RunOne(uint64_t seed, const Defences& defences) {
  Options options;
  options.seed = seed;
  options.defences = defences;
  options.verbose = true;
  const Result result = Simulate(options);
  printf("seed %llu: %d clusters, %llu steps, %llu messages, fingerprint %016llx\n",
         static_cast<unsigned long long>(seed), result.clusters,
         static_cast<unsigned long long>(result.steps),
         static_cast<unsigned long long>(result.messages),
         static_cast<unsigned long long>(result.fingerprint));
  if (result.failure.empty()) return 0;
  printf("FAILED: %s\n", result.failure.c_str());
  return 1;
}

int RunMany(uint64_t first, uint64_t seeds, const Defences& defences) {
  uint64_t failed = 0;
  for (uint64_t i = 0; i < seeds; ++i) {
    Options options;
    options.seed = first + i;
    options.defences = defences;
    const Result result = Simulate(options);
    if (!result.failure.empty()) {
      ++failed;
      printf("FAILED: %s\n", result.failure.c_str());
    }
    if ((i + 1) % kProgress == 0) {
      printf("%llu seeds, %llu failed\n", static_cast<unsigned long long>(i + 1),
             static_cast<unsigned long long>(failed));
    }
    fflush(stdout);
  }
  printf("%llu seeds from %llu on: %llu failed\n", static_cast<unsigned long long>(seeds),
         static_cast<unsigned long long>(first), static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}

int Usage() {
  fprintf(stderr, "simulate [--without DEFENCE] --seeds COUNT [--first SEED] | --seed SEED\n"
                  "simulate --scale\ndefences:");
  for (const NamedDefence& one : kDefences) fprintf(stderr, " %s", one.name);
  fprintf(stderr, "\n");
  return 2;
}

bool SwitchOff(absl::string_view name, Defences& defences) {
  for (const NamedDefence& one : kDefences) {
    if (name != one.name) continue;
    defences.*one.defence = false;
    return true;
  }
  return false;
}

int Main(int argc, char** argv) {
  Defences defences;
  uint64_t first = 1;
  uint64_t seeds = 0;
  for (int i = 1; i < argc; ++i) {
    const absl::string_view flag = argv[i];
    if (flag == "--scale") return PrintScale();
    if (++i >= argc) return Usage();
    uint64_t value = 0;
    if (flag == "--without") {
      if (!SwitchOff(argv[i], defences)) return Usage();
    } else if (!absl::SimpleAtoi(argv[i], &value)) {
      return Usage();
    } else if (flag == "--seed") {
      return RunOne(value, defences);
    } else if (flag == "--seeds") {
      seeds = value;
    } else if (flag == "--first") {
      first = value;
    } else {
      return Usage();
    }
  }
  return seeds == 0 ? Usage() : RunMany(first, seeds, defences);
}

}  // namespace
}  // namespace weft::simulation

int main(int argc, char** argv) { return weft::simulation::Main(argc, argv); }
