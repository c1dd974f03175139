// From the user's shell to a running supervisor, and back to nothing.
#ifndef TOOLS_WEFTCTL_SANDBOX_LAUNCH_H_
#define TOOLS_WEFTCTL_SANDBOX_LAUNCH_H_

#include "absl/status/status.h"
#include "tools/weftctl/sandbox/config.h"
#include "tools/weftctl/sandbox/state_dir.h"

namespace weft::sandbox {

// Creates the state folder and starts the supervisor, detached from the terminal.
// FailedPrecondition when a sandbox of this name is up; what a dead one left is removed first.
absl::Status Launch(const StateDir& state, const SandboxConfig& config);

// Whether a supervisor holds the state folder.
bool IsUp(const StateDir& state);

// Ends the supervisor, by request or else by force, waits until all its processes are gone, and
// removes the state folder. Fine when there is nothing to end.
absl::Status TakeDown(const StateDir& state);

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_LAUNCH_H_
