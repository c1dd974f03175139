#include "controlplane/translate/reach.h"

namespace weft {
namespace {

const std::string& ClusterOf(const TranslationIndex& index, const OutboundScope& client) {
  return client.cluster.empty() ? index.own().cluster : client.cluster;
}

// Null if nothing is known of it.
const Peer* FindCluster(const TranslationIndex& index, const std::string& cluster) {
  if (cluster == index.own().cluster) return &index.own();
  const auto peer = index.world().peers.find(cluster);
  return peer == index.world().peers.end() ? nullptr : peer->second.get();
}

// A machine of the client's own cluster that is on another network is behind the gateways of that
// network; where nobody knows of any, it is taken to be within reach.
const Peer* PeerOnNetwork(const TranslationIndex& index, const std::string& network) {
  for (const auto& [cluster, peer] : index.world().peers) {
    if (peer->network == network && !peer->gateways.empty()) return peer.get();
  }
  return nullptr;
}

}  // namespace

bool IsClusterLocal(const Service& service) {
  return service.namespace_ == "kube-system" ||
         (service.namespace_ == "default" && service.name == "kubernetes");
}

bool IsOfAnother(const TranslationIndex& index, const OutboundScope& client, const Service& service,
                 const Endpoint& endpoint) {
  return IsClusterLocal(service) && endpoint.cluster != ClusterOf(index, client);
}

const Peer* PeerBefore(const TranslationIndex& index, const OutboundScope& client,
                       const Endpoint& endpoint) {
  const std::string& network = client.cluster.empty() ? index.own().network : client.network;
  if (!endpoint.remote() && (endpoint.network.empty() || endpoint.network == network)) {
    return nullptr;
  }
  if (endpoint.cluster != ClusterOf(index, client)) return FindCluster(index, endpoint.cluster);
  return endpoint.remote() ? nullptr : PeerOnNetwork(index, endpoint.network);
}

bool IsDialed(const TranslationIndex& index, const OutboundScope& client, const Service& service,
              const Endpoint& endpoint) {
  return !endpoint.remote() && PeerBefore(index, client, endpoint) == nullptr &&
         !IsOfAnother(index, client, service, endpoint);
}

}  // namespace weft
