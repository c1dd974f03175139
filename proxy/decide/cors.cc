#include "proxy/decide/cors.h"

#include <algorithm>

namespace weft {
namespace {

bool AllowsOrigin(const CorsConfig& policy, absl::string_view origin) {
  return std::any_of(
      policy.allow_origins.begin(), policy.allow_origins.end(), [&](const StringMatch& one) {
        // As Envoy has it, a lone star stands for every origin.
        return (one.kind == StringMatch::Kind::kExact && one.value == "*") || one.Matches(origin);
      });
}

void AddOrigin(const CorsConfig& policy, absl::string_view origin, Headers& to) {
  to.Set("access-control-allow-origin", origin);
  if (policy.allow_credentials.value_or(false)) to.Set("access-control-allow-credentials", "true");
}

}  // namespace

CorsVerdict JudgeOrigin(const CorsConfig& policy, const RequestHead& head, uint64_t random) {
  CorsVerdict verdict;
  const bool stated = policy.enabled.has_value() || policy.shadow_enabled.has_value();
  verdict.enforced = policy.enabled.has_value() ? policy.enabled->Takes(random) : !stated;
  const bool shadow = policy.shadow_enabled.has_value() && policy.shadow_enabled->Takes(random);
  const std::optional<absl::string_view> origin = head.headers.Get("origin");
  if (!origin.has_value() || origin->empty() || !(verdict.enforced || shadow)) return verdict;
  verdict.cross_origin = true;
  verdict.allowed = AllowsOrigin(policy, *origin);
  verdict.preflight = head.method == "OPTIONS" && head.headers.Has("access-control-request-method");
  return verdict;
}

void AddPreflightHeaders(const CorsConfig& policy, const RequestHead& head, Headers& to) {
  AddOrigin(policy, head.headers.Get("origin").value_or(""), to);
  if (!policy.allow_methods.empty()) to.Set("access-control-allow-methods", policy.allow_methods);
  if (!policy.allow_headers.empty()) to.Set("access-control-allow-headers", policy.allow_headers);
  if (!policy.max_age.empty()) to.Set("access-control-max-age", policy.max_age);
  if (policy.allow_private_network_access.value_or(false) &&
      head.headers.Get("access-control-request-private-network") == "true") {
    to.Set("access-control-allow-private-network", "true");
  }
}

void AddCorsHeaders(const CorsConfig& policy, absl::string_view origin, Headers& to) {
  AddOrigin(policy, origin, to);
  if (!policy.expose_headers.empty()) {
    to.Set("access-control-expose-headers", policy.expose_headers);
  }
}

}  // namespace weft
