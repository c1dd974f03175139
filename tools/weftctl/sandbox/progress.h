// Shows how a sandbox comes up: a line per cluster that is redrawn on a terminal, a line per change
// without colour anywhere else.
#ifndef TOOLS_WEFTCTL_SANDBOX_PROGRESS_H_
#define TOOLS_WEFTCTL_SANDBOX_PROGRESS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tools/weftctl/sandbox/control.h"

namespace weft::sandbox {

class Progress {
 public:
  Progress();
  void Show(const Json& status);  // of the `status` command
  void End();                     // other output may follow

 private:
  void Redraw(const Json& status);
  void PrintChanges(const Json& status);

  bool terminal_;
  absl::Time start_;
  int drawn_lines_ = 0;
  std::map<std::string, bool> ready_;  // component → as last shown
};

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_PROGRESS_H_
