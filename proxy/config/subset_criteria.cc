#include "proxy/config/subset_criteria.h"

#include <algorithm>

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
  const auto key_before = [](const auto& a, const auto& b) { return a.first < b.first; };
  const auto same_key = [](const auto& a, const auto& b) { return a.first == b.first; };
  std::stable_sort(values.begin(), values.end(), key_before);
  values.erase(std::unique(values.begin(), values.end(), same_key), values.end());
  SubsetCriteria criteria;
  criteria.values = std::move(values);
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
