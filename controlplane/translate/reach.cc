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

// A machine of the client's own cluster on another network is behind the gateways of that network;
// where nobody knows of any, it is taken to be within reach.
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
  const bool within_reach = endpoint.network.empty() || endpoint.network == network;
  if (within_reach && !endpoint.remote()) return nullptr;
  // What has no address is a group of a linked cluster, or a ServiceEntry's endpoint that states
  // nothing but its network.
  const std::string& near = endpoint.remote() ? index.own().cluster : ClusterOf(index, client);
  if (endpoint.cluster != near) return FindCluster(index, endpoint.cluster);
  return within_reach ? nullptr : PeerOnNetwork(index, endpoint.network);
}

bool IsDialed(const TranslationIndex& index, const OutboundScope& client, const Service& service,
              const Endpoint& endpoint) {
  return !endpoint.remote() && PeerBefore(index, client, endpoint) == nullptr &&
         !IsOfAnother(index, client, service, endpoint);
}

}  // namespace weft
