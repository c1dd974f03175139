#include "proxy/decide/pick_table.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "proxy/decide/cluster_load.h"
#include "proxy/decide/random.h"

namespace weft {
namespace {

// Weights are multiplied by this while some endpoint starts slowly, so that its part of them is a
// whole number.
constexpr uint64_t kSlowStartScale = 100;
// A slow start moves in about as many steps, none shorter than the second.
constexpr int kSlowStartSteps = 100;
constexpr absl::Duration kShortestStep = absl::Milliseconds(10);
// A percent of all requests, in the units of PickTable's shares. 100 of them fit in 32 bits.
constexpr double kPercent = 1e6;

// The part of its weight that an endpoint gets `age` after its start.
double SlowStartFactor(const SlowStart& config, absl::Duration age) {
  // Envoy's: never younger than a second, or the first request would be long in coming.
  const double part = absl::FDivDuration(std::max(age, absl::Seconds(1)), config.window);
  const double factor = config.aggression == 1 ? part : std::pow(part, 1 / config.aggression);
  return std::min(1.0, std::max(config.min_weight, factor));
}

}  // namespace

// ---- One list.

size_t PickList::PlaceOf(uint64_t random) const {
  if (upto_.empty()) return Below(static_cast<uint32_t>(members_.size()), random);
  return PlaceOfWeight(random % upto_.back());
}

size_t PickList::PlaceOfWeight(uint64_t weight) const {
  return std::upper_bound(upto_.begin(), upto_.end(), weight) - upto_.begin();
}

uint64_t PickList::WeightOf(uint32_t endpoint) const {
  if (upto_.empty()) return 1;
  const auto found = std::lower_bound(members_.begin(), members_.end(), endpoint);
  const size_t place = found - members_.begin();
  return place == 0 ? upto_[0] : upto_[place] - upto_[place - 1];
}

uint32_t PickList::DrawOther(uint64_t random, uint32_t other) const {
  const auto found = std::lower_bound(members_.begin(), members_.end(), other);
  const size_t place = found - members_.begin();
  if (upto_.empty()) {
    const size_t drawn = Below(static_cast<uint32_t>(members_.size() - 1), random);
    return members_[drawn < place ? drawn : drawn + 1];
  }
  const uint64_t before = place == 0 ? 0 : upto_[place - 1];
  const uint64_t weight = upto_[place] - before;
  const uint64_t drawn = random % (upto_.back() - weight);
  return members_[PlaceOfWeight(drawn < before ? drawn : drawn + weight)];
}

uint32_t PickList::AtTurn(uint64_t turn) const {
  if (upto_.empty()) return members_[turn % members_.size()];
  const uint64_t total = upto_.back();
  // 128 bits: weights of 32 bits make totals whose product with a step has more than 64.
  const auto place = static_cast<unsigned __int128>(turn % total) * step_ % total;
  return members_[PlaceOfWeight(static_cast<uint64_t>(place))];
}

// ---- The table.

struct PickTable::Builder {
  Builder(const ClusterConfig& cluster, const ClusterLoad& load, size_t view,
          const LocalZones* zones, absl::Duration now, PickTable& to)
      : cluster(cluster),
        set(*cluster.endpoints),
        load(load),
        options(*cluster.options),
        subset(view == 0 ? nullptr : &set.subsets->list[view - 1]),
        zones(zones),
        now(now),
        to(to) {}

  void Build() {
    NoteConditions();
    CountHealth();
    const PriorityLoad shares = SharePriorities(health, set.overprovisioning_factor);
    for (size_t p = 0; p < set.priorities.size(); ++p) AddPriority(p, shares);
    if (total_share == 0) AddForWantOfBetter();
  }

  // ---- What is known.

  void NoteConditions() {
    to.conditions_.assign(set.endpoints.size(), 0);
    if (subset == nullptr) {
      for (uint32_t i = 0; i < set.endpoints.size(); ++i) Note(i);
    } else {
      for (const uint32_t i : subset->members) Note(i);
    }
  }

  void Note(uint32_t i) {
    const EndpointConfig& endpoint = set.endpoints[i];
    const EndpointLoad& known = *load.at(i);
    const bool out = IsUnhealthy(endpoint) || known.outlier.ejected;
    const bool unreachable = known.Failed(now);
    if (unreachable) to.valid_until_ = std::min(to.valid_until_, known.failed_until);
    if (out) {
      to.conditions_[i] = unreachable ? kUnreachableOut : kOut;
    } else if (unreachable) {
      to.conditions_[i] = kUnreachable;
    } else {
      to.conditions_[i] = IsDegraded(endpoint) ? kWellDegraded : kWell;
    }
    if (SlowStarts() && now - known.since < options.slow_start.window) {
      starting = true;
      const absl::Duration step =
          std::max(options.slow_start.window / kSlowStartSteps, kShortestStep);
      to.valid_until_ = std::min(to.valid_until_, now + step);
    }
  }

  bool SlowStarts() const {
    return options.slow_start.window > absl::ZeroDuration() &&
           (cluster.balancing == LoadBalancing::kRoundRobin ||
            cluster.balancing == LoadBalancing::kLeastRequest);
  }

  void CountHealth() {
    health.resize(set.priorities.size());
    stated.resize(set.priorities.size());
    for (size_t p = 0; p < set.priorities.size(); ++p) {
      ForEach(set.priorities[p], [&](uint32_t i) {
        const uint64_t weight = set.endpoints[i].fanout;
        const uint8_t condition = to.conditions_[i];
        if (condition == kWell) health[p].healthy += weight;
        if (condition == kWellDegraded) health[p].degraded += weight;
        if (condition < kOut || condition == kUnreachable) stated[p] += weight;
        health[p].total += weight;
      });
    }
  }

  // ---- The lists.

  // In panic, better any endpoint than all requests on the few that are healthy. What this worker
  // found unreachable itself stays so: that is no statement.
  void AddPriority(size_t p, const PriorityLoad& shares) {
    const uint32_t percent = shares.percent[p] + shares.degraded[p];
    if (percent == 0) return;
    const bool panic = shares.short_of_health &&
                       stated[p] * 100 < health[p].total * cluster.panic_threshold_percent;
    if (panic) {
      to.panic_ = true;
      const bool fail = options.zone_aware.has_value() && options.zone_aware->fail_on_panic;
      if (fail && zones != nullptr) return;
      AddList(p, Members(p, kWell | kWellDegraded | kOut), kWell | kWellDegraded | kOut,
              percent * kPercent);
      return;
    }
    AddLocalities(p, kWell, shares.percent[p] * kPercent);
    AddLocalities(p, kWellDegraded, shares.degraded[p] * kPercent);
  }

  // Nobody is well: the nearest of those stated unhealthy if they may be used, then of those that
  // could not be reached.
  void AddForWantOfBetter() {
    const bool may_panic =
        cluster.panic_threshold_percent > 0 &&
        !(zones != nullptr && options.zone_aware.has_value() && options.zone_aware->fail_on_panic);
    to.may_use_unhealthy_ = may_panic;
    for (const uint8_t conditions : {kOut, kUnreachable, kUnreachableOut}) {
      if (conditions != kUnreachable && !may_panic) continue;
      for (size_t p = 0; p < set.priorities.size(); ++p) {
        AddList(p, Members(p, conditions), conditions, kPercent);
        if (total_share > 0) {
          to.panic_ = to.panic_ || conditions != kUnreachable;
          return;
        }
      }
    }
  }

  void AddLocalities(size_t p, uint8_t conditions, double share) {
    if (share == 0) return;
    if (UsesHash()) return AddList(p, Members(p, conditions), conditions, share);
    if (WeighsLocalities()) return AddWeighedLocalities(p, conditions, share);
    if (p == 0 && conditions == kWell && AddZones(share)) return;
    AddList(p, Members(p, conditions), conditions, share);
  }

  // Localities are in the weights of the hash table already.
  bool UsesHash() const {
    return cluster.balancing == LoadBalancing::kRingHash ||
           cluster.balancing == LoadBalancing::kMaglev;
  }

  bool WeighsLocalities() const {
    return cluster.locality_weighted &&
           (subset == nullptr || cluster.subsets->locality_weight_aware);
  }

  // A locality keeps its weight until fewer of its endpoints are left than the overprovisioning
  // factor makes up for; below, it shrinks in proportion.
  double EffectiveWeight(const LocalityConfig& locality, size_t usable) const {
    size_t count = locality.count;
    double weight = locality.weight;
    if (subset != nullptr) {
      count = MembersOf(locality, 0xff).size();
      if (cluster.subsets->scale_locality_weight && locality.count > 0) {
        weight *= static_cast<double>(count) / locality.count;
      }
    }
    if (count == 0) return 0;
    return weight *
           std::min(1.0, 0.01 * set.overprovisioning_factor * usable / static_cast<double>(count));
  }

  void AddWeighedLocalities(size_t p, uint8_t conditions, double share) {
    const std::vector<LocalityConfig>& localities = set.priorities[p].localities;
    std::vector<std::vector<uint32_t>> members;
    std::vector<double> weights;
    for (const LocalityConfig& one : localities) {
      members.push_back(MembersOf(one, conditions));
      weights.push_back(EffectiveWeight(one, members.back().size()));
    }
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    if (total == 0) return AddList(p, Members(p, conditions), conditions, share);
    for (size_t i = 0; i < localities.size(); ++i) {
      if (weights[i] > 0) {
        AddList(p, std::move(members[i]), conditions, share * weights[i] / total);
      }
    }
  }

  // As Envoy's zone-aware routing: requests stay in the proxies' own zone as far as that zone has
  // its part of the endpoints; the rest goes where endpoints are left over. False: it does not
  // apply.
  bool AddZones(double share) {
    if (zones == nullptr || !options.zone_aware.has_value() || subset != nullptr) return false;
    const ZoneAware& config = *options.zone_aware;
    const std::vector<LocalityConfig>& localities = set.priorities[0].localities;
    std::vector<std::vector<uint32_t>> members;
    double endpoints = 0;
    size_t own = localities.size();
    for (const LocalityConfig& one : localities) {
      members.push_back(MembersOf(one, kWell));
      endpoints += members.back().size();
      if (one.locality == zones->own) own = members.size() - 1;
    }
    double proxies = 0;
    for (const auto& [locality, count] : zones->proxies) proxies += count;
    if (endpoints < config.min_cluster_size || localities.size() < 2 || proxies == 0) return false;
    if (own == localities.size() || members[own].empty()) return false;
    std::vector<double> left_over;  // the part of all requests that each zone can take from others
    double local = 0;
    for (size_t i = 0; i < localities.size(); ++i) {
      const double here = members[i].size() / endpoints;
      const double asking = ProxiesIn(localities[i].locality) / proxies;
      if (i == own && asking == 0) return false;  // we are not among the proxies that are known
      if (i == own) local = std::min(1.0, here / asking);
      left_over.push_back(i == own ? 0 : std::max(0.0, here - asking));
    }
    const double total = std::accumulate(left_over.begin(), left_over.end(), 0.0);
    if (total == 0) local = 1;
    const double enabled = share * config.routing_enabled;
    AddList(0, Members(0, kWell), kWell, share - enabled);
    for (size_t i = 0; i < localities.size(); ++i) {
      const double part = i == own ? local : total == 0 ? 0 : (1 - local) * left_over[i] / total;
      AddList(0, std::move(members[i]), kWell, enabled * part);
    }
    return true;
  }

  double ProxiesIn(const EndpointLocality& locality) const {
    double count = 0;
    for (const auto& [where, proxies] : zones->proxies) {
      if (where == locality) count += proxies;
    }
    return count;
  }

  void AddList(size_t p, std::vector<uint32_t> members, uint8_t conditions, double share) {
    const auto whole = static_cast<uint32_t>(std::llround(share));
    if (members.empty() || whole == 0) return;
    total_share += whole;
    to.shares_.push_back(total_share);
    PickList& list = to.lists_.emplace_back();
    list.members_ = std::move(members);
    list.priority_ = p;
    list.conditions_ = conditions;
    SetWeights(list);
  }

  void SetWeights(PickList& list) const {
    bool equal = true;
    uint64_t total = 0;
    std::vector<uint64_t> upto;
    upto.reserve(list.members_.size());
    for (const uint32_t i : list.members_) {
      const uint64_t weight = WeightOf(i);
      equal = equal && (total == 0 || weight == upto[0]);
      total += weight;
      upto.push_back(total);
    }
    if (equal) return;
    list.upto_ = std::move(upto);
    // About the golden ratio of the total spreads the turns of each endpoint evenly; without a
    // common divisor every place is met once in a cycle.
    list.step_ = static_cast<uint64_t>(static_cast<double>(total) * 0.6180339887498949);
    while (std::gcd(list.step_, total) != 1) ++list.step_;
  }

  uint64_t WeightOf(uint32_t i) const {
    const uint64_t weight = set.endpoints[i].weight;
    if (!starting) return weight;
    const absl::Duration age = now - load.at(i)->since;
    if (age >= options.slow_start.window) return weight * kSlowStartScale;
    const double part = SlowStartFactor(options.slow_start, age);
    return std::max<uint64_t>(1, std::llround(weight * kSlowStartScale * part));
  }

  // ---- Walking.

  std::vector<uint32_t> MembersOf(const LocalityConfig& locality, uint8_t conditions) const {
    std::vector<uint32_t> members;
    for (size_t i = locality.first; i < locality.first + locality.count; ++i) {
      if ((to.conditions_[i] & conditions) != 0) members.push_back(static_cast<uint32_t>(i));
    }
    return members;
  }

  std::vector<uint32_t> Members(size_t p, uint8_t conditions) const {
    std::vector<uint32_t> members;
    ForEach(set.priorities[p], [&](uint32_t i) {
      if ((to.conditions_[i] & conditions) != 0) members.push_back(i);
    });
    std::sort(members.begin(), members.end());  // localities of one priority need not be in order
    return members;
  }

  template <typename Visit>
  void ForEach(const PriorityConfig& priority, Visit visit) const {
    for (const LocalityConfig& locality : priority.localities) {
      for (size_t i = locality.first; i < locality.first + locality.count; ++i) {
        if (to.conditions_[i] != 0) visit(static_cast<uint32_t>(i));
      }
    }
  }

  const ClusterConfig& cluster;
  const EndpointSet& set;
  const ClusterLoad& load;
  const BalancingOptions& options;
  const Subset* const subset;
  const LocalZones* const zones;
  const absl::Duration now;
  PickTable& to;
  absl::InlinedVector<PriorityHealth, 4> health;
  absl::InlinedVector<uint64_t, 4> stated;  // not stated or checked unhealthy, by priority
  bool starting = false;                    // somebody starts slowly
  uint32_t total_share = 0;
};

PickTable::PickTable(const ClusterConfig& cluster, const ClusterLoad& load, size_t view,
                     const LocalZones* zones, absl::Duration now) {
  Builder(cluster, load, view, zones, now, *this).Build();
}

const PickList* PickTable::ChooseList(uint64_t random) const {
  if (lists_.empty()) return nullptr;
  if (lists_.size() == 1) return &lists_[0];
  const auto place = static_cast<uint32_t>(Below(shares_.back(), random));
  const auto found = std::upper_bound(shares_.begin(), shares_.end(), place);
  return &lists_[found - shares_.begin()];
}

}  // namespace weft
