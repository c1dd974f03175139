#include "proxy/serve/jwt_filter.h"

#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "proxy/config/jwt_config.h"
#include "proxy/decide/jwt_auth.h"
#include "proxy/serve/exchange.h"

namespace weft {
namespace {

using certs::JwtStatus;

enum { kAllowed, kCorsPreflightBypassed, kDenied, kCacheHit, kCacheMiss };

FilterState& CountersOf(Exchange& x, const ActiveFilter& active, const JwtAuthnConfig& config) {
  return StateOf(x, active.filter.config, [&] {
    std::vector<std::string> names;
    for (const char* name :
         {"allowed", "cors_preflight_bypassed", "denied", "jwt_cache_hit", "jwt_cache_miss"}) {
      names.push_back(CounterName(HttpPrefix(x, "jwt_authn"), config.stat_prefix, name));
    }
    return names;
  });
}

// The route asks for what the filter does not have: config that does not fit together.
Answer UnknownRequirement(const JwtAuthnConfig& config, const std::string& name) {
  const std::string problem = absl::StrCat("Wrong requirement_name: ", name);
  Answer answer;
  answer.status = 403;
  answer.details =
      absl::StrCat("jwt_authn_access_denied{", absl::StrReplaceAll(problem, {{" ", "_"}}), "}");
  if (!config.strip_failure_response) {
    answer.body = absl::StrCat("Failed JWT authentication: ", problem);
  }
  return answer;
}

Answer Refuse(const Exchange& x, const JwtAuthnConfig& config, JwtStatus status) {
  Answer answer;
  answer.status = StatusCodeOf(status);
  answer.details = JwtDetails(status);
  if (config.strip_failure_response) return answer;
  answer.body = std::string(certs::JwtStatusText(status));
  answer.headers.Add("www-authenticate", Challenge(status, x.head, x.head.scheme));
  return answer;
}

JwtVerdict Verify(Exchange& x, const JwtAuthnConfig& config, const JwtRequirement& requirement,
                  FilterState& state) {
  JwtCache& cache = x.worker().filters().jwt_cache();
  const JwtCache::Uses before = cache.uses();
  JwtVerdict verdict =
      VerifyTokens(config, requirement, x.head, {x.config->keys, absl::Now(), cache});
  *state.counters[kCacheHit] += cache.uses().hits - before.hits;
  *state.counters[kCacheMiss] += cache.uses().misses - before.misses;
  return verdict;
}

}  // namespace

std::optional<Answer> RunJwt(Exchange& x, const ActiveFilter& active,
                             std::vector<VerifiedToken>& tokens) {
  const JwtAuthnConfig& config = *std::get<JwtFilterConfig>(*active.filter.config).authn;
  const JwtRouteConfig* route =
      active.over != nullptr ? active.config<JwtFilterConfig>().route.get() : nullptr;
  RemoveForged(config, x.head.headers);

  FilterState& state = CountersOf(x, active, config);
  bool problem = false;
  const JwtRequirement* requirement =
      RequirementFor(config, route, x.head, x.worker().Random(), &problem);
  if (problem) {
    ++*state.counters[kDenied];
    return UnknownRequirement(config, route->requirement_name);
  }
  if (requirement == nullptr) {
    if (IsExemptPreflight(config, x.head)) ++*state.counters[kCorsPreflightBypassed];
    ++*state.counters[kAllowed];
    return std::nullopt;
  }
  JwtVerdict verdict = Verify(x, config, *requirement, state);
  if (verdict.status != JwtStatus::kOk) {
    ++*state.counters[kDenied];
    return Refuse(x, config, verdict.status);
  }
  ++*state.counters[kAllowed];
  ApplyTokens(verdict.tokens, x.head);
  tokens.insert(tokens.end(), std::make_move_iterator(verdict.tokens.begin()),
                std::make_move_iterator(verdict.tokens.end()));
  return std::nullopt;
}

}  // namespace weft
