#include "proxy/upstream/health_checks.h"

#include <set>

#include "proxy/base/log.h"
#include "proxy/upstream/check_endpoint.h"
#include "proxy/upstream/health_state.h"

namespace weft {
namespace {

const char* NameOf(CheckedHealth health) {
  switch (health) {
    case CheckedHealth::kPassing:
      return "healthy";
    case CheckedHealth::kDegraded:
      return "degraded";
    case CheckedHealth::kFailing:
    case CheckedHealth::kNotChecked:
      break;
  }
  return "unhealthy";
}

void LogHealth(const std::string& cluster, const std::string& endpoint, CheckedHealth health,
               const std::string& reason) {
  const LogLevel level = health == CheckedHealth::kFailing ? LogLevel::kWarning : LogLevel::kInfo;
  Log(level, "health_changed",
      {{"cluster", cluster},
       {"endpoint", endpoint},
       {"health", NameOf(health)},
       {"reason", reason}});
}

void LogFailed(const std::string& cluster, const std::string& endpoint, const std::string& reason) {
  Log(LogLevel::kInfo, "health_check_failed",
      {{"cluster", cluster}, {"endpoint", endpoint}, {"reason", reason}});
}

}  // namespace

HealthChecks::HealthChecks(EventLoop& loop, std::optional<uint32_t> default_mark,
                           OnHealth on_health)
    : loop_(loop), default_mark_(default_mark), on_health_(std::move(on_health)) {}

void HealthChecks::Follow(const std::vector<std::shared_ptr<const ClusterConfig>>& clusters) {
  std::set<Key> wanted;
  for (const std::shared_ptr<const ClusterConfig>& cluster : clusters) {
    for (const EndpointConfig& one : cluster->endpoints->endpoints) {
      if (one.checked == CheckedHealth::kNotChecked) continue;  // told not to
      const Key key(cluster->name, one.key);
      if (!wanted.insert(key).second) continue;
      std::unique_ptr<Endpoint>& endpoint = endpoints_[key];
      const bool is_new = endpoint == nullptr;
      if (is_new) endpoint = std::make_unique<Endpoint>();
      endpoint->cluster = cluster;
      endpoint->endpoint = one;
      if (is_new) endpoint->task.Spawn(KeepChecked(key, endpoint.get()));
    }
  }
  for (auto it = endpoints_.begin(); it != endpoints_.end();) {
    it = wanted.count(it->first) == 0 ? endpoints_.erase(it) : std::next(it);
  }
}

Task<> HealthChecks::KeepChecked(Key key, const Endpoint* endpoint) {
  HealthState state;
  // Waits even if there is no jitter: nothing is told from within Follow().
  co_await Sleep(loop_, Random() * endpoint->cluster->health_check->initial_jitter);
  while (true) {
    const std::shared_ptr<const ClusterConfig> cluster = endpoint->cluster;
    const EndpointConfig target = endpoint->endpoint;
    const HealthCheckConfig& check = *cluster->health_check;
    ++counters_.attempt;
    const CheckOutcome outcome = co_await CheckEndpoint(loop_, *cluster, target, default_mark_);
    const bool passed =
        outcome.result == CheckResult::kPassed || outcome.result == CheckResult::kDegraded;
    ++(passed ? counters_.success : counters_.failure);
    if (!passed && check.log_failures) LogFailed(key.first, key.second, outcome.reason);
    if (state.Note(check, outcome.result)) {
      LogHealth(key.first, key.second, state.health(), outcome.reason);
      on_health_(key.first, key.second, state.health());
    }
    co_await Sleep(loop_, state.NextIn(check, Random()));
  }
}

}  // namespace weft
