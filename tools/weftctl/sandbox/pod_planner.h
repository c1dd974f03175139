// From an injected Pod to what runs on this machine: images become local commands, fields become
// environment, volumes become files. A pure function but for the question which commands exist.
#ifndef TOOLS_WEFTCTL_SANDBOX_POD_PLANNER_H_
#define TOOLS_WEFTCTL_SANDBOX_POD_PLANNER_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "api/kubernetes/core.pb.h"
#include "tools/weftctl/sandbox/objects.h"
#include "tools/weftctl/sandbox/pod_plan.h"

namespace weft::sandbox {

inline constexpr char kProxyImage[] = "weft/proxy";

struct PlanContext {
  std::string cluster;
  std::string weftctl;  // absolute paths of the binaries behind the image weft/proxy
  std::string weft_proxy;
  std::map<std::string, std::string> images;  // image → shell command
  const ClusterObjects* objects = nullptr;    // config maps and secrets
  std::string ca_root;                        // PEM, what the config map weft-ca-root holds
  std::function<std::string(const std::string& audience)> sign_token;
  std::function<bool(const std::string& command)> exists;
};

// The pod's status has to hold its IP. InvalidArgument names the container or volume.
absl::StatusOr<PodPlan> PlanPod(const kubernetes::Pod& pod, const std::string& workload,
                                const PlanContext& context);

// The command of --image that an image gets, or empty: the name as written, or without tag and
// digest, or the last part of its path alone.
std::string CommandForImage(const std::map<std::string, std::string>& images,
                            absl::string_view image);

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_POD_PLANNER_H_
