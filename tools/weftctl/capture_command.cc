#include "tools/weftctl/capture_command.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "controlplane/webhook/capture.h"
#include "tools/weftctl/sandbox/process.h"
#include "tools/weftctl/sandbox/unique_fd.h"

namespace weft {
namespace {

// What the proxy calls the application from over IPv6. Not where the kernel or a sysctl has IPv6
// off: then nobody calls over it.
absl::Status AddIpv6Source() {
  const sandbox::UniqueFd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return absl::OkStatus();
  in6_ifreq address = {};
  inet_pton(AF_INET6, webhook::kProxyIpv6Source, &address.ifr6_addr);
  address.ifr6_prefixlen = 128;
  address.ifr6_ifindex = static_cast<int>(if_nametoindex("lo"));
  if (ioctl(socket.get(), SIOCSIFADDR, &address) == 0) return absl::OkStatus();
  if (errno == EEXIST || errno == EACCES) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("add ", webhook::kProxyIpv6Source, " to lo"));
}

}  // namespace

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
      if (status.ok()) status = AddIpv6Source();
    }
  }
  if (status.ok()) return 0;
  fprintf(stderr, "weftctl capture: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace weft
