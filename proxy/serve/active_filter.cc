#include "proxy/serve/active_filter.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/serve/exchange.h"

namespace weft {
namespace {

const FilterOverrides* OverridesOf(const Exchange& x) {
  if (x.target != nullptr && !x.target->filters.empty()) return &x.target->filters;
  return x.route != nullptr && !x.route->filters.empty() ? &x.route->filters : nullptr;
}

}  // namespace

std::optional<ActiveFilter> ResolveFilter(const Exchange& x, const HttpFilter& filter) {
  const FilterOverrides* overrides = OverridesOf(x);
  const FilterOverride* own =
      overrides != nullptr ? FindOverride(*overrides, filter.name) : nullptr;
  if (own == nullptr) {
    return filter.disabled ? std::nullopt : std::optional(ActiveFilter{filter, nullptr});
  }
  if (own->disabled) return std::nullopt;
  // One of another filter's kind has no effect, as in Envoy: above all it does not switch this off.
  const bool fits = own->config != nullptr && own->config->index() == filter.config->index();
  if (!fits && own->config != nullptr && filter.disabled) return std::nullopt;
  return ActiveFilter{filter, fits ? &own->config : nullptr};
}

FilterState& StateOf(Exchange& x, const SharedFilterConfig& config,
                     absl::FunctionRef<std::vector<std::string>()> counters) {
  bool fresh = false;
  FilterStates& states = x.worker().filters();
  FilterState& state = states.Of(config, &fresh);
  if (!fresh) return state;
  size_t i = 0;
  for (const std::string& name : counters()) state.counters.at(i++) = states.Counter(name);
  return state;
}

std::string HttpPrefix(const Exchange& x, absl::string_view filter) {
  return absl::StrCat("http.", x.connection.config.stat_prefix, ".", filter);
}

std::string CounterName(absl::string_view prefix, absl::string_view more, absl::string_view name) {
  const bool open = more.empty() || absl::EndsWith(more, ".") || absl::EndsWith(more, "_");
  return absl::StrCat(prefix, ".", more, open ? "" : ".", name);
}

std::vector<std::string> CounterNames(absl::string_view prefix,
                                      std::initializer_list<absl::string_view> names) {
  std::vector<std::string> whole;
  for (absl::string_view name : names) whole.push_back(absl::StrCat(prefix, ".", name));
  return whole;
}

}  // namespace weft
