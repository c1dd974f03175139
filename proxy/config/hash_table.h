// Hash tables for consistent balancing: Ketama's ring, and Maglev. Pure, and the same in every
// process for the same endpoints, whatever their order.
#ifndef WEFT_PROXY_CONFIG_HASH_TABLE_H_
#define WEFT_PROXY_CONFIG_HASH_TABLE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proxy/config/cluster_config.h"

namespace weft {

struct HashedEndpoint {
  uint32_t index = 0;
  double weight = 1;
  absl::string_view key;  // what is hashed
};

// `endpoints`: at least one. The smallest has at least one place; there are about min_size places,
// more if weights need it, and at most max_size.
HashTable MakeRing(absl::Span<const HashedEndpoint> endpoints, uint64_t min_size,
                   uint64_t max_size);

// `size` is a prime above the number of endpoints.
HashTable MakeMaglev(std::vector<HashedEndpoint> endpoints, uint64_t size);

bool IsPrime(uint64_t number);

// The tables of all endpoints of `set`, by priority; empty unless the cluster balances by hash.
// `members`: only of these, ascending; null: of all.
HashTables MakeHashTables(const ClusterConfig& cluster, const EndpointSet& set,
                          const std::vector<uint32_t>* members);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_HASH_TABLE_H_
