// Resources of proxyless clients: applications that dial "xds:///NAME.NS.svc.cluster.local:PORT" by
// gRPC's own xDS client (gRFC A27 and those after it), without a sidecar.
//
// A listener of that name leads to the service's routes, from the same VirtualServices as a
// sidecar's; what gRPC cannot do of them is left out, and what it would refuse is not sent. Such a
// client has no mesh TLS: it sees the pods of this cluster, in plain.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_PROXYLESS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_PROXYLESS_H_

#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace weft {

Resources ProxylessResources(const TranslationIndex& index, const OutboundScope& scope);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_PROXYLESS_H_
