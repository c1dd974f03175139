#include "proxy/config/subset_criteria.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/string_view.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace weft {
namespace {

// With its length, so that ("ab", "c") is not ("a", "bc").
uint64_t Add(uint64_t hash, absl::string_view text) {
  return XXH64(text.data(), text.size(), hash ^ (text.size() * 0x9e3779b97f4a7c15u));
}

}  // namespace

SubsetCriteria MakeSubsetCriteria(std::vector<std::pair<std::string, std::string>> values) {
  std::map<std::string, std::string> first;  // of each key, the first value counts
  for (auto& value : values) first.insert(std::move(value));
  SubsetCriteria criteria;
  criteria.values.assign(first.begin(), first.end());
  for (const auto& [key, value] : criteria.values) {
    criteria.keys_hash = Add(criteria.keys_hash, key);
    criteria.hash = Add(Add(criteria.hash, key), value);
  }
  return criteria;
}

uint64_t SubsetKeysHash(std::vector<std::string> keys) {
  std::sort(keys.begin(), keys.end());
  uint64_t hash = 0;
  for (const std::string& key : keys) hash = Add(hash, key);
  return hash;
}

}  // namespace weft
