// What a pick costs, by policy, number of endpoints, and whether some of them are ill.
//   bazel run //proxy/decide:pick_endpoint_benchmark
#include <benchmark/benchmark.h>

#include "absl/strings/str_cat.h"
#include "proxy/decide/pick_endpoint.h"

namespace weft {
namespace {

enum Kind { kEqual, kWeighted, kTenthUnreachable };

ClusterConfig MakeCluster(LoadBalancing balancing, size_t endpoints, Kind kind) {
  auto set = std::make_shared<EndpointSet>();
  set->priorities.resize(1);
  LocalityConfig locality;
  locality.count = endpoints;
  set->priorities[0].localities.push_back(locality);
  for (size_t i = 0; i < endpoints; ++i) {
    EndpointConfig& one = set->endpoints.emplace_back();
    one.key = absl::StrCat("10.0.", i / 256, ".", i % 256, ":80");
    if (kind == kWeighted) one.weight = 1 + i % 7;
  }
  ClusterConfig cluster;
  cluster.balancing = balancing;
  cluster.endpoints = set;
  return cluster;
}

void Pick(benchmark::State& state, LoadBalancing balancing, Kind kind) {
  const ClusterConfig cluster = MakeCluster(balancing, state.range(0), kind);
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  const absl::Duration now = absl::Seconds(100);
  for (size_t i = 0; i < load.size(); ++i) {
    load.Responded(cluster, *load.at(i), 200, absl::Microseconds(1000 + i), {now});
    if (kind == kTenthUnreachable && i % 10 == 0) load.ConnectFailed(*load.at(i), now);
  }
  PickFacts facts;
  facts.now = now;
  for (auto _ : state) {
    facts.random = facts.random * 6364136223846793005u + 1442695040888963407u;
    benchmark::DoNotOptimize(PickEndpoint(cluster, load, facts));
  }
}

#define WEFT_PICK(name, balancing, kind) \
  BENCHMARK_CAPTURE(Pick, name, LoadBalancing::balancing, kind)->Arg(2)->Arg(10)->Arg(1000)
WEFT_PICK(round_robin, kRoundRobin, kEqual);
WEFT_PICK(random, kRandom, kEqual);
WEFT_PICK(least_request, kLeastRequest, kEqual);
WEFT_PICK(round_robin_weighted, kRoundRobin, kWeighted);
WEFT_PICK(least_request_weighted, kLeastRequest, kWeighted);
WEFT_PICK(least_request_a_tenth_unreachable, kLeastRequest, kTenthUnreachable);

// A pick right after something changed: all endpoints are looked at.
void PickAnew(benchmark::State& state) {
  const ClusterConfig cluster = MakeCluster(LoadBalancing::kLeastRequest, state.range(0), kEqual);
  ClusterLoad load;
  load.Adopt(cluster.endpoints);
  PickFacts facts;
  facts.now = absl::Seconds(100);
  for (auto _ : state) {
    load.ConnectFailed(*load.at(0), facts.now);
    load.ConnectSucceeded(*load.at(0));
    benchmark::DoNotOptimize(PickEndpoint(cluster, load, facts));
  }
}
BENCHMARK(PickAnew)->Arg(10)->Arg(1000);

}  // namespace
}  // namespace weft

BENCHMARK_MAIN();
