// Which Sidecar a workload follows. Arranged once per World; it borrows the World.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_SIDECAR_INDEX_H_
#define WEFT_CONTROLPLANE_TRANSLATE_SIDECAR_INDEX_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "controlplane/model/world.h"

namespace weft {

class SidecarIndex {
 public:
  using SidecarConfig = Config<istio::networking::v1alpha3::Sidecar>;

  explicit SidecarIndex(const World& world);

  // The oldest that selects the workload, else the one for its whole namespace, else the one of the
  // root namespace; null if there is none.
  const SidecarConfig* For(absl::string_view workload_namespace, const Labels& labels) const;

  // What it comes to for outbound traffic: a Sidecar of nothing but `egress` and
  // `outboundTrafficPolicy`, each from the nearest of those three that states it, serialized. Empty
  // if none states anything. Workloads for which it is equal are sent the same.
  const std::string& OutboundOf(absl::string_view workload_namespace, const Labels& labels) const;

 private:
  const SidecarConfig* DefaultOf(absl::string_view workload_namespace) const;
  std::string Outbound(const SidecarConfig& config) const;

  std::map<std::string, const SidecarConfig*> defaults_;  // by namespace
  std::map<std::string, std::vector<const SidecarConfig*>> selecting_;
  const SidecarConfig* root_ = nullptr;
  std::map<const SidecarConfig*, std::string> outbound_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_SIDECAR_INDEX_H_
