// `weftctl capture`: what the init container of an injected pod runs.
#ifndef TOOLS_WEFTCTL_CAPTURE_COMMAND_H_
#define TOOLS_WEFTCTL_CAPTURE_COMMAND_H_

#include <string>
#include <vector>

namespace weft {

// Applies the capture rules that the flags describe to the present network namespace; with
// --dry-run only prints them. Returns an exit status.
int RunCapture(std::vector<std::string> flags);

}  // namespace weft

#endif  // TOOLS_WEFTCTL_CAPTURE_COMMAND_H_
