// SubsetCriteria: the metadata that a request wants of its endpoint, as a route's metadata_match
// states it (filter "envoy.lb"). A route compiles to one, PickFacts takes it.
//
// It is compared by its hashes alone: they are made once, when config is compiled, and looking up a
// subset per request touches no string.
#ifndef WEFT_PROXY_CONFIG_SUBSET_CRITERIA_H_
#define WEFT_PROXY_CONFIG_SUBSET_CRITERIA_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace weft {

struct SubsetCriteria {
  // Sorted by key. A value is the text of its JSON, so that "1" and 1 differ.
  std::vector<std::pair<std::string, std::string>> values;
  uint64_t keys_hash = 0;
  uint64_t hash = 0;  // of keys and values
};

// Sorts; of two values of one key the first stays.
SubsetCriteria MakeSubsetCriteria(std::vector<std::pair<std::string, std::string>> values);

// The keys_hash of criteria with these keys, in any order.
uint64_t SubsetKeysHash(std::vector<std::string> keys);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_SUBSET_CRITERIA_H_
