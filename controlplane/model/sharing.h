// Sharing: what of a cluster's services other clusters get to see, and which of its names lead to
// theirs. Pure functions of what the objects say.
//
// Exported is, the first that says something counting:
//   - nothing of weft-system and kube-system;
//   - a Service with `service.cilium.io/shared: "false"` is not;
//   - a Service with `service.cilium.io/global: "true"`, or with a ServiceExport of its name, is;
//   - a namespace's label `weft.io/export: all|none` says it of all Services in it;
//   - else the cluster's policy does (weftd --export).
//
// Under the local name, NAME.NS.svc.cluster.local, what others export joins it:
//   - if the Service's annotation `weft.io/merge-local` says "true", and not if it says "false";
//   - if it has `service.cilium.io/global: "true"`;
//   - if the namespace's label `weft.io/merge-local` says so, and not if it says "false";
//   - else if it is exported here, too, and the cluster's policy allows it (weftd --merge-local).
// A local name that is no Service's here is decided on by the last two alone. So a name that was
// never shared leads nowhere else because another cluster exports one like it.
#ifndef WEFT_CONTROLPLANE_MODEL_SHARING_H_
#define WEFT_CONTROLPLANE_MODEL_SHARING_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "controlplane/model/world.h"

namespace weft {

enum class ExportPolicy { kNone, kAll };

inline constexpr char kExportLabel[] = "weft.io/export";
inline constexpr char kMergeLocal[] = "weft.io/merge-local";
// Of a ServiceExport, "true": under their local names other clusters do not reach it.
inline constexpr char kClusterSetOnlyAnnotation[] = "weft.io/cluster-set-only";
inline constexpr char kGlobalAnnotation[] = "service.cilium.io/global";
inline constexpr char kSharedAnnotation[] = "service.cilium.io/shared";

// Never exported, so no linked cluster may claim to have them.
bool IsSystemNamespace(absl::string_view namespace_);

// Whose defaults a service has: its namespace's labels, if the namespace is known, and the
// cluster's.
struct SharingDefaults {
  const Labels* namespace_labels = nullptr;
  ExportPolicy exports = ExportPolicy::kNone;
  bool merges = true;
};

// Sets exported, merges, exported_at and cluster_set_only. `requested` is the ServiceExport, or
// null.
void SetSharing(const Labels& annotations, const SharingDefaults& defaults,
                const Config<kubernetes::ServiceExportSpec>* requested, Service& service);

// Whether a local name that is no service's here leads to other clusters' services.
bool MergesUnknownName(const World& world, const std::string& namespace_);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_SHARING_H_
