// `weftctl sandbox up`: checks what is needed, launches, and shows how it comes up.
#ifndef TOOLS_WEFTCTL_SANDBOX_UP_H_
#define TOOLS_WEFTCTL_SANDBOX_UP_H_

#include <string>
#include <vector>

namespace weft::sandbox {

struct UpOptions {
  std::string name = "default";
  std::vector<std::string> clusters, localities, images;  // as given
  std::string exports = "all";
  std::string link = "mesh";
  std::vector<std::string> blocked;   // names of clusters that nothing comes into
  std::vector<std::string> ca_certs;  // as given
  bool dual_stack = false;
  bool lenient = false;
  bool keep = false;  // leave a sandbox that did not come up, to look at
  int timeout_seconds = 60;
  std::string weftd, weft_proxy;  // paths; empty: looked for
};

// Returns an exit status; what went wrong is on standard error.
int Up(const UpOptions& options);

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_UP_H_
