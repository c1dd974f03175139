// What an object may say, beyond the types of its fields: the rules that Istio's and Kubernetes'
// own admission apply. Pure.
#ifndef WEFT_CONTROLPLANE_MODEL_VALIDATE_H_
#define WEFT_CONTROLPLANE_MODEL_VALIDATE_H_

#include <vector>

#include "controlplane/model/decode.h"
#include "controlplane/model/problem.h"

namespace weft {

// All that is wrong with the object on its own. With an error among them it must not be used.
std::vector<Problem> Validate(const Object& object);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_VALIDATE_H_
