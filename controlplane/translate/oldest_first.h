// The order of precedence among objects: our own first, whatever other clusters distribute; then
// older first, then by name. Files carry no times, so an empty one is older than any: what is in
// the folder outranks what came later.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_OLDEST_FIRST_H_
#define WEFT_CONTROLPLANE_TRANSLATE_OLDEST_FIRST_H_

#include <algorithm>
#include <tuple>
#include <vector>

#include "controlplane/model/world.h"

namespace weft {

// Pointers into `configs`.
template <typename Spec>
std::vector<const Config<Spec>*> OldestFirst(const Configs<Spec>& configs) {
  std::vector<const Config<Spec>*> sorted;
  sorted.reserve(configs.size());
  for (const auto& [key, config] : configs) sorted.push_back(&config);
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    const bool a_foreign = !a->cluster.empty();
    const bool b_foreign = !b->cluster.empty();
    return std::tie(a_foreign, a->creation_timestamp, a->key.name, a->key.namespace_) <
           std::tie(b_foreign, b->creation_timestamp, b->key.name, b->key.namespace_);
  });
  return sorted;
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_OLDEST_FIRST_H_
