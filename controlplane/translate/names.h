// The table that mesh DNS in the sidecar answers from.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_NAMES_H_
#define WEFT_CONTROLPLANE_TRANSLATE_NAMES_H_

#include <string>

#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace weft {

// One table, named "". A headless service is answered with the addresses of its own cluster's pods,
// each of which that has a hostname has a name too; an ExternalName service that stands for a
// service of the mesh as that one is.
EncodedResources NameTableFor(const TranslationIndex& index, const std::string& client_namespace);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_NAMES_H_
