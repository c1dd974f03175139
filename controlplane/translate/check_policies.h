// The part of CheckConfig() that is about AuthorizationPolicies.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_CHECK_POLICIES_H_
#define WEFT_CONTROLPLANE_TRANSLATE_CHECK_POLICIES_H_

#include <vector>

#include "controlplane/translate/check.h"
#include "controlplane/translate/index.h"

namespace weft {

// Clusters that are not linked, or whose callers cannot be told from another's.
void AddPolicyFindings(const TranslationIndex& index, std::vector<Finding>& findings);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_CHECK_POLICIES_H_
