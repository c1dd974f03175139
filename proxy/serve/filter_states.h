// FilterStates: what a worker keeps of its HTTP filters between requests: token buckets, how many
// faults are under way, tokens it has verified, counters. One worker's; found by the address of the
// filter's config.
#ifndef WEFT_PROXY_SERVE_FILTER_STATES_H_
#define WEFT_PROXY_SERVE_FILTER_STATES_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "proxy/config/http_filters.h"
#include "proxy/decide/token_bucket.h"

namespace weft {

class JwtCache;

struct FilterState {
  std::weak_ptr<const HttpFilterConfig> of;
  std::optional<TokenBucket> bucket;
  std::shared_ptr<uint32_t> active_faults = std::make_shared<uint32_t>(0);
  // Counters of this filter; which is which is its own. Point into FilterStates::counters().
  std::array<uint64_t*, 5> counters = {};
};

class FilterStates {
 public:
  FilterStates();
  ~FilterStates();

  // Made on first use: `fresh` of it then. Valid until the next call.
  FilterState& Of(const SharedFilterConfig& config, bool* fresh);

  // Of all JWT filters.
  JwtCache& jwt_cache() { return *jwt_cache_; }

  // A counter by its whole name, "http.in.fault.aborts_injected". Never moves.
  uint64_t* Counter(const std::string& name) { return &counters_[name]; }
  const std::map<std::string, uint64_t>& counters() const { return counters_; }

 private:
  absl::flat_hash_map<const HttpFilterConfig*, FilterState> states_;
  std::map<std::string, uint64_t> counters_;
  const std::unique_ptr<JwtCache> jwt_cache_;
};

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_FILTER_STATES_H_
