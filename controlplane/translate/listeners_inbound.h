// The inbound listener of a sidecar: per port of its pod, who may connect and how it is read.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_LISTENERS_INBOUND_H_
#define WEFT_CONTROLPLANE_TRANSLATE_LISTENERS_INBOUND_H_

#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace weft {

EncodedResources InboundListeners(const TranslationIndex& index, const ProxyView& view);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_LISTENERS_INBOUND_H_
