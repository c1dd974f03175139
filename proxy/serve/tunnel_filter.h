// The filter "weft.filters.http.tunnel" at a gateway where tunnels end (api/weft/tunnel.proto):
// says whom a tunnel is for, whoever claims to be somebody else, and takes note of which pods the
// client wants to avoid.
#ifndef WEFT_PROXY_SERVE_TUNNEL_FILTER_H_
#define WEFT_PROXY_SERVE_TUNNEL_FILTER_H_

#include "proxy/config/tunnel_config.h"

namespace weft {

struct Exchange;

void RunTunnel(Exchange& x, const TunnelTerminationConfig& config);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_TUNNEL_FILTER_H_
