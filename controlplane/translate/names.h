// The table that mesh DNS in the sidecar answers from.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_NAMES_H_
#define WEFT_CONTROLPLANE_TRANSLATE_NAMES_H_

#include <string>

#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"
#include "controlplane/translate/sidecar_scope.h"

namespace weft {

// One table, named "". A headless service is answered with the addresses of its own cluster's pods,
// each of which that has a hostname has a name too; an ExternalName service that stands for a
// service of the mesh as that one is. What has no address, and what is a wildcard, is left to the
// resolver that the client would ask without a mesh. A client is told of addresses of its own IP
// families alone: for the rest, the answer is that there is none.
EncodedResources NameTableFor(const TranslationIndex& index, const OutboundScope& client,
                              const VisibleServices& services);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_NAMES_H_
