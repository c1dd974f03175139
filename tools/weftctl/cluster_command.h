// `weftctl cluster drain NAME` and `undrain NAME`: asks a cluster's weftd to move traffic off the
// cluster, and to take it again.
#ifndef TOOLS_WEFTCTL_CLUSTER_COMMAND_H_
#define TOOLS_WEFTCTL_CLUSTER_COMMAND_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tools/weftctl/weftd_address.h"

namespace weft {

// A call of a weftd's admin service, by its socket; the answer's bytes.
using WeftdCall = std::function<absl::StatusOr<std::string>(
    const std::string& socket_path, absl::string_view method, const std::string& request,
    absl::Duration timeout)>;

struct DrainOptions : WeftdAddress {
  bool draining = true;
};

// Returns an exit status; what went wrong is on standard error.
int DrainCluster(const DrainOptions& options, const WeftdCall& call);

}  // namespace weft

#endif  // TOOLS_WEFTCTL_CLUSTER_COMMAND_H_
