// VirtualServices that have no effect for a host, since an older one has it.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_CHECK_HOSTS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_CHECK_HOSTS_H_

#include <vector>

#include "controlplane/model/problem.h"
#include "controlplane/translate/index.h"

namespace weft {

// Warnings (IST0109) of the younger ones, which name the older; in order of precedence. Only where
// some client would see both.
std::vector<Problem> CheckHosts(const TranslationIndex& index);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_CHECK_HOSTS_H_
