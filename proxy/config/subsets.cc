#include "proxy/config/subsets.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "proxy/config/hash_table.h"

namespace weft {
namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

// Lists of labels multiply: what an endpoint may be a member of by one selector.
constexpr size_t kMostCombinations = 256;

const std::vector<std::string>* Find(const EndpointLabels& labels, const std::string& key) {
  const auto found =
      std::lower_bound(labels.begin(), labels.end(), key,
                       [](const auto& label, const std::string& k) { return label.first < k; });
  return found != labels.end() && found->first == key ? &found->second : nullptr;
}

// Every combination of the endpoint's values of these keys; none if it lacks one.
std::vector<Values> Combinations(const EndpointLabels& labels, const SubsetSelector& selector) {
  std::vector<Values> all = {{}};
  for (const std::string& key : selector.keys) {
    const std::vector<std::string>* values = Find(labels, key);
    if (values == nullptr) return {};
    std::vector<Values> longer;
    for (const Values& begun : all) {
      for (const std::string& value : *values) {
        if (longer.size() == kMostCombinations) break;
        longer.push_back(begun);
        longer.back().emplace_back(key, value);
      }
    }
    all = std::move(longer);
  }
  return all;
}

bool HasAll(const EndpointConfig& endpoint, const SubsetCriteria& criteria) {
  static const EndpointLabels none;
  const EndpointLabels& labels = endpoint.labels != nullptr ? *endpoint.labels : none;
  for (const auto& [key, value] : criteria.values) {
    const std::vector<std::string>* values = Find(labels, key);
    if (values == nullptr) return false;
    if (std::find(values->begin(), values->end(), value) == values->end()) return false;
  }
  return true;
}

void AddTo(Subsets& subsets, const SubsetCriteria& criteria, uint32_t member, bool single) {
  const auto [found, added] =
      subsets.by_hash.emplace(criteria.hash, static_cast<uint32_t>(subsets.list.size()));
  if (added) subsets.list.emplace_back();
  std::vector<uint32_t>& members = subsets.list[found->second].members;
  if (single && !members.empty()) return;
  if (members.empty() || members.back() != member) members.push_back(member);
}

void AddDefault(const SubsetCriteria& criteria, const EndpointSet& set, Subsets& subsets) {
  Subset subset;
  for (uint32_t i = 0; i < set.endpoints.size(); ++i) {
    if (HasAll(set.endpoints[i], criteria)) subset.members.push_back(i);
  }
  if (subset.members.empty()) return;
  subsets.default_subset = static_cast<uint32_t>(subsets.list.size());
  subsets.list.push_back(std::move(subset));
}

}  // namespace

std::shared_ptr<const Subsets> MakeSubsets(const ClusterConfig& cluster, const EndpointSet& set) {
  auto subsets = std::make_shared<Subsets>();
  for (uint32_t i = 0; i < set.endpoints.size(); ++i) {
    if (set.endpoints[i].labels == nullptr) continue;
    for (const SubsetSelector& selector : cluster.subsets->selectors) {
      for (Values& values : Combinations(*set.endpoints[i].labels, selector)) {
        AddTo(*subsets, MakeSubsetCriteria(std::move(values)), i, selector.single_endpoint);
      }
    }
  }
  AddDefault(cluster.subsets->default_subset, set, *subsets);
  for (Subset& subset : subsets->list) {
    subset.tables = MakeHashTables(cluster, set, &subset.members);
  }
  return subsets;
}

}  // namespace weft
