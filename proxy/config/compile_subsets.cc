#include "proxy/config/compile_subsets.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <set>
#include <utility>

#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace core = envoy::config::core::v3;
using envoy::config::cluster::v3::Cluster;
using LbSubsetConfig = Cluster::LbSubsetConfig;
using Selector = LbSubsetConfig::LbSubsetSelector;
using google::protobuf::Struct;
using google::protobuf::Value;

constexpr char kLb[] = "envoy.lb";

// The text that values are compared by: their JSON.
std::string TextOf(const Value& value) {
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(value, &text).ok()) text.clear();
  return text;
}

const Struct* LbMetadata(const core::Metadata& metadata) {
  const auto found = metadata.filter_metadata().find(kLb);
  return found == metadata.filter_metadata().end() ? nullptr : &found->second;
}

absl::StatusOr<SubsetFallback> FallbackOf(LbSubsetConfig::LbSubsetFallbackPolicy from) {
  switch (from) {
    case LbSubsetConfig::NO_FALLBACK:
      return SubsetFallback::kNone;
    case LbSubsetConfig::ANY_ENDPOINT:
      return SubsetFallback::kAny;
    case LbSubsetConfig::DEFAULT_SUBSET:
      return SubsetFallback::kDefault;
    default:
      return Invalid("fallback_policy", absl::StrCat("unknown value ", static_cast<int>(from)));
  }
}

absl::StatusOr<SubsetFallback> FallbackOf(Selector::LbSubsetSelectorFallbackPolicy from) {
  switch (from) {
    case Selector::NOT_DEFINED:
      return SubsetFallback::kNotDefined;
    case Selector::NO_FALLBACK:
      return SubsetFallback::kNone;
    case Selector::ANY_ENDPOINT:
      return SubsetFallback::kAny;
    case Selector::DEFAULT_SUBSET:
      return SubsetFallback::kDefault;
    case Selector::KEYS_SUBSET:
      return SubsetFallback::kKeys;
    default:
      return Invalid("fallback_policy", absl::StrCat("unknown value ", static_cast<int>(from)));
  }
}

std::vector<std::string> Sorted(const google::protobuf::RepeatedPtrField<std::string>& from) {
  const std::set<std::string> keys(from.begin(), from.end());
  return {keys.begin(), keys.end()};
}

absl::StatusOr<SubsetSelector> CompileSelector(const Selector& from) {
  SubsetSelector to;
  to.keys = Sorted(from.keys());
  if (to.keys.empty()) return Invalid("keys", "must not be empty");
  to.keys_hash = SubsetKeysHash(to.keys);
  absl::StatusOr<SubsetFallback> fallback = FallbackOf(from.fallback_policy());
  if (!fallback.ok()) return fallback.status();
  to.fallback = *fallback;
  to.single_endpoint = from.single_host_per_subset();
  if (to.fallback != SubsetFallback::kKeys) return to;
  to.fallback_keys = Sorted(from.fallback_keys_subset());
  const bool known = std::includes(to.keys.begin(), to.keys.end(), to.fallback_keys.begin(),
                                   to.fallback_keys.end());
  // Fewer each time, or asking again would not end.
  if (to.fallback_keys.empty() || !known || to.fallback_keys.size() == to.keys.size()) {
    return Invalid("fallback_keys_subset", "must be some of `keys`, and not all of them");
  }
  return to;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const SubsetConfig>> CompileSubsets(const LbSubsetConfig& from) {
  auto to = std::make_shared<SubsetConfig>();
  absl::StatusOr<SubsetFallback> fallback = FallbackOf(from.fallback_policy());
  if (!fallback.ok()) return fallback.status();
  to->fallback = *fallback;
  std::vector<std::pair<std::string, std::string>> values;
  for (const auto& [key, value] : from.default_subset().fields()) {
    values.emplace_back(key, TextOf(value));
  }
  to->default_subset = MakeSubsetCriteria(std::move(values));
  to->locality_weight_aware = from.locality_weight_aware();
  to->scale_locality_weight = from.scale_locality_weight();
  to->panic_mode_any = from.panic_mode_any();
  to->list_as_any = from.list_as_any();
  absl::Status status = CompileEach("subset_selectors", from.subset_selectors(), to->selectors,
                                    [](const Selector& one) { return CompileSelector(one); });
  if (!status.ok()) return status;
  return to;
}

SubsetCriteria CompileSubsetCriteria(absl::Span<const core::Metadata* const> metadata) {
  std::vector<std::pair<std::string, std::string>> values;
  for (const core::Metadata* one : metadata) {
    const Struct* wanted = LbMetadata(*one);
    if (wanted == nullptr) continue;
    for (const auto& [key, value] : wanted->fields()) values.emplace_back(key, TextOf(value));
  }
  return MakeSubsetCriteria(std::move(values));
}

std::shared_ptr<const EndpointLabels> CompileLabels(const core::Metadata& metadata,
                                                    const SubsetConfig& subsets) {
  const Struct* stated = LbMetadata(metadata);
  if (stated == nullptr) return nullptr;
  auto labels = std::make_shared<EndpointLabels>();
  for (const auto& [key, value] : stated->fields()) {
    auto& [name, values] = labels->emplace_back();
    name = key;
    if (subsets.list_as_any && value.has_list_value()) {
      for (const Value& one : value.list_value().values()) values.push_back(TextOf(one));
    } else {
      values.push_back(TextOf(value));
    }
  }
  std::sort(labels->begin(), labels->end());
  return labels;
}

}  // namespace weft
