// ActiveFilter: one HTTP filter as one request meets it, with what its route overrides; and what
// the filters have in common. Only the filters include this.
#ifndef WEFT_PROXY_SERVE_ACTIVE_FILTER_H_
#define WEFT_PROXY_SERVE_ACTIVE_FILTER_H_

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "proxy/config/http_filters.h"
#include "proxy/serve/filter_states.h"

namespace weft {

struct Exchange;

// Borrowed from the listener and the route; valid as long as the request.
struct ActiveFilter {
  const HttpFilter& filter;
  // The override's config, of the filter's own kind; null: the filter's own is the only one.
  const SharedFilterConfig* over;

  const SharedFilterConfig& shared() const { return over != nullptr ? *over : filter.config; }
  template <typename Config>
  const Config& config() const {
    return std::get<Config>(*shared());
  }
};

// Nullopt: it is disabled here.
std::optional<ActiveFilter> ResolveFilter(const Exchange& x, const HttpFilter& filter);

// What the worker keeps of the filter with this config. `counters` is asked the first time, for the
// whole names of its counters.
FilterState& StateOf(Exchange& x, const SharedFilterConfig& config,
                     absl::FunctionRef<std::vector<std::string>()> counters);

// "http.STAT_PREFIX.cors"
std::string HttpPrefix(const Exchange& x, absl::string_view filter);
// "PREFIX.name", and with something a config puts between: "PREFIX.more.name"; one that ends with
// '_' or '.' as it stands.
std::string CounterName(absl::string_view prefix, absl::string_view more, absl::string_view name);
std::vector<std::string> CounterNames(absl::string_view prefix,
                                      std::initializer_list<absl::string_view> names);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_ACTIVE_FILTER_H_
