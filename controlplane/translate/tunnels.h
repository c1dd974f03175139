// What clients and gateways say alike of tunnels between clusters (api/weft/tunnel.proto): names
// and transport sockets. For .cc files only: it includes generated headers.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_TUNNELS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_TUNNELS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "api/envoy/core.pb.h"
#include "controlplane/translate/index.h"

namespace weft {

inline constexpr uint16_t kTunnelPort = 15008;

// A service of a cluster that nobody can dial, as our own gateways know it: `name` is its server
// name. No cluster is called "outbound_", so the two forms are told apart by their first label.
std::string ReverseName(absl::string_view cluster, absl::string_view name);

// What an endpoint's metadata says under "tlsMode" if it is a gateway that takes tunnels, and if it
// is one of our own that leads to `cluster`.
inline constexpr char kTunnelMode[] = "tunnel";
std::string ReverseMode(absl::string_view cluster);

// Towards a gateway, ours or a linked cluster's. What is outside of the tunnel is equal for all
// services, so that they share connections, and for all links, so that a new one changes no
// cluster.
envoy::config::core::v3::TransportSocket TunnelSocket(
    const std::string& authority, const envoy::config::core::v3::TransportSocket& inner);
// Of a gateway, towards a cluster whose gateways dialed it.
envoy::config::core::v3::TransportSocket ReverseSocket(const std::string& authority,
                                                       const std::string& trust_domain);

// By trust domain: who the gateways of linked clusters are.
std::map<std::string, std::string> LinkedGateways(const World& world);

// Where a client dials to reach a peer's services.
struct Entrance {
  std::string address;
  uint16_t port = 0;
  std::string tls_mode;
};
// The peer's gateways; of one with addresses of both IP families those of one, as a pod behind it
// counts once. Of a peer that nobody can dial, our own gateways: their pods, or for a remote
// cluster's client on another network their addresses outside. None if such a client has no way.
std::vector<Entrance> EntrancesTo(const TranslationIndex& index, const OutboundScope& scope,
                                  const Peer& peer);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_TUNNELS_H_
