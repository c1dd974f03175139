// How a client comes to an endpoint: it dials it itself, or goes through the gateways of the
// cluster that the endpoint is in; or not at all.
//
// Who is on the endpoint's network dials it, whichever cluster either is in. Else what a linked
// cluster tells of, and the pods of a cluster that is read by its API server, are behind that
// cluster's gateways, and ours, for the clients of a remote cluster, behind our own.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_REACH_H_
#define WEFT_CONTROLPLANE_TRANSLATE_REACH_H_

#include "controlplane/translate/index.h"

namespace weft {

// Whether each cluster has this of its own, for its own pods: kube-system's services, and the API
// server. As Istio has it by default (serviceSettings, clusterLocal).
bool IsClusterLocal(const Service& service);

// Whether the endpoint is none of the client's, however it could come there.
bool IsOfAnother(const TranslationIndex& index, const OutboundScope& client, const Service& service,
                 const Endpoint& endpoint);

// The cluster whose gateways the endpoint is reached through; null if it is dialed itself. The
// cluster may have no gateways: then there is no way. Null, too, for a group of a cluster that is
// not known.
const Peer* PeerBefore(const TranslationIndex& index, const OutboundScope& client,
                       const Endpoint& endpoint);

// Whether the client dials the endpoint's own address.
bool IsDialed(const TranslationIndex& index, const OutboundScope& client, const Service& service,
              const Endpoint& endpoint);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_REACH_H_
