// Where a request or connection goes next: the endpoint that the balancer picks, and a connection
// to it. Failures to connect are remembered, so that the next pick avoids that endpoint for a
// while: this is what makes failover work without any outlier setting.
#ifndef WEFT_PROXY_SERVE_UPSTREAM_CHOICE_H_
#define WEFT_PROXY_SERVE_UPSTREAM_CHOICE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/config/cluster_config.h"
#include "proxy/runtime/task.h"
#include "proxy/serve/worker.h"
#include "proxy/upstream/connection.h"

namespace weft {

struct Downstream;

// The attempts of one request (or connection) towards one cluster.
class UpstreamChoice {
 public:
  // `cluster` must be alive as long as this; the destination of `downstream` is what ORIGINAL_DST
  // clusters connect to.
  UpstreamChoice(Worker& worker, const ClusterConfig& cluster, const Downstream& downstream,
                 std::optional<uint64_t> hash);

  // The endpoint for the next attempt, not one tried before while another is left; null if none.
  // Valid as long as this object and the cluster.
  const EndpointConfig* Next();
  // What came of connecting to it.
  void ConnectFailed();
  void ConnectSucceeded();

  const ClusterConfig& cluster() const { return cluster_; }
  ClusterState& state() const { return state_; }
  const std::shared_ptr<EndpointLoad>& load() const {
    return load_;
  }  // of the endpoint chosen last

 private:
  Worker& worker_;
  const ClusterConfig& cluster_;
  ClusterState& state_;
  std::optional<uint64_t> hash_;
  std::shared_ptr<EndpointLoad> load_;
  std::vector<std::shared_ptr<EndpointLoad>> tried_;
  // Of an ORIGINAL_DST cluster; none if that would be ourselves.
  std::optional<EndpointConfig> original_;
};

// Counts a request against the endpoint chosen last, and its cluster, for as long as it is under
// way.
class ActiveRequest {
 public:
  explicit ActiveRequest(const UpstreamChoice& choice);
  ~ActiveRequest();
  ActiveRequest(const ActiveRequest&) = delete;
  ActiveRequest& operator=(const ActiveRequest&) = delete;

 private:
  ClusterState& state_;
  // Shared: the endpoint may leave the config before the request ends.
  const std::shared_ptr<EndpointLoad> load_;
};

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_UPSTREAM_CHOICE_H_
