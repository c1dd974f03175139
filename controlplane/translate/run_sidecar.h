// For tests: from a World to what a sidecar in it decides.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_RUN_SIDECAR_H_
#define WEFT_CONTROLPLANE_TRANSLATE_RUN_SIDECAR_H_

#include <memory>

#include "controlplane/model/world.h"
#include "controlplane/translate/resources.h"
#include "controlplane/translate/sidecar.h"

namespace weft {

// Fails the test if the resources contradict themselves or the proxy refuses one. The roots in
// `world` need not be real: each trust domain gets one.
std::unique_ptr<Sidecar> RunSidecar(World world, const ProxyView& view);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_RUN_SIDECAR_H_
