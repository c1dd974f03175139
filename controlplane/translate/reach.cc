#include "controlplane/translate/reach.h"

namespace weft {

const Peer* PeerBefore(const TranslationIndex& index, const OutboundScope& client,
                       const Endpoint& endpoint) {
  const World& world = index.world();
  if (endpoint.remote() && endpoint.cluster != world.self->cluster) {
    auto peer = world.peers.find(endpoint.cluster);
    return peer == world.peers.end() ? nullptr : peer->second.get();
  }
  if (endpoint.network.empty() || endpoint.network == world.self->network) return nullptr;
  for (const auto& [cluster, peer] : world.peers) {
    if (peer->network == endpoint.network && !peer->gateways.empty()) return peer.get();
  }
  return nullptr;
}

}  // namespace weft
