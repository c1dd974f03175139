// CorsConfig: which pages of other origins may use a route (the Fetch standard's CORS protocol).
// Immutable once compiled; any thread. decide/cors.h decides by it.
#ifndef WEFT_PROXY_CONFIG_CORS_CONFIG_H_
#define WEFT_PROXY_CONFIG_CORS_CONFIG_H_

#include <optional>
#include <string>
#include <vector>

#include "proxy/config/fraction.h"
#include "proxy/config/matchers.h"

namespace weft {

// Empty texts and nullopt were not given: a level above may give them, else they are left out.
struct CorsConfig {
  std::vector<StringMatch> allow_origins;
  std::string allow_methods;
  std::string allow_headers;
  std::string expose_headers;
  std::string max_age;
  std::optional<bool> allow_credentials;
  std::optional<bool> allow_private_network_access;
  std::optional<bool> forward_not_matching_preflights;  // default true
  std::optional<Fraction> enabled;                      // nullopt with nullopt below: always
  std::optional<Fraction> shadow_enabled;               // counted, not enforced
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_CORS_CONFIG_H_
