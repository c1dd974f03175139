#include "proxy/serve/upstream_choice.h"

#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_split.h"
#include "proxy/decide/pick_endpoint.h"
#include "proxy/serve/connection.h"

namespace weft {

UpstreamChoice::UpstreamChoice(Worker& worker, const ClusterConfig& cluster,
                               const Downstream& downstream, std::optional<uint64_t> hash)
    : worker_(worker), cluster_(cluster), state_(worker.StateOf(cluster.name)), hash_(hash) {
  if (cluster.type != ClusterType::kOriginalDst || downstream.meant_for_us) return;
  if (cluster.options->destination_header.empty()) SetOriginal(downstream.destination);
}

void UpstreamChoice::SetOriginal(const Address& address) {
  const uint16_t port = cluster_.options->destination_port;
  original_.emplace();
  original_->address = port == 0 ? address : address.WithPort(port);
  original_->port = original_->address.port();
  original_->key = original_->address.ToString();
  original_->tls = cluster_.tls;
  original_->proxy_protocol = cluster_.proxy_protocol;
  original_->tunnel = cluster_.tunnel;
}

// A field that is missing or no address leads nowhere, not to where the client wanted to.
void UpstreamChoice::UseHeaders(const Headers& headers) {
  const std::string& name = cluster_.options->destination_header;
  if (cluster_.type != ClusterType::kOriginalDst || name.empty()) return;
  const std::optional<absl::string_view> text = headers.Get(name);
  if (!text.has_value()) return;
  const absl::StatusOr<Address> address = Address::Parse(*text);
  const bool ip = address.ok() && (address->family() == AF_INET || address->family() == AF_INET6);
  if (ip) SetOriginal(*address);
}

void UpstreamChoice::Avoid(const std::string& pods, const std::string& key) {
  if (pods.empty()) return;
  const absl::flat_hash_set<absl::string_view> names = absl::StrSplit(pods, ',');
  const std::vector<EndpointConfig>& endpoints = cluster_.endpoints->endpoints;
  state_.load.Adopt(cluster_.endpoints, worker_.loop().Now());
  for (size_t i = 0; i < endpoints.size(); ++i) {
    if (names.contains(worker_.PodName(key, endpoints[i].address))) {
      tried_.push_back(state_.load.at(i));
    }
  }
}

const EndpointConfig* UpstreamChoice::Next() {
  if (cluster_.type == ClusterType::kOriginalDst) {
    if (!original_.has_value()) return nullptr;
    load_ = std::make_shared<EndpointLoad>();
    return Chosen(*original_);
  }
  PickFacts facts;
  facts.random = worker_.Random();
  facts.now = worker_.loop().Now();
  facts.hash = hash_;
  facts.tried = tried_;
  facts.subset = subset_;
  facts.zones = worker_.config()->local_zones.get();
  const PickedEndpoint picked = PickEndpointWithReason(cluster_, state_.load, facts);
  ClusterCounters& counters = state_.counters;
  if (picked.panic) ++counters.lb_healthy_panic;
  if (picked.subset == PickedEndpoint::Subset::kSelected) ++counters.lb_subsets_selected;
  if (picked.subset == PickedEndpoint::Subset::kFallback) ++counters.lb_subsets_fallback;
  if (!picked.index.has_value()) return nullptr;
  load_ = state_.load.at(*picked.index);
  tried_.push_back(load_);
  return Chosen(cluster_.endpoints->endpoints[*picked.index]);
}

const EndpointConfig* UpstreamChoice::Chosen(const EndpointConfig& endpoint) {
  endpoint_ = &endpoint;
  pod_.clear();
  return endpoint_;
}

// Those behind the endpoint chosen last, if what comes of the attempt is one's of them; else null.
PodLoads* UpstreamChoice::Pods() {
  if (pod_.empty()) return nullptr;
  const auto pool = state_.pools.find(endpoint_->key);
  if (pool == state_.pools.end()) return nullptr;
  PodLoads& pods = pool->second.pods();
  pods.Judge(cluster_.outlier.get(), Now());
  return &pods;
}

void UpstreamChoice::ConnectFailed() {
  ++state_.counters.upstream_cx_connect_fail;
  const LocalFailure failure = LocalFailure::kConnect;
  PodLoads* pods = Pods();
  // Its pool leaves the pod out already.
  if (pods != nullptr && pods->FailedLocally(pod_, failure, cluster_.outlier.get(), Now())) return;
  state_.load.ConnectFailed(*load_, worker_.loop().Now());
  state_.load.FailedLocally(cluster_, *load_, failure, Now());
}

void UpstreamChoice::ConnectSucceeded(bool final) {
  ++state_.counters.upstream_cx_total;
  state_.load.Connected(cluster_, *load_, final);
}

void UpstreamChoice::Responded(int status, absl::Duration latency) {
  PodLoads* pods = Pods();
  const bool noted =
      pods != nullptr && pods->Responded(pod_, status, cluster_.outlier.get(), Now());
  if (noted && status >= 500) return;
  state_.load.Responded(cluster_, *load_, status, latency, Now());
}

void UpstreamChoice::LocalFailed(LocalFailure failure) {
  PodLoads* pods = Pods();
  if (pods != nullptr && pods->FailedLocally(pod_, failure, cluster_.outlier.get(), Now())) return;
  state_.load.FailedLocally(cluster_, *load_, failure, Now());
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
