// What weftd cannot tell or do about AuthorizationPolicies, and therefore reads the stricter way.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_CHECK_POLICIES_H_
#define WEFT_CONTROLPLANE_TRANSLATE_CHECK_POLICIES_H_

#include <vector>

#include "controlplane/model/problem.h"
#include "controlplane/translate/index.h"

namespace weft {

// Clusters that are not linked, or whose callers cannot be told from another's; and CUSTOM policies
// that deny what they select, as nobody can be asked. Warnings, in order of object.
std::vector<Problem> CheckPolicies(const TranslationIndex& index);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_CHECK_POLICIES_H_
