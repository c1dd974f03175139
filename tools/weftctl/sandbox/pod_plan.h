// What it takes to run one pod on this machine: the injected Pod with everything resolved.
#ifndef TOOLS_WEFTCTL_SANDBOX_POD_PLAN_H_
#define TOOLS_WEFTCTL_SANDBOX_POD_PLAN_H_

#include <string>
#include <vector>

#include "tools/weftctl/sandbox/namespaces.h"
#include "tools/weftctl/sandbox/probe.h"
#include "tools/weftctl/sandbox/topology.h"

namespace weft::sandbox {

struct ContainerPlan {
  std::string name;
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // what the Pod says; the supervisor's own comes first
  ProbeTarget ready;                     // port 0: ready as soon as it runs
};

struct PodPlan {
  std::string pod_namespace;
  std::string name;
  std::string workload;  // the Deployment, or the pod itself
  PodIps ips;
  PodView view;
  std::vector<ContainerPlan> init_containers;  // one after the other, each to its end
  std::vector<ContainerPlan> containers;
};

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_POD_PLAN_H_
