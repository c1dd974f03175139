#include "proxy/serve/cors_filter.h"

#include "proxy/decide/cors.h"
#include "proxy/serve/exchange.h"

namespace weft {

std::optional<Answer> RunCors(Exchange& x, const ActiveFilter& active) {
  const CorsConfig& policy = active.config<CorsConfig>();
  const CorsVerdict verdict = JudgeOrigin(policy, x.head, x.worker().Random());
  if (!verdict.cross_origin) return std::nullopt;
  FilterState& state = StateOf(x, active.shared(), [&x] {
    return CounterNames(HttpPrefix(x, "cors"), {"origin_valid", "origin_invalid"});
  });
  ++*state.counters[verdict.allowed ? 0 : 1];
  if (!verdict.enforced) return std::nullopt;
  if (!verdict.allowed) {
    if (!verdict.preflight || policy.forward_not_matching_preflights.value_or(true)) {
      return std::nullopt;
    }
    return Answer{200, ResponseFlag::kNone, "cors_response", "", {}};
  }
  if (verdict.preflight) {
    Answer answer{200, ResponseFlag::kNone, "cors_response", "", {}};
    AddPreflightHeaders(policy, x.head, answer.headers);
    return answer;
  }
  x.notes.cors_origin = std::string(*x.head.headers.Get("origin"));
  x.notes.cors = active.shared();
  return std::nullopt;
}

void AddCorsToResponse(const Exchange& x, Headers& headers) {
  if (x.notes.cors == nullptr) return;
  AddCorsHeaders(std::get<CorsConfig>(*x.notes.cors), x.notes.cors_origin, headers);
}

}  // namespace weft
