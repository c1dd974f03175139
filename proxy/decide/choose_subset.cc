#include "proxy/decide/choose_subset.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace weft {
namespace {

const SubsetSelector* SelectorFor(const SubsetConfig& config, const SubsetCriteria& criteria) {
  for (const SubsetSelector& selector : config.selectors) {
    if (selector.keys_hash == criteria.keys_hash) return &selector;
  }
  return nullptr;
}

std::optional<size_t> ViewOf(const Subsets& subsets, const SubsetCriteria& criteria) {
  auto found = subsets.by_hash.find(criteria.hash);
  if (found == subsets.by_hash.end()) return std::nullopt;
  return found->second + 1;
}

SubsetCriteria Reduced(const SubsetCriteria& criteria, const std::vector<std::string>& keys) {
  std::vector<std::pair<std::string, std::string>> values;
  for (const auto& one : criteria.values) {
    if (std::binary_search(keys.begin(), keys.end(), one.first)) values.push_back(one);
  }
  return MakeSubsetCriteria(std::move(values));
}

std::optional<size_t> ByPolicy(SubsetFallback fallback, const Subsets& subsets) {
  switch (fallback) {
    case SubsetFallback::kAny:
      return 0;
    case SubsetFallback::kDefault:
      if (!subsets.default_subset.has_value()) return std::nullopt;
      return *subsets.default_subset + 1;
    case SubsetFallback::kNotDefined:
    case SubsetFallback::kNone:
    case SubsetFallback::kKeys:
      break;
  }
  return std::nullopt;
}

// A kKeys fallback asks again with fewer keys, so it ends.
std::optional<size_t> Wanted(const SubsetConfig& config, const Subsets& subsets,
                             const SubsetCriteria& criteria, SubsetChoice& choice) {
  const SubsetSelector* selector = SelectorFor(config, criteria);
  if (selector != nullptr) {
    const std::optional<size_t> view = ViewOf(subsets, criteria);
    if (view.has_value()) return view;
  }
  choice.fallback = true;
  if (selector == nullptr || selector->fallback == SubsetFallback::kNotDefined) {
    return ByPolicy(config.fallback, subsets);
  }
  if (selector->fallback == SubsetFallback::kKeys) {
    return Wanted(config, subsets, Reduced(criteria, selector->fallback_keys), choice);
  }
  return ByPolicy(selector->fallback, subsets);
}

}  // namespace

SubsetChoice ChooseSubset(const ClusterConfig& cluster, const SubsetCriteria* criteria) {
  static const SubsetCriteria nothing;
  const Subsets& subsets = *cluster.endpoints->subsets;
  SubsetChoice choice;
  choice.view =
      Wanted(*cluster.subsets, subsets, criteria != nullptr ? *criteria : nothing, choice);
  if (!choice.view.has_value() && cluster.subsets->panic_mode_any) choice.view = 0;
  return choice;
}

}  // namespace weft
