#include "controlplane/translate/tunnels.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "api/weft/tunnel.pb.h"
#include "controlplane/model/east_west_gateway.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/parts.h"

namespace weft {
namespace {

using envoy::config::core::v3::TransportSocket;
using proxy::v1::TunnelTransport;

TransportSocket SocketOf(const TunnelTransport& tunnel) {
  TransportSocket socket;
  socket.set_name("weft.transport_sockets.tunnel");
  *socket.mutable_typed_config() = PackAny(tunnel);
  return socket;
}

std::vector<Entrance> PeerGateways(const OutboundScope& scope, const Peer& peer) {
  std::vector<Entrance> v4, v6;
  for (const GatewayAddress& gateway : peer.gateways) {
    const bool is_v6 = IsIpv6(gateway.address);
    if (is_v6 ? !scope.families.v6 : !scope.families.v4) continue;
    Entrance entrance{gateway.address, gateway.port, "istio"};
    if (scope.tunnels && gateway.tunnel_port != 0) {
      entrance.port = gateway.tunnel_port;
      entrance.tls_mode = kTunnelMode;
    }
    (is_v6 ? v6 : v4).push_back(std::move(entrance));
  }
  return v4.empty() ? v6 : v4;
}

}  // namespace

std::string ReverseName(absl::string_view cluster, absl::string_view name) {
  return absl::StrCat(cluster, ".", name);
}

std::string ReverseMode(absl::string_view cluster) { return absl::StrCat("reverse-", cluster); }

TransportSocket TunnelSocket(const std::string& authority, const TransportSocket& inner) {
  // The trust domain is one that is trusted: our own, or a linked cluster's.
  envoy::type::matcher::v3::StringMatcher any_gateway;
  any_gateway.set_suffix(GatewayPath());
  TunnelTransport tunnel;
  tunnel.set_authority(authority);
  *tunnel.mutable_gateway() = GatewayUpstreamTls(any_gateway, "h2");
  *tunnel.mutable_inner() = inner;
  return SocketOf(tunnel);
}

TransportSocket ReverseSocket(const std::string& authority, const std::string& trust_domain) {
  TunnelTransport tunnel;
  tunnel.set_authority(authority);
  tunnel.set_reverse_of(trust_domain);
  return SocketOf(tunnel);
}

std::map<std::string, std::string> LinkedGateways(const World& world) {
  std::map<std::string, std::string> gateways;
  for (const auto& [cluster, peer] : world.peers) {
    gateways.emplace(peer->trust_domain, GatewayIdentity(peer->trust_domain));
  }
  return gateways;
}

std::vector<Entrance> EntrancesTo(const TranslationIndex& index, const OutboundScope& scope,
                                  const Peer& peer) {
  if (!peer.outbound_only) return PeerGateways(scope, peer);
  std::vector<Entrance> own;
  // Of two clusters that nobody can dial neither reaches the other.
  if (!scope.tunnels || index.world().self->outbound_only) return own;
  const bool elsewhere = !scope.cluster.empty() && scope.network != index.own().network;
  if (elsewhere) {
    for (Entrance& entrance : PeerGateways(scope, index.own())) {
      if (entrance.tls_mode != kTunnelMode) continue;
      entrance.tls_mode = ReverseMode(peer.cluster);
      own.push_back(std::move(entrance));
    }
    return own;
  }
  for (const Workload* pod : index.gateway_pods()) {
    const std::string address = AddressFor(scope.families, pod->address, pod->other_address);
    if (!address.empty()) own.push_back({address, kTunnelPort, ReverseMode(peer.cluster)});
  }
  return own;
}

}  // namespace weft
