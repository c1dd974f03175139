// PodPatch: what injection did to a pod, as a JSON patch (RFC 6902) of the pod that the API server
// has, which holds many more fields than are known here.
//
// So the patch says nothing of an item of a list but what changed in it: containers and volumes are
// matched by name, never by place. Pure.
#ifndef WEFT_CONTROLPLANE_WEBHOOK_POD_PATCH_H_
#define WEFT_CONTROLPLANE_WEBHOOK_POD_PATCH_H_

#include <string>

#include "absl/status/statusor.h"

namespace weft::kubernetes {
class Pod;
}

namespace weft::webhook {

// Empty if nothing changed. Internal if `after` lacks a container or volume of `before`, or has
// them in another order: injection only adds.
absl::StatusOr<std::string> PodPatch(const kubernetes::Pod& before, const kubernetes::Pod& after);

}  // namespace weft::webhook

#endif  // WEFT_CONTROLPLANE_WEBHOOK_POD_PATCH_H_
