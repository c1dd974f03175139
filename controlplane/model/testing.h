// For tests: objects from YAML text.
#ifndef WEFT_CONTROLPLANE_MODEL_TESTING_H_
#define WEFT_CONTROLPLANE_MODEL_TESTING_H_

#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/raw_object.h"

namespace weft {

// One delta for each object; an object marked as deleted is a removal.
inline std::vector<ObjectDelta> Deltas(absl::string_view yaml) {
  std::vector<ObjectDelta> deltas;
  for (const auto& object : ParseObjects(yaml, "test.yaml").objects) {
    deltas.push_back({object->key, object->deleted ? nullptr : object});
  }
  return deltas;
}

inline std::string Lines(const std::vector<Problem>& problems) {
  return absl::StrJoin(problems, "\n", [](std::string* out, const Problem& problem) {
    out->append(ToString(problem));
  });
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_TESTING_H_
