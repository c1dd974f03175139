// Translate: a World as one proxy needs to see it, in xDS. Pure: equal arguments, equal bytes.
//
// A server of many proxies makes one TranslationIndex per World and keeps the outbound resources by
// OutboundScope; Translate is these parts put together.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_TRANSLATE_H_
#define WEFT_CONTROLPLANE_TRANSLATE_TRANSLATE_H_

#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace weft {

// Requires world.self. The address in a view may be unknown: then there are no inbound ports.
Resources Translate(const World& world, const ProxyView& view);
Resources Translate(const TranslationIndex& index, const ProxyView& view);

// What sidecars of one scope share, and what is a pod's own. The names of the two are disjoint.
Resources OutboundResources(const TranslationIndex& index, const OutboundScope& scope);
Resources InboundResources(const TranslationIndex& index, const ProxyView& view);

// Adds `more` to `to`, sharing the bytes.
void AddResources(const Resources& more, Resources& to);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_TRANSLATE_H_
