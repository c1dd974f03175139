#include "proxy/config/hash_table.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace weft {
namespace {

uint64_t Hash(absl::string_view text, uint64_t seed) {
  return XXH64(text.data(), text.size(), seed);
}

// What remains of an endpoint's turn through a Maglev table.
struct Filling {
  uint32_t index;
  uint64_t next;
  uint64_t skip;
  double weight;
  double owed = 0;  // slots that its weight entitles it to beyond those it has taken
};

std::vector<HashedEndpoint> Hashed(const ClusterConfig& cluster, const EndpointSet& set,
                                   const PriorityConfig& priority,
                                   const std::vector<uint32_t>* members) {
  std::vector<HashedEndpoint> hashed;
  for (const LocalityConfig& locality : priority.localities) {
    double total = 0;
    const size_t first = hashed.size();
    for (size_t i = locality.first; i < locality.first + locality.count; ++i) {
      if (members != nullptr && !std::binary_search(members->begin(), members->end(), i)) continue;
      const EndpointConfig& one = set.endpoints[i];
      const bool by_name = cluster.options->hash_by_host_name && !one.host_name.empty();
      const absl::string_view key = by_name ? one.host_name : one.key;
      hashed.push_back({static_cast<uint32_t>(i), static_cast<double>(one.weight), key});
      total += one.weight;
    }
    if (!cluster.locality_weighted) continue;
    if (locality.weight == 0) hashed.resize(first);
    for (size_t i = first; i < hashed.size(); ++i) hashed[i].weight *= locality.weight / total;
  }
  return hashed;
}

}  // namespace

HashTable MakeRing(absl::Span<const HashedEndpoint> endpoints, uint64_t min_size,
                   uint64_t max_size) {
  double total = 0;
  double least = endpoints[0].weight;
  for (const HashedEndpoint& one : endpoints) {
    total += one.weight;
    least = std::min(least, one.weight);
  }
  // Whole places for the smallest, and the others in proportion.
  const double part = least / total;
  const double size =
      std::min(static_cast<double>(max_size), std::ceil(part * static_cast<double>(min_size)) / part);
  HashTable table;
  double wanted = 0;
  for (const HashedEndpoint& one : endpoints) {
    wanted += size * one.weight / total;
    // Half a place of tolerance: the sum of fractions is not exact.
    for (uint64_t place = 0; static_cast<double>(table.ring.size()) + 0.5 < wanted; ++place) {
      table.ring.push_back({Hash(absl::StrCat(one.key, "_", place), 0), one.index});
    }
  }
  std::sort(table.ring.begin(), table.ring.end(),
            [](const HashTable::Place& a, const HashTable::Place& b) { return a.hash < b.hash; });
  return table;
}

HashTable MakeMaglev(std::vector<HashedEndpoint> endpoints, uint64_t size) {
  constexpr uint32_t kFree = ~0u;
  // In one order everywhere, whatever order they came in.
  std::sort(endpoints.begin(), endpoints.end(),
            [](const HashedEndpoint& a, const HashedEndpoint& b) { return a.key < b.key; });
  std::vector<Filling> fillings;
  double most = 0;
  for (const HashedEndpoint& one : endpoints) {
    fillings.push_back({one.index, Hash(one.key, 0) % size, Hash(one.key, 1) % (size - 1) + 1,
                        one.weight});
    most = std::max(most, one.weight);
  }
  HashTable table;
  table.slots.assign(size, kFree);
  uint64_t filled = 0;
  while (true) {
    for (Filling& one : fillings) {
      one.owed += one.weight / most;
      if (one.owed < 1) continue;
      one.owed -= 1;
      while (table.slots[one.next] != kFree) one.next = (one.next + one.skip) % size;
      table.slots[one.next] = one.index;
      if (++filled == size) return table;
    }
  }
}

bool IsPrime(uint64_t number) {
  if (number < 2) return false;
  for (uint64_t divisor = 2; divisor * divisor <= number; ++divisor) {
    if (number % divisor == 0) return false;
  }
  return true;
}

HashTables MakeHashTables(const ClusterConfig& cluster, const EndpointSet& set,
                          const std::vector<uint32_t>* members) {
  HashTables tables;
  const bool ring = cluster.balancing == LoadBalancing::kRingHash;
  if (!ring && cluster.balancing != LoadBalancing::kMaglev) return tables;
  const BalancingOptions& options = *cluster.options;
  for (const PriorityConfig& priority : set.priorities) {
    std::vector<HashedEndpoint> hashed = Hashed(cluster, set, priority, members);
    tables.push_back(nullptr);
    if (hashed.empty()) continue;
    tables.back() = std::make_shared<const HashTable>(
        ring ? MakeRing(hashed, options.ring_min_size, options.ring_max_size)
             : MakeMaglev(std::move(hashed), options.maglev_table_size));
  }
  return tables;
}

}  // namespace weft
