// Whom proxies trust: the secret "ROOTCA".
#ifndef WEFT_CONTROLPLANE_TRANSLATE_SECRETS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_SECRETS_H_

#include "controlplane/model/world.h"
#include "controlplane/translate/resources.h"

namespace weft {

// A bundle per trust domain, never merged. A peer that claims our own trust domain, or another
// peer's, adds nothing to it: the first of the name keeps it.
EncodedResources TrustSecrets(const World& world);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_SECRETS_H_
