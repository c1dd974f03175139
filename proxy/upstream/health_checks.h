// HealthChecks: asks the endpoints of clusters with health_checks whether they are well, on the
// main thread.
//
// Configuration says which clusters (ConfigState::Checks), each endpoint has a task that checks it,
// tells what changed (to ConfigState::SetHealth), sleeps, and goes again. The first result is
// always told, so that nobody waits for it longer than the check's timeout and initial_jitter.
// Workers see the outcome as another EndpointSet; they check nothing themselves.
//
// Unlike in Envoy a cluster is checked at the same pace whether it is used or not
// (no_traffic_interval), and each check makes a connection of its own (reuse_connection): a check
// that has to connect finds out more.
#ifndef WEFT_PROXY_UPSTREAM_HEALTH_CHECKS_H_
#define WEFT_PROXY_UPSTREAM_HEALTH_CHECKS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/random/random.h"
#include "proxy/config/cluster_config.h"
#include "proxy/runtime/scope.h"

namespace weft {

class HealthChecks {
 public:
  using OnHealth = std::function<void(const std::string& cluster, const std::string& endpoint_key,
                                      CheckedHealth health)>;

  // As Envoy's health_check.* statistics, of all clusters together.
  struct Counters {
    uint64_t attempt = 0;
    uint64_t success = 0;
    uint64_t failure = 0;
  };

  // `loop` must outlive this. `on_health` is called from tasks, never from within Follow().
  // `default_mark` is SO_MARK where a cluster states none.
  HealthChecks(EventLoop& loop, std::optional<uint32_t> default_mark, OnHealth on_health);

  // Checks the endpoints of these from now on and no others. Not from `on_health`.
  void Follow(const std::vector<std::shared_ptr<const ClusterConfig>>& clusters);

  const Counters& counters() const { return counters_; }

 private:
  using Key = std::pair<std::string, std::string>;  // cluster and endpoint
  struct Endpoint {
    // As they are now; a check under way goes on with what it began with.
    std::shared_ptr<const ClusterConfig> cluster;
    EndpointConfig endpoint;
    Scope task;
  };

  Task<> KeepChecked(Key key, const Endpoint* endpoint);
  double Random() { return absl::Uniform(random_, 0.0, 1.0); }

  EventLoop& loop_;
  const std::optional<uint32_t> default_mark_;
  const OnHealth on_health_;
  absl::InsecureBitGen random_;
  Counters counters_;
  std::map<Key, std::unique_ptr<Endpoint>> endpoints_;
};

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_HEALTH_CHECKS_H_
