// `weftctl ca rotate leaf|intermediate|root`: has a cluster's weftd rotate its CA, and tells the
// stages as they go. The rotation goes on if the command is interrupted; called again, it follows.
#ifndef TOOLS_WEFTCTL_CA_COMMAND_H_
#define TOOLS_WEFTCTL_CA_COMMAND_H_

#include <string>

#include "absl/time/time.h"
#include "tools/weftctl/weftd_address.h"

namespace weft {

struct RotateOptions {
  WeftdAddress of;
  std::string what;
  absl::Duration timeout = absl::Minutes(10);
};

// Returns an exit status; what went wrong is on standard error.
int RotateCa(const RotateOptions& options);

}  // namespace weft

#endif  // TOOLS_WEFTCTL_CA_COMMAND_H_
