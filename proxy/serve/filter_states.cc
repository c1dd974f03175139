#include "proxy/serve/filter_states.h"

#include "proxy/decide/jwt_auth.h"

namespace weft {

FilterStates::FilterStates() : jwt_cache_(std::make_unique<JwtCache>()) {}
FilterStates::~FilterStates() = default;

FilterState& FilterStates::Of(const SharedFilterConfig& config, bool* fresh) {
  const auto found = states_.find(config.get());
  *fresh = found == states_.end();
  if (!*fresh) return found->second;
  // A new config is rare, and the time to forget those that are gone.
  absl::erase_if(states_, [](const auto& entry) { return entry.second.of.expired(); });
  FilterState& state = states_[config.get()];
  state.of = config;
  return state;
}

}  // namespace weft
