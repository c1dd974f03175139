// What is odd about Telemetries as seen from the whole World: two that contend for a workload, and
// providers that are not there.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_CHECK_TELEMETRY_H_
#define WEFT_CONTROLPLANE_TRANSLATE_CHECK_TELEMETRY_H_

#include <vector>

#include "controlplane/model/problem.h"
#include "controlplane/translate/index.h"

namespace weft {

// Warnings only: each object is good in itself.
std::vector<Problem> CheckTelemetries(const TranslationIndex& index);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_CHECK_TELEMETRY_H_
