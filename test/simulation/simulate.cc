// simulate: runs seeds of the simulation by hand, as many as are wanted.
//
//   simulate --seeds 10000 [--first N]   says which fail; exits 1 if any does
//   simulate --seed N                    one, telling all that happens
//   simulate --scale                     what 100 clusters of 1,000 exported services each cost
#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "test/simulation/scale.h"
#include "test/simulation/simulation.h"

namespace weft::simulation {
namespace {

constexpr uint64_t kProgress = 500;

int RunOne(uint64_t seed) {
  Options options;
  options.seed = seed;
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

int RunMany(uint64_t first, uint64_t seeds) {
  uint64_t failed = 0;
  for (uint64_t i = 0; i < seeds; ++i) {
    Options options;
    options.seed = first + i;
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
  fprintf(stderr, "simulate --seeds COUNT [--first SEED] | --seed SEED | --scale\n");
  return 2;
}

int Main(int argc, char** argv) {
  uint64_t first = 1;
  uint64_t seeds = 0;
  for (int i = 1; i < argc; ++i) {
    const absl::string_view flag = argv[i];
    if (flag == "--scale") return PrintScale();
    uint64_t value = 0;
    if (i + 1 >= argc || !absl::SimpleAtoi(argv[++i], &value)) return Usage();
    if (flag == "--seed") return RunOne(value);
    if (flag == "--seeds") {
      seeds = value;
    } else if (flag == "--first") {
      first = value;
    } else {
      return Usage();
    }
  }
  return seeds == 0 ? Usage() : RunMany(first, seeds);
}

}  // namespace
}  // namespace weft::simulation

int main(int argc, char** argv) { return weft::simulation::Main(argc, argv); }
