// HttpFilter: what a listener does with each request between the match of its route and the router,
// and FilterOverride, what a route wants done differently. serve/http_filters.h runs them.
//
// A new filter is a config in a header of its own, a type more in HttpFilterConfig, a case in
// compile_http_filters.cc and one in serve/http_filters.cc, which runs a file of its own.
// Immutable once compiled; shared by pointer, any thread.
#ifndef WEFT_PROXY_CONFIG_HTTP_FILTERS_H_
#define WEFT_PROXY_CONFIG_HTTP_FILTERS_H_

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "proxy/config/cors_config.h"
#include "proxy/config/fault_config.h"
#include "proxy/config/header_mutation_config.h"
#include "proxy/config/local_rate_limit_config.h"
#include "proxy/config/tunnel_config.h"

namespace weft {

struct ExtAuthzConfig;
struct ExtAuthzRouteConfig;
struct JwtAuthnConfig;
struct JwtRouteConfig;
struct RbacConfig;

// These are held by pointer: what the first two hold is written in terms of routes, which hold
// overrides; the last is large, and few filters are of its kind.
struct RbacFilterConfig {
  std::shared_ptr<const RbacConfig> rbac;  // never null; without rules it does nothing
};
struct JwtFilterConfig {
  // Exactly one: of the filter, and of an override, where it takes the place of the rules.
  std::shared_ptr<const JwtAuthnConfig> authn;
  std::shared_ptr<const JwtRouteConfig> route;
};
struct ExtAuthzFilterConfig {
  // Exactly one: of the filter, and of an override.
  std::shared_ptr<const ExtAuthzConfig> authz;
  std::shared_ptr<const ExtAuthzRouteConfig> route;
};

// Fields that matter where nothing overrides them: each is complete in itself.
using HttpFilterConfig =
    std::variant<CorsConfig, FaultConfig, LocalRateLimitConfig, HeaderMutationConfig,
                 RbacFilterConfig, JwtFilterConfig, ExtAuthzFilterConfig, TunnelTerminationConfig>;

// By its address a worker finds what it keeps of one filter (its token bucket, its counters): made
// by make_shared, so that a weak pointer keeps the address from being used again.
using SharedFilterConfig = std::shared_ptr<const HttpFilterConfig>;

struct HttpFilter {
  std::string name;           // by which overrides mean it
  bool disabled = false;      // unless an override brings a config, or says it is not
  SharedFilterConfig config;  // never null
};

// Of one route or weighted cluster, what the levels above it say included (the most specific wins,
// or is joined with the others, as each filter has it). Few, so a scan finds the right one.
struct FilterOverride {
  std::string filter;
  bool disabled = false;
  SharedFilterConfig config;  // null: the filter's own
};
using FilterOverrides = std::vector<FilterOverride>;

// Null: nothing overrides it.
inline const FilterOverride* FindOverride(const FilterOverrides& overrides,
                                          absl::string_view filter) {
  for (const FilterOverride& one : overrides) {
    if (one.filter == filter) return &one;
  }
  return nullptr;
}

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_HTTP_FILTERS_H_
