// The supervisor: process 1 of a sandbox. It holds every namespace, parents every process, and
// answers weftctl; when it ends, for whatever reason, the kernel ends everything else.
#ifndef TOOLS_WEFTCTL_SANDBOX_SUPERVISOR_H_
#define TOOLS_WEFTCTL_SANDBOX_SUPERVISOR_H_

#include "tools/weftctl/sandbox/state_dir.h"

namespace weft::sandbox {

// Runs the sandbox of this folder until `down`; returns an exit status. To be called as process 1
// of the namespaces that LeaveHostNamespaces() made.
int RunSupervisor(const StateDir& state);

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_SUPERVISOR_H_
