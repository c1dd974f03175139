// Runs another program and takes what it prints, on the loop.
#ifndef WEFT_CONTROLPLANE_SOURCES_KUBERNETES_COMMAND_H_
#define WEFT_CONTROLPLANE_SOURCES_KUBERNETES_COMMAND_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft {

struct Command {
  std::vector<std::string> argv;  // a first one without '/' is looked for in PATH
  // Beside our own, and before them.
  std::vector<std::pair<std::string, std::string>> env;
};

// Longest output that is taken.
inline constexpr size_t kMaxCommandOutput = 1 << 20;

// What it printed, if it exits with 0; its stderr is ours. It is killed at `deadline`, and when the
// task is cancelled. NotFound if there is no such program.
Task<absl::StatusOr<std::string>> RunCommand(EventLoop& loop, Command command,
                                             MonotonicTime deadline);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_KUBERNETES_COMMAND_H_
