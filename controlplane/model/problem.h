// Problem: what is wrong with an object, so that a person finds the place and the way out.
#ifndef WEFT_CONTROLPLANE_MODEL_PROBLEM_H_
#define WEFT_CONTROLPLANE_MODEL_PROBLEM_H_

#include <string>
#include <vector>

#include "controlplane/model/world.h"

namespace weft {

// kInfo is for what is left out on purpose, such as a kind that the mesh does not use.
enum class Severity { kInfo, kWarning, kError };

struct Problem {
  Severity severity = Severity::kError;
  std::string code;    // Istio's, where it has one: "IST0101"; else empty
  ObjectKey key;       // kind is empty where it is about a file
  std::string origin;  // "routes.yaml:12"
  std::string field;   // "spec.http[0].route[0].destination.port.number"; may be empty
  std::string message;

  friend bool operator==(const Problem&, const Problem&) = default;
};

// One line, as a compiler would:
//   routes.yaml:12: VirtualService default/x: spec.http[0].timeout: not a duration: "5"
//   routes.yaml:12: warning: VirtualService default/x: ...
//   routes.yaml:12: VirtualService default/x: spec.hosts[0]: Referenced host not found: "y"
//   [IST0101]
std::string ToString(const Problem& problem);

bool HasErrors(const std::vector<Problem>& problems);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_PROBLEM_H_
