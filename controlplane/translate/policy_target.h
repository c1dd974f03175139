// Whom a policy is for: the workloads that its `selector` selects, or those behind the Gateways
// that its `targetRefs` name. Of other targets (Service, GatewayClass) waypoints would be made, of
// which there is none. For .cc files only: it looks into generated messages.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_POLICY_TARGET_H_
#define WEFT_CONTROLPLANE_TRANSLATE_POLICY_TARGET_H_

#include <algorithm>
#include <string>

#include "absl/strings/string_view.h"
#include "controlplane/model/gateway_api_name.h"
#include "controlplane/model/world.h"
#include "controlplane/translate/index.h"

namespace weft {

template <typename Spec>
bool HasTargets(const Spec& spec) {
  return spec.has_target_ref() || !spec.target_refs().empty();
}

// False: it is for the whole namespace, or mesh.
template <typename Spec>
bool NamesWorkloads(const Spec& spec) {
  return HasTargets(spec) || !spec.selector().match_labels().empty();
}

// Whether it is for a workload with these labels in a namespace that it reaches. `policy` is a
// Config.
template <typename Policy>
bool IsFor(const Policy& policy, absl::string_view workload_namespace, const Labels& labels) {
  const auto& spec = *policy.spec;
  if (!HasTargets(spec)) return Selects(spec.selector().match_labels(), labels);
  // A target is in the policy's own namespace, that of the root included.
  const auto gateway = labels.find(kGatewayNameLabel);
  if (gateway == labels.end() || policy.key.namespace_ != workload_namespace) return false;
  const auto is_this = [&](const auto& target) {
    return target.group() == kGatewayApiGroup && target.kind() == "Gateway" &&
           target.name() == gateway->second;
  };
  return (spec.has_target_ref() && is_this(spec.target_ref())) ||
         std::any_of(spec.target_refs().begin(), spec.target_refs().end(), is_this);
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_POLICY_TARGET_H_
