#include "proxy/serve/http_filters.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/decide/cors.h"
#include "proxy/decide/match_route.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/format_input.h"

namespace weft {
namespace {

// One filter as this request meets it.
struct Active {
  const HttpFilter& filter;
  // The override's config; null: the filter's own is the only one.
  const SharedFilterConfig* over;

  const SharedFilterConfig& shared() const { return over != nullptr ? *over : filter.config; }
};

const FilterOverrides* OverridesOf(const Exchange& x) {
  if (x.target != nullptr && !x.target->filters.empty()) return &x.target->filters;
  return x.route != nullptr && !x.route->filters.empty() ? &x.route->filters : nullptr;
}

// Nullopt: it is disabled here.
std::optional<Active> Resolve(const Exchange& x, const HttpFilter& filter) {
  const FilterOverrides* overrides = OverridesOf(x);
  const FilterOverride* own =
      overrides != nullptr ? FindOverride(*overrides, filter.name) : nullptr;
  if (own == nullptr)
    return filter.disabled ? std::nullopt : std::optional(Active{filter, nullptr});
  if (own->disabled) return std::nullopt;
  return Active{filter, own->config != nullptr ? &own->config : nullptr};
}

FilterState& StateOf(Exchange& x, const SharedFilterConfig& config, const std::string& prefix,
                     std::initializer_list<const char*> counters) {
  bool fresh = false;
  FilterStates& states = x.worker().filters();
  FilterState& state = states.Of(config, &fresh);
  if (!fresh) return state;
  size_t i = 0;
  for (const char* name : counters) {
    state.counters[i++] = states.Counter(absl::StrCat(prefix, ".", name));
  }
  return state;
}

std::string HttpPrefix(const Exchange& x, absl::string_view filter) {
  return absl::StrCat("http.", x.connection.config.stat_prefix, ".", filter);
}

// --- CORS

std::optional<Answer> Cors(Exchange& x, const CorsConfig& policy,
                           const SharedFilterConfig& config) {
  const CorsVerdict verdict = JudgeOrigin(policy, x.head, x.worker().Random());
  if (!verdict.cross_origin) return std::nullopt;
  FilterState& state =
      StateOf(x, config, HttpPrefix(x, "cors"), {"origin_valid", "origin_invalid"});
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
  x.notes.cors = config;
  return std::nullopt;
}

// --- Faults

bool Concerns(const FaultConfig& fault, const Exchange& x) {
  if (!fault.upstream_cluster.empty() &&
      (x.target == nullptr || x.target->cluster != fault.upstream_cluster)) {
    return false;
  }
  if (!fault.downstream_nodes.empty()) {
    const auto node = x.head.headers.Get("x-envoy-downstream-service-node").value_or("");
    if (std::find(fault.downstream_nodes.begin(), fault.downstream_nodes.end(), node) ==
        fault.downstream_nodes.end()) {
      return false;
    }
  }
  return HeadersMatch(fault.headers, x.head);
}

// Counts a fault for as long as it is under way, wherever its coroutine ends.
class ActiveFault {
 public:
  explicit ActiveFault(std::shared_ptr<uint32_t> active) : active_(std::move(active)) {
    ++*active_;
  }
  ~ActiveFault() { --*active_; }
  ActiveFault(const ActiveFault&) = delete;
  ActiveFault& operator=(const ActiveFault&) = delete;

 private:
  const std::shared_ptr<uint32_t> active_;
};

Answer Abort(const FaultConfig& fault) {
  Answer answer{fault.abort_status,
                ResponseFlag::kFaultInjected,
                "fault_filter_abort",
                "fault filter abort",
                {}};
  // A request that is no call is refused all the same.
  if (fault.abort_grpc_status.has_value()) answer.status = 503;
  answer.grpc_status = fault.abort_grpc_status;
  return answer;
}

Task<std::optional<Answer>> Fault(Exchange& x, const FaultConfig& fault,
                                  const SharedFilterConfig& config) {
  if (!Concerns(fault, x)) co_return std::nullopt;
  const bool delayed =
      fault.delay > absl::ZeroDuration() && fault.delay_share.Takes(x.worker().Random());
  const bool aborted = fault.abort_share.Takes(x.worker().Random());
  if (!delayed && !aborted) co_return std::nullopt;
  FilterState& state = StateOf(x, config, HttpPrefix(x, "fault"),
                               {"delays_injected", "aborts_injected", "faults_overflow"});
  if (fault.max_active.has_value() && *state.active_faults >= *fault.max_active) {
    ++*state.counters[2];
    co_return std::nullopt;
  }
  uint64_t* const aborts = state.counters[1];
  const ActiveFault active(state.active_faults);
  if (delayed) {
    ++*state.counters[0];
    x.record.AddFlag(ResponseFlag::kDelayInjected);
    co_await Sleep(x.loop(), fault.delay);
  }
  if (!aborted) co_return std::nullopt;
  ++*aborts;
  co_return Abort(fault);
}

// --- Local rate limit

TokenBucket MakeBucket(const LocalRateLimitConfig& limit, const Worker& worker, MonotonicTime now) {
  const double workers = std::max<uint32_t>(worker.options().workers, 1);
  // A bucket in which not even one token has room would never let anything through.
  return TokenBucket(std::max(1.0, limit.max_tokens / workers), limit.tokens_per_fill / workers,
                     limit.fill_interval, now);
}

Answer Limited(Exchange& x, const LocalRateLimitConfig& limit) {
  Answer answer{
      limit.status, ResponseFlag::kRateLimited, "local_rate_limited", "local_rate_limited", {}};
  answer.grpc_status = limit.grpc_resource_exhausted ? 8 : 14;
  ApplyMutations(limit.response_headers, answer.headers, [&x] { return InputOf(x); });
  return answer;
}

std::optional<Answer> LimitRate(Exchange& x, const LocalRateLimitConfig& limit,
                                const SharedFilterConfig& config) {
  if (!limit.limited || !limit.enabled.Takes(x.worker().Random())) return std::nullopt;
  enum { kEnabled, kOk, kRateLimited, kEnforced };
  FilterState& state = StateOf(x, config, absl::StrCat(limit.stat_prefix, ".http_local_rate_limit"),
                               {"enabled", "ok", "rate_limited", "enforced"});
  ++*state.counters[kEnabled];
  const MonotonicTime now = x.loop().Now();
  if (!state.bucket.has_value()) state.bucket = MakeBucket(limit, x.worker(), now);
  const bool ok = state.bucket->Take(now);
  if (limit.x_ratelimit_headers) {
    x.notes.limit = &limit;
    x.notes.limit_most = state.bucket->most();
    x.notes.limit_left = state.bucket->left();
    x.notes.limit_reset_s =
        static_cast<int64_t>(std::ceil(absl::ToDoubleSeconds(state.bucket->UntilFill(now))));
  }
  if (ok) {
    ++*state.counters[kOk];
    return std::nullopt;
  }
  ++*state.counters[kRateLimited];
  if (!limit.enforced.Takes(x.worker().Random())) {
    ApplyMutations(limit.request_headers, x.head.headers, [&x] { return InputOf(x); });
    return std::nullopt;
  }
  ++*state.counters[kEnforced];
  return Limited(x, limit);
}

void ShowLimit(const FilterNotes& notes, Headers& headers) {
  headers.Set("x-ratelimit-limit", absl::StrCat(notes.limit_most));
  headers.Set("x-ratelimit-remaining", absl::StrCat(notes.limit_left));
  headers.Set("x-ratelimit-reset", absl::StrCat(notes.limit_reset_s));
}

// --- Header mutation

void Mutate(const std::vector<HeaderMutationConfig::Step>& steps, Exchange& x, Headers& headers,
            const ResponseHead* response) {
  for (const HeaderMutationConfig::Step& step : steps) {
    if (const auto* add = std::get_if<HeaderToAdd>(&step)) {
      ApplyAddition(*add, headers, [&] { return InputOf(x, response); });
    } else if (const auto* remove = std::get_if<HeaderMutationConfig::Remove>(&step)) {
      headers.Remove(remove->name);
    } else {
      const StringMatch& name = std::get<HeaderMutationConfig::RemoveMatching>(step).name;
      headers.RemoveIf([&](const HeaderView& header) { return name.Matches(header.name); });
    }
  }
}

const HeaderMutationConfig* AsMutation(const SharedFilterConfig* config) {
  return config != nullptr ? std::get_if<HeaderMutationConfig>(&**config) : nullptr;
}

// The filter's own changes come first, then the route's.
void MutateRequest(Exchange& x, const Active& active) {
  Mutate(std::get<HeaderMutationConfig>(*active.filter.config).request, x, x.head.headers, nullptr);
  const HeaderMutationConfig* route = AsMutation(active.over);
  if (route != nullptr) Mutate(route->request, x, x.head.headers, nullptr);
}

void MutateResponse(Exchange& x, const Active& active, ResponseHead& head) {
  Mutate(std::get<HeaderMutationConfig>(*active.filter.config).response, x, head.headers, &head);
  const HeaderMutationConfig* route = AsMutation(active.over);
  if (route != nullptr) Mutate(route->response, x, head.headers, &head);
}

}  // namespace

bool HasHttpFilters(const Exchange& x) { return !x.connection.config.filters.empty(); }

Task<std::optional<Answer>> RunRequestFilters(Exchange& x) {
  for (const HttpFilter& filter : x.connection.config.filters) {
    const std::optional<Active> active = Resolve(x, filter);
    if (!active.has_value()) continue;
    const SharedFilterConfig& config = active->shared();
    std::optional<Answer> answer;
    // An override of another filter's kind has no effect, as in Envoy.
    if (config->index() != filter.config->index()) continue;
    if (const auto* cors = std::get_if<CorsConfig>(&*config)) {
      answer = Cors(x, *cors, config);
    } else if (const auto* fault = std::get_if<FaultConfig>(&*config)) {
      answer = co_await Fault(x, *fault, config);
    } else if (const auto* limit = std::get_if<LocalRateLimitConfig>(&*config)) {
      answer = LimitRate(x, *limit, config);
    } else if (std::holds_alternative<HeaderMutationConfig>(*config)) {
      MutateRequest(x, *active);
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
    const std::optional<Active> active = Resolve(x, *it);
    if (active.has_value()) MutateResponse(x, *active, head);
  }
  if (x.notes.cors != nullptr) {
    AddCorsHeaders(std::get<CorsConfig>(*x.notes.cors), x.notes.cors_origin, head.headers);
  }
  if (x.notes.limit != nullptr) ShowLimit(x.notes, head.headers);
}

}  // namespace weft
