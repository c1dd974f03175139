// What `weftd --registry dir:… --validate` does: reads the folders once and tells all that is
// wrong.
#ifndef WEFT_CONTROLPLANE_SOURCES_VALIDATE_DIRECTORIES_H_
#define WEFT_CONTROLPLANE_SOURCES_VALIDATE_DIRECTORIES_H_

#include <memory>
#include <string>
#include <vector>

#include "controlplane/model/problem.h"
#include "controlplane/model/raw_object.h"
#include "controlplane/model/world.h"

namespace weft {

// Each object by itself.
std::vector<Problem> ValidateObjects(const std::vector<std::shared_ptr<const RawObject>>& objects);

// Files, objects on their own, and references among them, in this order. `HasErrors` of the
// problems decides. A service that is only in one of the `linked` clusters' folders may be referred
// to.
struct Validation {
  std::vector<Problem> problems;
  World world;
};
Validation Validate(const std::vector<std::string>& folders,
                    const std::vector<std::string>& linked = {});

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_VALIDATE_DIRECTORIES_H_
