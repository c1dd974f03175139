#include "proxy/decide/outlier.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "proxy/decide/random.h"

namespace weft {
namespace {

bool IsGatewayFailure(int status) { return status == 502 || status == 503 || status == 504; }

// What a failure that the proxy saw counts as where the two are not split.
int StatusOf(LocalFailure failure) { return failure == LocalFailure::kTimeout ? 504 : 503; }

void StartAnew(OutlierState& state) {
  state.consecutive_5xx = 0;
  state.consecutive_gateway_failure = 0;
  state.consecutive_local_failure = 0;
}

}  // namespace

// The success of one endpoint in an interval, in percent.
struct OutlierDetector::Rate {
  OutlierState* state;
  double percent;
};

bool OutlierDetector::OnResponse(const OutlierConfig& config, const Facts& facts, int status,
                                 OutlierState& state, OutlierCounters& counters) {
  return OnCode(config, facts, status, state, counters);
}

bool OutlierDetector::OnLocalFailure(const OutlierConfig& config, const Facts& facts,
                                     LocalFailure failure, OutlierState& state,
                                     OutlierCounters& counters) {
  if (!config.split_external_local_origin_errors) {
    return OnCode(config, facts, StatusOf(failure), state, counters);
  }
  ++state.local.total;
  if (++state.consecutive_local_failure < config.consecutive_local_origin_failure) return false;
  state.consecutive_local_failure = 0;
  return Detected(config, facts, config.enforcing_consecutive_local_origin_failure, state,
                  counters.consecutive_local_origin_failure, counters);
}

void OutlierDetector::OnConnected(const OutlierConfig& config, bool final, OutlierState& state) {
  if (config.split_external_local_origin_errors) {
    state.consecutive_local_failure = 0;
    ++state.local.total;
    ++state.local.succeeded;
  } else if (final) {
    state.consecutive_5xx = 0;
    state.consecutive_gateway_failure = 0;
    ++state.answered.total;
    ++state.answered.succeeded;
  }
}

bool OutlierDetector::OnCode(const OutlierConfig& config, const Facts& facts, int status,
                             OutlierState& state, OutlierCounters& counters) {
  ++state.answered.total;
  if (status < 500) {
    ++state.answered.succeeded;
    state.consecutive_5xx = 0;
    state.consecutive_gateway_failure = 0;
    return false;
  }
  if (!IsGatewayFailure(status)) {
    state.consecutive_gateway_failure = 0;
  } else if (++state.consecutive_gateway_failure >= config.consecutive_gateway_failure) {
    state.consecutive_gateway_failure = 0;
    if (Detected(config, facts, config.enforcing_consecutive_gateway_failure, state,
                 counters.consecutive_gateway_failure, counters)) {
      return true;
    }
  }
  if (++state.consecutive_5xx < config.consecutive_5xx) return false;
  state.consecutive_5xx = 0;
  return Detected(config, facts, config.enforcing_consecutive_5xx, state, counters.consecutive_5xx,
                  counters);
}

// Ejects, if it is to be enforced and not too many are ejected already.
bool OutlierDetector::Detected(const OutlierConfig& config, const Facts& facts, uint32_t enforcing,
                               OutlierState& state, OutlierCounters::Kind& kind,
                               OutlierCounters& counters) {
  if (state.ejected) return false;  // requests that were under way
  ++kind.detected;
  uint64_t random = facts.random;
  if (Below(100, NextRandom(random)) >= enforcing) return false;
  const bool fits = (ejected_ + 1) * 100 <= facts.hosts * config.max_ejection_percent;
  if (!fits && !(config.always_eject_one_host && ejected_ == 0)) {
    ++counters.ejections_overflow;
    return false;
  }
  ++state.ejections;
  const absl::Duration longest = std::max(config.max_ejection_time, config.base_ejection_time);
  const double part = static_cast<double>(Below(1'000'000, NextRandom(random))) / 1e6;
  state.ejected = true;
  state.ejected_until = facts.now + std::min(config.base_ejection_time * state.ejections, longest) +
                        part * config.max_ejection_time_jitter;
  StartAnew(state);
  ++ejected_;
  ++kind.enforced;
  ++counters.ejections_enforced_total;
  counters.ejections_active = ejected_;
  return true;
}

void OutlierDetector::LetIn(OutlierState& state, OutlierCounters& counters) {
  state.ejected = false;
  StartAnew(state);
  state.answered = state.local = {};
  --ejected_;
  counters.ejections_active = ejected_;
}

bool OutlierDetector::LetInWhoseTimeIsOver(const Facts& facts,
                                           absl::Span<OutlierState* const> states,
                                           OutlierCounters& counters) {
  bool changed = false;
  for (OutlierState* state : states) {
    if (!state->ejected) {
      // Each interval in which it behaves makes the next ejection shorter again.
      if (state->ejections > 0) --state->ejections;
    } else if (facts.now >= state->ejected_until) {
      LetIn(*state, counters);
      changed = true;
    }
  }
  return changed;
}

bool OutlierDetector::Judge(const OutlierConfig& config, const Facts& facts,
                            absl::Span<OutlierState* const> states, OutlierCounters& counters) {
  const bool first = due_ == -absl::InfiniteDuration();
  due_ = facts.now + config.interval;
  if (first) return false;
  bool changed = LetInWhoseTimeIsOver(facts, states, counters);
  changed |= JudgeRates(config, facts, states, /*local=*/false, counters);
  if (config.split_external_local_origin_errors) {
    changed |= JudgeRates(config, facts, states, /*local=*/true, counters);
  }
  for (OutlierState* state : states) state->answered = state->local = {};
  return changed;
}

bool OutlierDetector::JudgeRates(const OutlierConfig& config, const Facts& facts,
                                 absl::Span<OutlierState* const> states, bool local,
                                 OutlierCounters& counters) {
  std::vector<Rate> for_success;
  std::vector<Rate> for_failure;
  for (OutlierState* state : states) {
    const OutlierState::Tally& tally = local ? state->local : state->answered;
    if (state->ejected || tally.total == 0) continue;
    const Rate rate = {state, 100.0 * tally.succeeded / tally.total};
    if (tally.total >= config.success_rate_request_volume) for_success.push_back(rate);
    if (tally.total >= config.failure_percentage_request_volume) for_failure.push_back(rate);
  }
  Facts each = facts;
  bool changed = false;
  if (!for_success.empty() && for_success.size() >= config.success_rate_minimum_hosts) {
    double mean = 0;
    for (const Rate& rate : for_success) mean += rate.percent / for_success.size();
    double variance = 0;
    for (const Rate& rate : for_success) {
      variance += (rate.percent - mean) * (rate.percent - mean) / for_success.size();
    }
    const double least = mean - std::sqrt(variance) * config.success_rate_stdev_factor / 1000;
    for (const Rate& rate : for_success) {
      if (rate.percent >= least) continue;
      each.random = NextRandom(each.random);
      changed |= Detected(
          config, each,
          local ? config.enforcing_local_origin_success_rate : config.enforcing_success_rate,
          *rate.state, local ? counters.local_origin_success_rate : counters.success_rate,
          counters);
    }
  }
  if (!for_failure.empty() && for_failure.size() >= config.failure_percentage_minimum_hosts) {
    for (const Rate& rate : for_failure) {
      if (100 - rate.percent < config.failure_percentage_threshold) continue;
      each.random = NextRandom(each.random);
      changed |= Detected(
          config, each,
          local ? config.enforcing_failure_percentage_local_origin
                : config.enforcing_failure_percentage,
          *rate.state,
          local ? counters.local_origin_failure_percentage : counters.failure_percentage, counters);
    }
  }
  return changed;
}

bool OutlierDetector::Forget(absl::Span<OutlierState* const> states, OutlierCounters& counters) {
  const bool any = ejected_ > 0;
  for (OutlierState* state : states) *state = OutlierState();
  ejected_ = 0;
  counters.ejections_active = 0;
  return any;
}

size_t OutlierDetector::CountEjected(absl::Span<OutlierState* const> states) {
  return std::count_if(states.begin(), states.end(),
                       [](const OutlierState* state) { return state->ejected; });
}

}  // namespace weft
