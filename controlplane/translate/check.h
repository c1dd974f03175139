// Does every reference resolve? Asked of the resources, for the engine, which must never send a set
// that contradicts itself. (Of the config, for its authors: model/references.h.)
#ifndef WEFT_CONTROLPLANE_TRANSLATE_CHECK_H_
#define WEFT_CONTROLPLANE_TRANSLATE_CHECK_H_

#include <string>
#include <vector>

#include "controlplane/translate/resources.h"

namespace weft {

// One line for each name that is used and not there, and each that is there twice where it must
// not be; empty if the resources fit together. Names may also lead to what lies `beside` them,
// which is not itself looked at; null: nothing.
std::vector<std::string> CheckResources(const Resources& resources,
                                        const Resources* beside = nullptr);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_CHECK_H_
