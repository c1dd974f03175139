// Resources of the east-west gateway: it takes what peers' sidecars send, looks at the server name
// and nothing else, and passes the bytes to a pod of this cluster.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_GATEWAY_H_
#define WEFT_CONTROLPLANE_TRANSLATE_GATEWAY_H_

#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace weft {

// Only exported services get a cluster; a server name without one closes the connection. `families`
// are the gateway's own.
Resources GatewayResources(const TranslationIndex& index, IpFamilies families);
// The part of it that one service makes.
Resources GatewayServiceResources(const TranslationIndex& index, IpFamilies families,
                                  const Service& service);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_GATEWAY_H_
