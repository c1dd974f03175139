// Resources of the east-west gateway: it takes what peers' sidecars send, looks at the server name
// and nothing else, and passes the bytes to a pod of its cluster:
// ours, or a remote one whose proxies we serve.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_GATEWAY_H_
#define WEFT_CONTROLPLANE_TRANSLATE_GATEWAY_H_

#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace weft {

// What a gateway's resources depend on, and all gateways alike share: its IP families, whether it
// knows tunnels, and the remote cluster that it is of.
OutboundScope GatewayScopeOf(const TranslationIndex& index, const ProxyView& view);

// Only exported services get a cluster; a server name without one closes the connection.
Resources GatewayResources(const TranslationIndex& index, const OutboundScope& scope);
// What of it one service makes for clients in other clusters.
Resources GatewayServiceResources(const TranslationIndex& index, const OutboundScope& scope,
                                  const Service& service);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_GATEWAY_H_
