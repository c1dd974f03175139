// Resources brought up to date after a change of endpoints, at the cost of the change: what the
// change does not concern keeps its bytes, at the same address. Pure, and equal to a translation
// from scratch (controlplane/translations_test.cc holds it to that).
#ifndef WEFT_CONTROLPLANE_TRANSLATE_REFRESH_H_
#define WEFT_CONTROLPLANE_TRANSLATE_REFRESH_H_

#include <string>
#include <vector>

#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace weft {

// `former` is what this function or OutboundResources made for the scope; since then nothing but
// the endpoints of the services with these keys changed.
Resources RefreshOutbound(const TranslationIndex& index, const OutboundScope& scope,
                          const std::vector<std::string>& keys, const Resources& former);
// The same of GatewayResources, and of ProxylessResources.
Resources RefreshGateway(const TranslationIndex& index, const OutboundScope& scope,
                         const std::vector<std::string>& keys, const Resources& former);
Resources RefreshProxyless(const TranslationIndex& index, const OutboundScope& scope,
                           const std::vector<std::string>& keys, const Resources& former);

// `former` is current but for the VirtualServices: what leads to clusters, made anew, the clusters
// left alone.
Resources RefreshOutboundRoutes(const TranslationIndex& index, const OutboundScope& scope,
                                const Resources& former);

// `fresh`, sharing what it has in common with `former`.
Resources ShareEqual(const Resources& former, const Resources& fresh);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_REFRESH_H_
