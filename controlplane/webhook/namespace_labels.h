// The labels of a namespace as its API server has them at this moment: a watch may not have told of
// a namespace that was made or labelled just before its first pod.
#ifndef WEFT_CONTROLPLANE_WEBHOOK_NAMESPACE_LABELS_H_
#define WEFT_CONTROLPLANE_WEBHOOK_NAMESPACE_LABELS_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/sources/kubernetes/client.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft::webhook {

// A webhook has ten times as long.
inline constexpr absl::Duration kNamespaceTimeout = absl::Seconds(1);

// `client` must outlive the task. Errors: no such namespace, no good answer in time.
Task<absl::StatusOr<std::map<std::string, std::string>>> FetchNamespaceLabels(
    EventLoop& loop, KubernetesClient& client, std::string namespace_);

}  // namespace weft::webhook

#endif  // WEFT_CONTROLPLANE_WEBHOOK_NAMESPACE_LABELS_H_
