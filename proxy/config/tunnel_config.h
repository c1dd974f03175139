// TunnelConfig: how connections to an endpoint are made by tunnels (api/weft/tunnel.proto).
// Immutable, shared by pointer, any thread.
#ifndef WEFT_PROXY_CONFIG_TUNNEL_CONFIG_H_
#define WEFT_PROXY_CONFIG_TUNNEL_CONFIG_H_

#include <map>
#include <memory>
#include <string>

namespace weft {

class ClientTlsContext;

struct TunnelConfig {
  std::string authority;  // of CONNECT: what the gateway routes by
  // With the gateway; null with `reverse_of`. Another object after a rotation, and then a
  // connection that was made with it is not used again.
  std::shared_ptr<const ClientTlsContext> gateway;
  // The trust domain whose gateways dialed us, so that we open streams on what they dialed.
  std::string reverse_of;
};

// The filter "weft.filters.http.tunnel".
struct TunnelTerminationConfig {
  std::map<std::string, std::string> gateways;  // identity of a gateway by its trust domain
  std::string pod_name_key;                     // "": the process's own
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_TUNNEL_CONFIG_H_
