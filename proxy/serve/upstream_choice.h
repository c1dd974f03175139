// Where a request or connection goes next: the endpoint that the balancer picks. What came of each
// attempt is reported here, since the next picks go by it: failures to connect are remembered, so
// that an endpoint is avoided for a while, which makes failover work without any outlier setting;
// answers and failures feed outlier detection and how long endpoints are expected to take.
//
// Of each attempt that Next() gave an endpoint for, whoever makes it calls: ConnectFailed() or, if
// a connection was made, ConnectSucceeded(); then, over HTTP, Responded() with the response's head,
// or LocalFailure() if none came. An attempt that the client ended is not reported.
#ifndef WEFT_PROXY_SERVE_UPSTREAM_CHOICE_H_
#define WEFT_PROXY_SERVE_UPSTREAM_CHOICE_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "proxy/config/cluster_config.h"
#include "proxy/decide/outlier.h"
#include "proxy/http/head.h"
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

  // What the route wants of the endpoint's metadata; must live as long as this. Before Next().
  void Want(const SubsetCriteria* subset) { subset_ = subset; }
  // Endpoints that are as good as tried before, by their PodName() with that key. Before Next().
  void Avoid(const std::string& pods, const std::string& key);
  // The fields of the request, for an ORIGINAL_DST cluster that goes by one. Before Next().
  void UseHeaders(const Headers& headers);

  // The endpoint for the next attempt, not one tried before while another is left; null if none.
  // Valid as long as this object and the cluster.
  const EndpointConfig* Next();
  // Of an attempt by a tunnel, as soon as it is known: the pod at its other end, as the gateway
  // calls it, or "". What comes of the attempt is held against that pod and not the gateway.
  void Reached(const std::string& pod) { pod_ = pod; }
  // What came of connecting to it; `final`: nothing more will be reported (TCP).
  void ConnectFailed();
  void ConnectSucceeded(bool final = false);
  // The head of a response, so long after the request was sent to it.
  void Responded(int status, absl::Duration latency);
  // No response came. Not for a failed connect, which ConnectFailed() reports.
  void LocalFailed(LocalFailure failure);

  const ClusterConfig& cluster() const { return cluster_; }
  ClusterState& state() const { return state_; }
  const std::shared_ptr<EndpointLoad>& load() const {
    return load_;
  }  // of the endpoint chosen last

 private:
  void SetOriginal(const Address& address);
  const EndpointConfig* Chosen(const EndpointConfig& endpoint);
  PodLoads* Pods();
  ClusterLoad::Attempt Now() { return {worker_.loop().Now(), worker_.Random()}; }

  Worker& worker_;
  const ClusterConfig& cluster_;
  ClusterState& state_;
  std::optional<uint64_t> hash_;
  const SubsetCriteria* subset_ = nullptr;
  const EndpointConfig* endpoint_ = nullptr;
  std::string pod_;
  std::shared_ptr<EndpointLoad> load_;
  absl::InlinedVector<std::shared_ptr<EndpointLoad>, 2> tried_;
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
