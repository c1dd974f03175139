#include "proxy/decide/pick_endpoint.h"

#include <algorithm>
#include <cmath>

#include "proxy/decide/choose_subset.h"
#include "proxy/decide/random.h"

namespace weft {
namespace {

// Times below this many seconds are all the same: such differences come from distance and from
// connections being made, not from an endpoint that is ill, and would send all requests of a quiet
// client to the nearest where no localities ask for that.
constexpr double kFastEnough = 0.020;

// Two endpoints whose times differ less than this are equally fast: the difference is noise, and
// going by it would send everything to one of them while little is under way.
constexpr double kSameSpeed = 1.25;
// Draws before all endpoints are looked at for one that was not tried yet.
constexpr int kDrawsForUntried = 3;
// Maglev slots that are probed for an endpoint that may be picked, each as likely as any other,
// before the table is walked: with a half of the endpoints gone, one request in 65,000 walks.
constexpr int kMaglevProbes = 16;

class Pick {
 public:
  Pick(const ClusterConfig& cluster, ClusterLoad& load, const PickFacts& facts, size_t view)
      : cluster_(cluster),
        load_(load),
        facts_(facts),
        view_(view),
        table_(load.Table(cluster, view, facts.zones, facts.now)),
        random_(facts.random) {}

  std::optional<size_t> Run() {
    // A key keeps its list too.
    const bool by_hash = UsesHash() && facts_.hash.has_value();
    uint64_t by_key = by_hash ? *facts_.hash : 0;
    const PickList* list = table_.ChooseList(NextRandom(by_hash ? by_key : random_));
    if (list == nullptr) return std::nullopt;
    uint32_t picked = ByPolicy(*list);
    for (int i = 1; Tried(picked); ++i) {
      if (i == kDrawsForUntried || by_hash) return Untried(picked);
      picked = list->Draw(NextRandom(random_));
    }
    return picked;
  }

  bool panic() const { return table_.panic(); }

 private:
  bool UsesHash() const {
    return cluster_.balancing == LoadBalancing::kRingHash ||
           cluster_.balancing == LoadBalancing::kMaglev;
  }

  uint32_t ByPolicy(const PickList& list) {
    if (list.members().size() == 1) return list.members()[0];
    switch (cluster_.balancing) {
      case LoadBalancing::kLeastRequest:
        return LeastLoaded(list);
      case LoadBalancing::kRoundRobin:
        return list.AtTurn(load_.NextTurn(facts_.random));
      case LoadBalancing::kRingHash:
      case LoadBalancing::kMaglev:
        if (facts_.hash.has_value()) return ByHash(list, *facts_.hash);
        break;
      case LoadBalancing::kRandom:
        break;
    }
    return list.Draw(NextRandom(random_));
  }

  // ---- Least request.

  // All are drawn by weight, the second from the others, and one that is not better than the first
  // does not win: so the shares of idle endpoints are their weights.
  uint32_t LeastLoaded(const PickList& list) {
    const double now = absl::ToDoubleSeconds(facts_.now);
    uint32_t best = list.Draw(NextRandom(random_));
    const uint32_t first = best;
    for (uint32_t choice = 1; choice < cluster_.options->choice_count; ++choice) {
      const uint32_t other = list.DrawOther(NextRandom(random_), first);
      if (Better(list, other, best, now)) best = other;
    }
    return best;
  }

  // Whether `a` is likely to be done sooner: by its time, for what it has under way and one more. A
  // heavier endpoint has as much under way when its part for its weight is as much.
  bool Better(const PickList& list, uint32_t a, uint32_t b, double now) const {
    double cost_a = load_.at(a)->active;
    double cost_b = load_.at(b)->active;
    double one = 1;
    if (!list.equal_weights()) {
      const auto weight_a = static_cast<double>(list.WeightOf(a));
      const auto weight_b = static_cast<double>(list.WeightOf(b));
      cost_a *= weight_b;
      cost_b *= weight_a;
      one = std::min(weight_a, weight_b);
    }
    const double bias = cluster_.options->active_request_bias;
    cost_a = bias == 1 ? cost_a + one : std::pow(cost_a / one + 1, bias);
    cost_b = bias == 1 ? cost_b + one : std::pow(cost_b / one + 1, bias);
    return cost_a * TimeRatio(a, b, now) < cost_b;
  }

  // How much slower `a` is than `b`; 1 if that is not known.
  double TimeRatio(uint32_t a, uint32_t b, double now) const {
    const PeakEwma& time_a = load_.at(a)->latency;
    const PeakEwma& time_b = load_.at(b)->latency;
    if (!time_a.known() || !time_b.known()) return 1;
    const double ratio =
        std::max(time_a.At(now), kFastEnough) / std::max(time_b.At(now), kFastEnough);
    return ratio < kSameSpeed && ratio * kSameSpeed > 1 ? 1 : ratio;
  }

  // ---- Hashes.

  bool MayTake(uint32_t endpoint, uint8_t conditions) const {
    return (table_.ConditionOf(endpoint) & conditions) != 0 && !Tried(endpoint);
  }

  const HashTable* HashTableOf(size_t priority) const {
    const HashTables& tables = view_ == 0 ? cluster_.endpoints->tables
                                          : cluster_.endpoints->subsets->list[view_ - 1].tables;
    return priority < tables.size() ? tables[priority].get() : nullptr;
  }

  uint32_t ByHash(const PickList& list, uint64_t hash) const {
    const HashTable* table = HashTableOf(list.priority());
    if (table == nullptr) return list.Draw(hash);
    return table->slots.empty() ? OnRing(*table, list, hash) : InSlots(*table, list, hash);
  }

  // The first that may be taken on the circle from the request's hash on.
  uint32_t OnRing(const HashTable& table, const PickList& list, uint64_t hash) const {
    const std::vector<HashTable::Place>& places = table.ring;
    const auto start = std::lower_bound(
        places.begin(), places.end(), hash,
        [](const HashTable::Place& place, uint64_t value) { return place.hash < value; });
    const size_t first = start - places.begin();
    for (size_t step = 0; step < places.size(); ++step) {
      const uint32_t endpoint = places[(first + step) % places.size()].endpoint;
      if (MayTake(endpoint, list.conditions())) return endpoint;
    }
    return list.Draw(hash);
  }

  // The slot of the hash; where that endpoint may not be taken, slots that follow from the hash, so
  // that its keys are spread over all the others.
  uint32_t InSlots(const HashTable& table, const PickList& list, uint64_t hash) const {
    uint64_t next = hash;
    uint64_t slot = hash % table.slots.size();
    for (int probe = 0; probe < kMaglevProbes; ++probe) {
      if (MayTake(table.slots[slot], list.conditions())) return table.slots[slot];
      slot = NextRandom(next) % table.slots.size();
    }
    for (size_t step = 0; step < table.slots.size(); ++step) {
      const uint32_t endpoint = table.slots[(slot + step) % table.slots.size()];
      if (MayTake(endpoint, list.conditions())) return endpoint;
    }
    return list.Draw(hash);
  }

  // ---- Retries.

  bool Tried(uint32_t endpoint) const {
    for (const std::shared_ptr<EndpointLoad>& tried : facts_.tried) {
      if (tried == load_.at(endpoint)) return true;
    }
    return false;
  }

  // One that was not tried, the nearest that is well; `otherwise` if there is none.
  uint32_t Untried(uint32_t otherwise) {
    const EndpointSet& set = *cluster_.endpoints;
    for (const uint8_t condition : {kWell, kWellDegraded}) {
      for (const PriorityConfig& priority : set.priorities) {
        const std::optional<uint32_t> found = UntriedOf(priority, condition);
        if (found.has_value()) return *found;
      }
    }
    return otherwise;
  }

  std::optional<uint32_t> UntriedOf(const PriorityConfig& priority, uint8_t condition) {
    std::optional<uint32_t> chosen;
    uint64_t total = 0;
    for (const LocalityConfig& locality : priority.localities) {
      for (size_t i = locality.first; i < locality.first + locality.count; ++i) {
        if (!MayTake(static_cast<uint32_t>(i), condition)) continue;
        // Each takes the place of those before it by its part of the weight so far.
        const uint64_t weight = cluster_.endpoints->endpoints[i].weight;
        total += weight;
        if (NextRandom(random_) % total < weight) chosen = static_cast<uint32_t>(i);
      }
    }
    return chosen;
  }

  const ClusterConfig& cluster_;
  ClusterLoad& load_;
  const PickFacts& facts_;
  const size_t view_;
  const PickTable& table_;
  uint64_t random_;
};

}  // namespace

PickedEndpoint PickEndpointWithReason(const ClusterConfig& cluster, ClusterLoad& load,
                                      const PickFacts& facts) {
  PickedEndpoint picked;
  if (cluster.endpoints->endpoints.empty()) return picked;
  load.Adopt(cluster.endpoints, facts.now);
  load.JudgeOutliers(cluster, {facts.now, facts.random});
  size_t view = 0;
  if (cluster.subsets != nullptr) {
    const SubsetChoice choice = ChooseSubset(cluster, facts.subset);
    if (!choice.view.has_value()) return picked;
    view = *choice.view;
    picked.subset =
        choice.fallback ? PickedEndpoint::Subset::kFallback : PickedEndpoint::Subset::kSelected;
  }
  Pick pick(cluster, load, facts, view);
  picked.index = pick.Run();
  picked.panic = pick.panic();
  return picked;
}

}  // namespace weft
