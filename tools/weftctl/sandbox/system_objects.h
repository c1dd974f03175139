// The objects that every cluster of the sandbox has of its own: the namespace of the mesh, the
// gateway's Deployment, the node.
#ifndef TOOLS_WEFTCTL_SANDBOX_SYSTEM_OBJECTS_H_
#define TOOLS_WEFTCTL_SANDBOX_SYSTEM_OBJECTS_H_

#include <string>

#include "api/kubernetes/core.pb.h"
#include "tools/weftctl/sandbox/config.h"

namespace weft::sandbox {

inline constexpr char kSystemNamespace[] = "weft-system";
inline constexpr char kWeftdName[] = "weftd";
inline constexpr char kGatewayName[] = "gateway";

kubernetes::Deployment GatewayDeployment();
kubernetes::Node NodeOf(const ClusterConfig& cluster, const std::string& address);
kubernetes::Namespace NamespaceCalled(const std::string& name);
// What weftd looks like to itself: a pod without sidecar.
kubernetes::Pod WeftdPod();

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_SYSTEM_OBJECTS_H_
