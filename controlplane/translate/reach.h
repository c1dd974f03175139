// How a client comes to an endpoint: it dials it itself, or goes through the gateways of the
// cluster that the endpoint is in. Pure.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_REACH_H_
#define WEFT_CONTROLPLANE_TRANSLATE_REACH_H_

#include "controlplane/translate/index.h"

namespace weft {

// The cluster whose gateways the endpoint is reached through; null if it is dialed itself, or
// nothing is known of its cluster. A machine on another network is behind the gateways of that
// network, if there are any.
const Peer* PeerBefore(const TranslationIndex& index, const OutboundScope& client,
                       const Endpoint& endpoint);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_REACH_H_
