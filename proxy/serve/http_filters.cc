#include "proxy/serve/http_filters.h"

#include <variant>
#include <vector>

#include "proxy/serve/active_filter.h"
#include "proxy/serve/cors_filter.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/ext_authz_filter.h"
#include "proxy/serve/fault_filter.h"
#include "proxy/serve/header_mutation_filter.h"
#include "proxy/serve/jwt_filter.h"
#include "proxy/serve/rate_limit_filter.h"
#include "proxy/serve/rbac_filter.h"
#include "proxy/serve/request_metadata.h"
#include "proxy/serve/tunnel_filter.h"

namespace weft {

bool HasHttpFilters(const Exchange& x) { return !x.connection.config.filters.empty(); }

Task<std::optional<Answer>> RunRequestFilters(Exchange& x) {
  RequestMetadata metadata;
  for (const HttpFilter& filter : x.connection.config.filters) {
    const std::optional<ActiveFilter> active = ResolveFilter(x, filter);
    if (!active.has_value()) continue;
    const HttpFilterConfig& kind = *filter.config;
    std::optional<Answer> answer;
    if (std::holds_alternative<CorsConfig>(kind)) {
      answer = RunCors(x, *active);
    } else if (std::holds_alternative<FaultConfig>(kind)) {
      answer = co_await RunFault(x, *active);
    } else if (std::holds_alternative<LocalRateLimitConfig>(kind)) {
      answer = RunRateLimit(x, *active);
    } else if (std::holds_alternative<HeaderMutationConfig>(kind)) {
      MutateRequest(x, *active);
    } else if (std::holds_alternative<RbacFilterConfig>(kind)) {
      answer = RunRbac(x, *active, metadata);
    } else if (std::holds_alternative<JwtFilterConfig>(kind)) {
      answer = RunJwt(x, *active, metadata.tokens);
    } else if (std::holds_alternative<ExtAuthzFilterConfig>(kind)) {
      answer = co_await RunExtAuthz(x, *active, metadata);
    } else if (const auto* tunnel = std::get_if<TunnelTerminationConfig>(&kind)) {
      RunTunnel(x, *tunnel);
    }
    if (answer.has_value()) co_return answer;
  }
  co_return std::nullopt;
}

void RunResponseFilters(Exchange& x, ResponseHead& head) {
  // Responses pass the filters in the opposite order.
  const std::vector<HttpFilter>& filters = x.connection.config.filters;
  for (auto it = filters.rbegin(); it != filters.rend(); ++it) {
    if (!std::holds_alternative<HeaderMutationConfig>(*it->config)) continue;
    const std::optional<ActiveFilter> active = ResolveFilter(x, *it);
    if (active.has_value()) MutateResponse(x, *active, head);
  }
  AddCorsToResponse(x, head.headers);
  AddLimitToResponse(x, head.headers);
  AddAuthzToResponse(x, head);
}

}  // namespace weft
