#include "controlplane/webhook/inject_review.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/kubernetes/core.pb.h"
#include "api/yaml/yaml_to_message.h"
#include "controlplane/model/kubernetes.h"
#include "controlplane/webhook/pod_patch.h"

namespace weft::webhook {
namespace {

// A pod's name may not be made yet: then what it is to begin with.
std::string WorkloadName(const kubernetes::Pod& pod) {
  const std::string name = WorkloadOf(pod);
  if (!name.empty()) return name;
  return std::string(absl::StripSuffix(pod.metadata().generate_name(), "-"));
}

}  // namespace

AdmissionAnswer AnswerInject(const AdmissionRequest& request,
                             const std::map<std::string, std::string>& namespace_labels,
                             const InjectConfig& config) {
  const bool new_pod = request.operation == "CREATE" && request.group.empty() &&
                       request.kind == "Pod" && request.subresource.empty();
  if (!new_pod) return AdmissionAnswer();
  kubernetes::Pod pod;
  if (absl::Status read = YamlToMessage(request.object.node, UnknownFields::kSkip, &pod);
      !read.ok()) {
    return Refuse(
        absl::StrCat("Pod ", request.namespace_, "/", request.name, ": ", read.message()));
  }
  pod.mutable_metadata()->set_namespace_(request.namespace_);
  if (IsInjectedAsStated(pod)) return AdmissionAnswer();
  auto injected = InjectSidecar(pod, namespace_labels, WorkloadName(pod), config);
  if (!injected.ok()) return Refuse(std::string(injected.status().message()));
  auto patch = PodPatch(pod, *injected);
  if (!patch.ok()) return Refuse(std::string(patch.status().message()));
  AdmissionAnswer answer;
  answer.patch = *std::move(patch);
  return answer;
}

}  // namespace weft::webhook
