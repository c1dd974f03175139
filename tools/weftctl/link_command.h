// `weftctl link`: links of a cluster with others, asked of its weftd.
//
//   weftctl link token --cluster east             # prints a token
//   weftctl link join TOKEN --cluster west        # and the two are linked
//   weftctl link list|status|remove|cost|test
#ifndef TOOLS_WEFTCTL_LINK_COMMAND_H_
#define TOOLS_WEFTCTL_LINK_COMMAND_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tools/weftctl/weftd_address.h"

namespace weft {

struct LinkOptions {
  WeftdAddress of;
  std::string peer;           // the linked cluster
  std::string token;          // "-": the first line of standard input
  std::string valid = "15m";  // a duration
  uint32_t cost = 0;
  bool json = false;
};

// "90s", "15m", "1h30m"; InvalidArgument for anything that is no whole, positive number of seconds.
absl::StatusOr<absl::Duration> ParseValidity(absl::string_view text);

// Each returns an exit status; what went wrong is on standard error.
int MakeLinkToken(const LinkOptions& options);
int JoinLink(const LinkOptions& options);
int ListLinks(const LinkOptions& options);
int ShowLink(const LinkOptions& options);
int RemoveLink(const LinkOptions& options);
int SetLinkCost(const LinkOptions& options);
// 1 also if any hop failed.
int TestLink(const LinkOptions& options);

}  // namespace weft

#endif  // TOOLS_WEFTCTL_LINK_COMMAND_H_
