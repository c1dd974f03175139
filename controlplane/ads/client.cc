#include "controlplane/ads/client.h"

#include <utility>

namespace weft {
namespace {

constexpr DeliveryRules kWholeState = {.full_state = true, .wildcard = true};
constexpr DeliveryRules kByName = {.full_state = false, .wildcard = false};

const ResourceType kResourceTypes[] = {
    {"sds", "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
     &Resources::secrets, kByName},
    {"cds", "type.googleapis.com/envoy.config.cluster.v3.Cluster", &Resources::clusters,
     kWholeState},
    {"eds", "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
     &Resources::endpoints, kByName},
    {"lds", "type.googleapis.com/envoy.config.listener.v3.Listener", &Resources::listeners,
     kWholeState},
    {"rds", "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", &Resources::routes,
     kByName},
    {"nds", "type.googleapis.com/istio.networking.nds.v1.NameTable", &Resources::name_table,
     kWholeState},
};
constexpr size_t kClusters = 1;
constexpr size_t kEndpoints = 2;

}  // namespace

absl::Span<const ResourceType> ResourceTypes() { return kResourceTypes; }

const ResourceType* FindResourceType(absl::string_view url) {
  for (const ResourceType& type : kResourceTypes) {
    if (type.url == url) return &type;
  }
  return nullptr;
}

template <typename Of>
Received BasicAdsClient<Of>::OnRequest(const ResourceType& type,
                                       const typename Of::Request& request) {
  static_assert(std::size(kResourceTypes) == kTypes);
  std::optional<Of>& subscription = subscriptions_[&type - kResourceTypes];
  if (!subscription.has_value()) subscription.emplace(type.rules);
  return subscription->OnRequest(request);
}

template <typename Of>
std::vector<typename BasicAdsClient<Of>::Response> BasicAdsClient<Of>::Next(
    const Resources& resources, const std::string& version) {
  std::vector<Response> responses;
  for (size_t i = 0; i < kTypes; ++i) {
    if (!subscriptions_[i].has_value()) continue;
    const ResourceType& type = kResourceTypes[i];
    auto body = subscriptions_[i]->Next(resources.*type.resources, version);
    if (!body.has_value()) continue;
    if (i == kClusters && subscriptions_[kEndpoints].has_value()) {
      // A cluster that changed is warmed anew, and waits for endpoints even if those are the same.
      for (const auto& [name, cluster] : body->changed) subscriptions_[kEndpoints]->Forget(name);
    }
    Response response;
    response.type = &type;
    response.body = *std::move(body);
    responses.push_back(std::move(response));
  }
  return responses;
}

template <typename Of>
const Of* BasicAdsClient<Of>::Find(const ResourceType& type) const {
  const std::optional<Of>& subscription = subscriptions_[&type - kResourceTypes];
  return subscription.has_value() ? &*subscription : nullptr;
}

template class BasicAdsClient<Subscription>;
template class BasicAdsClient<DeltaSubscription>;

}  // namespace weft
