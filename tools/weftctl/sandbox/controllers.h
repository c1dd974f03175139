// What Kubernetes' controllers derive, in small and as pure functions: the pods of a Deployment,
// the endpoints of a Service.
#ifndef TOOLS_WEFTCTL_SANDBOX_CONTROLLERS_H_
#define TOOLS_WEFTCTL_SANDBOX_CONTROLLERS_H_

#include <functional>
#include <string>
#include <vector>

#include "api/kubernetes/core.pb.h"
#include "tools/weftctl/sandbox/topology.h"

namespace weft::sandbox {

// Differs when the pod template differs, and names the generation of pods made from it.
std::string TemplateHash(const kubernetes::Deployment& deployment);

// Each pod is a network namespace and several processes: more of one Deployment is a slip.
inline constexpr int kMaxReplicas = 200;

// A pod that exists for a Deployment.
struct ReplicaState {
  std::string name;
  std::string template_hash;
  bool ready = false;
};

struct ReplicaPlan {
  int create = 0;                   // pods of the present template
  std::vector<std::string> remove;  // names
};

// Rolls from an old template to a new one: the new pods come first, and the old ones go when as
// many new ones as wanted are ready.
ReplicaPlan PlanReplicas(const kubernetes::Deployment& deployment,
                         const std::vector<ReplicaState>& existing);

// The next pod of a Deployment: DEPLOYMENT-HASH-RANDOM; `random` gives 64 random bits.
kubernetes::Pod PodOfDeployment(const kubernetes::Deployment& deployment, uint64_t random);

// "IPv4", "IPv6" or both, the first one first, as Kubernetes chooses them by ipFamilies and
// ipFamilyPolicy; IPv4 where the cluster has nothing else.
std::vector<std::string> IpFamiliesOf(const kubernetes::Service& service, bool dual_stack);

// The one slice of a Service of that family, from pods with their status; empty of endpoints where
// none match.
kubernetes::EndpointSlice SliceOfService(const kubernetes::Service& service,
                                         const std::string& family,
                                         const std::vector<const kubernetes::Pod*>& pods);

bool IsReady(const kubernetes::Pod& pod);

// What kube-proxy needs to know of a Service and one of its slices. Nothing for headless services.
std::vector<ServicePort> RoutesOfService(const kubernetes::Service& service,
                                         const kubernetes::EndpointSlice& slice);

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_CONTROLLERS_H_
