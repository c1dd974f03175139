#include "proxy/decide/pick_endpoint.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "proxy/decide/priority_load.h"

namespace weft {
namespace {

// Lower is better; the sum of what speaks against an endpoint.
enum Rank : uint8_t { kUsable = 0, kStatedUnhealthy = 1, kTried = 2, kUnreachable = 4 };
constexpr uint8_t kWorstRank = kStatedUnhealthy + kTried + kUnreachable;

using Candidates = absl::InlinedVector<uint32_t, 32>;  // indices of endpoints

// Further numbers out of the one random argument (splitmix64).
uint64_t Next(uint64_t& random) {
  uint64_t z = random += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

class Pick {
 public:
  Pick(const ClusterConfig& cluster, ClusterLoad& load, const PickFacts& facts)
      : cluster_(cluster),
        set_(*cluster.endpoints),
        load_(load),
        facts_(facts),
        random_(facts.random) {}

  std::optional<size_t> Run() {
    RankAll();
    const PriorityLoad shares = SharePriorities(health_, set_.overprovisioning_factor);
    ApplyPanic(shares);
    const uint8_t best = BestRank();
    if (best > kWorstRank) return std::nullopt;
    Candidates candidates = OfPriority(ChoosePriority(shares, best), best);
    return ChooseByPolicy(candidates);
  }

 private:
  void RankAll() {
    ranks_.resize(set_.endpoints.size());
    for (const PriorityConfig& priority : set_.priorities) {
      PriorityHealth health;
      for (const LocalityConfig& locality : priority.localities) RankLocality(locality, health);
      health_.push_back(health);
    }
  }

  void RankLocality(const LocalityConfig& locality, PriorityHealth& health) {
    for (size_t i = locality.first; i < locality.first + locality.count; ++i) {
      const EndpointConfig& endpoint = set_.endpoints[i];
      const EndpointLoad& load = *load_.at(i);
      uint8_t rank = kUsable;
      if (endpoint.health != EndpointHealth::kHealthy) rank += kStatedUnhealthy;
      if (load.Failed(facts_.now)) rank += kUnreachable;
      if (rank == kUsable) health.healthy += endpoint.fanout;
      health.total += endpoint.fanout;
      if (Tried(&load)) rank += kTried;
      ranks_[i] = rank;
    }
  }

  bool Tried(const EndpointLoad* load) const {
    for (const std::shared_ptr<EndpointLoad>& tried : facts_.tried) {
      if (tried.get() == load) return true;
    }
    return false;
  }

  // In panic, better any endpoint than all requests on the few that are stated healthy. What this
  // worker found unreachable itself stays so: that is no statement. Without panic, endpoints stated
  // unhealthy are not to be picked at all if the threshold is 0.
  void ApplyPanic(const PriorityLoad& shares) {
    for (size_t p = 0; p < set_.priorities.size(); ++p) {
      const uint64_t stated = StatedHealthy(p);
      const bool panic = shares.short_of_health &&
                         stated * 100 < health_[p].total * cluster_.panic_threshold_percent;
      if (!panic && cluster_.panic_threshold_percent != 0) continue;
      ForEach(p, [&](size_t i) {
        if ((ranks_[i] & kStatedUnhealthy) == 0) return;
        ranks_[i] = panic ? ranks_[i] - kStatedUnhealthy : kWorstRank + 1;
      });
    }
  }

  uint64_t StatedHealthy(size_t priority) const {
    uint64_t healthy = 0;
    ForEach(priority, [&](size_t i) {
      const EndpointConfig& endpoint = set_.endpoints[i];
      if (endpoint.health == EndpointHealth::kHealthy) healthy += endpoint.fanout;
    });
    return healthy;
  }

  uint8_t BestRank() const {
    uint8_t best = kWorstRank + 1;
    for (size_t p = 0; p < set_.priorities.size(); ++p) {
      ForEach(p, [&](size_t i) { best = std::min(best, ranks_[i]); });
    }
    return best;
  }

  // By their shares, among the priorities that have an endpoint of this rank; the nearest of them
  // if their shares are nothing.
  size_t ChoosePriority(const PriorityLoad& shares, uint8_t rank) {
    absl::InlinedVector<uint32_t, 4> percent = shares.percent;
    uint64_t total = 0;
    size_t nearest = set_.priorities.size();
    for (size_t p = 0; p < set_.priorities.size(); ++p) {
      bool has_one = false;
      ForEach(p, [&](size_t i) { has_one |= ranks_[i] == rank; });
      if (!has_one) percent[p] = 0;
      if (has_one && nearest == set_.priorities.size()) nearest = p;
      total += percent[p];
    }
    if (total == 0) return nearest;
    uint64_t place = Next(random_) % total;
    for (size_t p = 0; p < percent.size(); ++p) {
      if (place < percent[p]) return p;
      place -= percent[p];
    }
    return nearest;
  }

  Candidates OfPriority(size_t priority, uint8_t rank) {
    Candidates candidates;
    if (cluster_.locality_weighted) {
      if (const LocalityConfig* locality = ChooseLocality(priority, rank)) {
        Collect(*locality, rank, candidates);
        return candidates;
      }
    }
    for (const LocalityConfig& locality : set_.priorities[priority].localities) {
      Collect(locality, rank, candidates);
    }
    return candidates;
  }

  void Collect(const LocalityConfig& locality, uint8_t rank, Candidates& candidates) const {
    for (size_t i = locality.first; i < locality.first + locality.count; ++i) {
      if (ranks_[i] == rank) candidates.push_back(static_cast<uint32_t>(i));
    }
  }

  // A locality keeps its weight until fewer of its endpoints are left than the overprovisioning
  // factor makes up for; below, it shrinks in proportion.
  uint64_t EffectiveWeight(const LocalityConfig& locality, uint8_t rank) const {
    Candidates left;
    Collect(locality, rank, left);
    if (left.empty()) return 0;
    const uint64_t percent =
        std::min<uint64_t>(100, left.size() * set_.overprovisioning_factor / locality.count);
    return locality.weight * percent;
  }

  const LocalityConfig* ChooseLocality(size_t priority, uint8_t rank) {
    const std::vector<LocalityConfig>& localities = set_.priorities[priority].localities;
    uint64_t total = 0;
    for (const LocalityConfig& one : localities) total += EffectiveWeight(one, rank);
    if (total == 0) return nullptr;
    uint64_t place = Next(random_) % total;
    for (const LocalityConfig& one : localities) {
      const uint64_t weight = EffectiveWeight(one, rank);
      if (place < weight) return &one;
      place -= weight;
    }
    return nullptr;
  }

  uint32_t ChooseByPolicy(const Candidates& candidates) {
    if (candidates.size() == 1) return candidates[0];
    switch (cluster_.balancing) {
      case LoadBalancing::kLeastRequest:
        return LeastLoaded(candidates);
      case LoadBalancing::kRandom:
        return ByWeight(candidates, Next(random_), kNobody);
      case LoadBalancing::kRingHash:
      case LoadBalancing::kMaglev:
        if (facts_.hash && cluster_.ring != nullptr) return OnRing(candidates, *facts_.hash);
        return ByTurn(candidates);
      case LoadBalancing::kRoundRobin:
        return ByTurn(candidates);
    }
    return candidates[0];
  }

  // Power of two choices. Both are drawn by weight, the second from the others, and the one with
  // fewer requests for its weight wins; the first if they are equal, so that the shares of idle
  // endpoints are their weights.
  uint32_t LeastLoaded(const Candidates& candidates) {
    const uint32_t a = ByWeight(candidates, Next(random_), kNobody);
    const uint32_t b = ByWeight(candidates, Next(random_), a);
    const uint64_t load_a = uint64_t{load_.at(a)->active} * Weight(b);
    const uint64_t load_b = uint64_t{load_.at(b)->active} * Weight(a);
    return load_b < load_a ? b : a;
  }

  uint64_t Weight(uint32_t endpoint) const { return set_.endpoints[endpoint].weight; }

  static constexpr uint32_t kNobody = ~0u;

  // The candidate in whose share of the total weight `number` falls, leaving out one.
  uint32_t ByWeight(const Candidates& candidates, uint64_t number, uint32_t without) const {
    uint64_t total = 0;
    for (uint32_t i : candidates) total += i == without ? 0 : Weight(i);
    uint64_t place = number % total;
    for (uint32_t i : candidates) {
      if (i == without) continue;
      if (place < Weight(i)) return i;
      place -= Weight(i);
    }
    return candidates[0];
  }

  // Equal weights: one after the other. Else the turn steps through the total weight by about the
  // golden ratio of it, which spreads the turns of each endpoint evenly, and meets every place once
  // in a cycle since step and total have no common divisor.
  uint32_t ByTurn(const Candidates& candidates) {
    const uint64_t turn = load_.NextTurn();
    const uint64_t weight = Weight(candidates[0]);
    uint64_t total = 0;
    bool equal = true;
    for (uint32_t i : candidates) {
      total += Weight(i);
      equal &= Weight(i) == weight;
    }
    if (equal) return candidates[turn % candidates.size()];
    auto step = static_cast<uint64_t>(static_cast<double>(total) * 0.6180339887498949);
    while (std::gcd(step, total) != 1) ++step;
    return ByWeight(candidates, (turn % total) * step, kNobody);
  }

  // The first candidate on the circle from the request's hash on.
  uint32_t OnRing(const Candidates& candidates, uint64_t hash) const {
    const std::vector<HashRing::Place>& places = cluster_.ring->places;
    auto start = std::lower_bound(
        places.begin(), places.end(), hash,
        [](const HashRing::Place& place, uint64_t value) { return place.hash < value; });
    const size_t first = start - places.begin();
    for (size_t step = 0; step < places.size(); ++step) {
      const uint32_t endpoint = places[(first + step) % places.size()].endpoint;
      if (std::binary_search(candidates.begin(), candidates.end(), endpoint)) return endpoint;
    }
    return candidates[0];
  }

  template <typename Visit>
  void ForEach(size_t priority, Visit visit) const {
    for (const LocalityConfig& locality : set_.priorities[priority].localities) {
      for (size_t i = locality.first; i < locality.first + locality.count; ++i) visit(i);
    }
  }

  const ClusterConfig& cluster_;
  const EndpointSet& set_;
  ClusterLoad& load_;
  const PickFacts& facts_;
  uint64_t random_;
  absl::InlinedVector<uint8_t, 64> ranks_;  // by endpoint
  absl::InlinedVector<PriorityHealth, 4> health_;
};

}  // namespace

std::optional<size_t> PickEndpoint(const ClusterConfig& cluster, ClusterLoad& load,
                                   const PickFacts& facts) {
  if (cluster.endpoints->endpoints.empty()) return std::nullopt;
  load.Adopt(cluster.endpoints);
  return Pick(cluster, load, facts).Run();
}

}  // namespace weft
