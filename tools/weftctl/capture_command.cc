#include "tools/weftctl/capture_command.h"

#include <stdio.h>

#include <algorithm>

#include "absl/status/status.h"
#include "controlplane/webhook/capture.h"
#include "tools/weftctl/sandbox/process.h"

namespace weft {

int RunCapture(std::vector<std::string> flags) {
  auto dry_run = std::remove(flags.begin(), flags.end(), "--dry-run");
  bool print_only = dry_run != flags.end();
  flags.erase(dry_run, flags.end());
  absl::StatusOr<webhook::CaptureOptions> options = webhook::CaptureFromFlags(flags);
  absl::Status status = options.status();
  if (options.ok()) {
    std::string rules = webhook::CaptureRules(*options);
    if (print_only) {
      fputs(rules.c_str(), stdout);
    } else {
      status = sandbox::RunTool({"nft", "-f", "-"}, rules);
    }
  }
  if (status.ok()) return 0;
  fprintf(stderr, "weftctl capture: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace weft
