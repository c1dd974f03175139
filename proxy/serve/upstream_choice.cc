#include "proxy/serve/upstream_choice.h"

#include <utility>

#include "proxy/decide/pick_endpoint.h"
#include "proxy/serve/connection.h"

namespace weft {

UpstreamChoice::UpstreamChoice(Worker& worker, const ClusterConfig& cluster,
                               const Downstream& downstream, std::optional<uint64_t> hash)
    : worker_(worker), cluster_(cluster), state_(worker.StateOf(cluster.name)), hash_(hash) {
  if (cluster.type != ClusterType::kOriginalDst || downstream.meant_for_us) return;
  original_.emplace();
  original_->address = downstream.destination;
  original_->key = downstream.destination.ToString();
  original_->tls = cluster.tls;
  original_->proxy_protocol = cluster.proxy_protocol;
}

const EndpointConfig* UpstreamChoice::Next() {
  if (cluster_.type == ClusterType::kOriginalDst) {
    if (!original_.has_value()) return nullptr;
    load_ = std::make_shared<EndpointLoad>();
    return &*original_;
  }
  PickFacts facts;
  facts.random = worker_.Random();
  facts.now = worker_.loop().Now();
  facts.hash = hash_;
  facts.tried = tried_;
  const std::optional<size_t> picked = PickEndpoint(cluster_, state_.load, facts);
  if (!picked.has_value()) return nullptr;
  load_ = state_.load.at(*picked);
  tried_.push_back(load_);
  return &cluster_.endpoints->endpoints[*picked];
}

void UpstreamChoice::ConnectFailed() {
  ++state_.counters.upstream_cx_connect_fail;
  load_->ConnectFailed(worker_.loop().Now());
}

void UpstreamChoice::ConnectSucceeded() {
  ++state_.counters.upstream_cx_total;
  load_->ConnectSucceeded();
}

ActiveRequest::ActiveRequest(const UpstreamChoice& choice)
    : state_(choice.state()), load_(choice.load()) {
  ++load_->active;
  ++state_.active_requests;
}

ActiveRequest::~ActiveRequest() {
  --load_->active;
  --state_.active_requests;
}

}  // namespace weft
