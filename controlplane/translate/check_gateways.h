// What Gateways come to at the workloads they select: what of them is left out there; and which
// Secrets they, and DestinationRules, name.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_CHECK_GATEWAYS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_CHECK_GATEWAYS_H_

#include <set>
#include <vector>

#include "controlplane/model/problem.h"
#include "controlplane/translate/index.h"
#include "controlplane/translate/router_credentials.h"

namespace weft {

// Servers that conflict with those of an older Gateway, servers and DestinationRules whose Secrets
// are not there. Each once, in order of workload.
std::vector<Problem> CheckGateways(const TranslationIndex& index);

// The Secrets that proxies of this World may be sent, there or not. Nobody needs to read others.
std::set<SecretName> SecretsNamed(const TranslationIndex& index);

// Whether it is a router, or may be sent a Secret: then a change of it may change the above.
bool MayNeedSecrets(const TranslationIndex& index, const Workload& workload);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_CHECK_GATEWAYS_H_
