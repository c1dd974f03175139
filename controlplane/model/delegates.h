// VirtualServices whose routes leave the details to another one: `delegate` put in its place.
//
// As Istio has it: a delegate is a VirtualService without hosts; each of its HTTP routes is taken
// for the root's route, under both conditions; what it leaves open the root's route fills. One
// level deep. A delegate's conditions must be narrower than the root's, or its route is left out.
// Pure.
#ifndef WEFT_CONTROLPLANE_MODEL_DELEGATES_H_
#define WEFT_CONTROLPLANE_MODEL_DELEGATES_H_

#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/world.h"

namespace istio::networking::v1alpha3 {
class Delegate;
}  // namespace istio::networking::v1alpha3

namespace weft {

struct MergedVirtualServices {
  // Those with hosts, their delegates put in; a spec without any is the one it was. A route whose
  // delegate is not to be had is left out.
  Configs<istio::networking::v1alpha3::VirtualService> merged;
  // Of the root and its field: an error if there is no such delegate, it is not visible there, or
  // is none; a warning for a route of it that conflicts.
  std::vector<Problem> problems;
};
MergedVirtualServices WithDelegates(
    const Configs<istio::networking::v1alpha3::VirtualService>& virtual_services);

// Namespace and name of what a VirtualService of `root_namespace` delegates to.
std::pair<std::string, std::string> NameOf(const istio::networking::v1alpha3::Delegate& delegate,
                                           const std::string& root_namespace);

// Whether an object of `object_namespace` with this exportTo is seen in `client_namespace`.
template <typename Strings>
bool IsVisible(const Strings& export_to, absl::string_view object_namespace,
               absl::string_view client_namespace) {
  if (export_to.empty()) return true;
  for (const std::string& to : export_to) {
    if (to == "*" || to == client_namespace) return true;
    if (to == "." && object_namespace == client_namespace) return true;
  }
  return false;
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_DELEGATES_H_
