// Which weftd a command is for: one of a sandbox's clusters, or any, by its socket or data folder.
#ifndef TOOLS_WEFTCTL_WEFTD_ADDRESS_H_
#define TOOLS_WEFTCTL_WEFTD_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"

namespace weft {

struct WeftdAddress {
  std::string cluster;
  std::string sandbox = "default";
  std::string weftd;  // its socket or data folder; empty: the cluster is one of the sandbox
};

// The path of its admin socket; NotFound names what is not there.
absl::StatusOr<std::string> AdminSocketOf(const WeftdAddress& address);

}  // namespace weft

#endif  // TOOLS_WEFTCTL_WEFTD_ADDRESS_H_
