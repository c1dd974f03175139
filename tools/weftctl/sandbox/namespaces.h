// The namespaces of the sandbox: the supervisor's own, one network namespace per router and pod,
// and a mount and host-name view per pod.
//
// Nothing is ever pinned by a bind mount: every namespace lives by a process or by an open
// descriptor of the supervisor, so all of them end with it, whatever kills it.
#ifndef TOOLS_WEFTCTL_SANDBOX_NAMESPACES_H_
#define TOOLS_WEFTCTL_SANDBOX_NAMESPACES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/weftctl/sandbox/unique_fd.h"

namespace weft::sandbox {

// Leaves the host: new mount, network, host-name and IPC namespaces for the caller and a new
// process namespace for its children; a user namespace first when the caller is not privileged.
absl::Status LeaveHostNamespaces();

// To be called as process 1 of the new process namespace: makes mounts private and mounts its own
// /proc.
absl::Status BecomeInit();

// A new network namespace; the caller stays where it is. One thread only.
absl::StatusOr<UniqueFd> NewNetNamespace();

// Puts the calling thread into a network namespace for the time of its life: sockets made meanwhile
// belong there for good.
class InNetNamespace {
 public:
  explicit InNetNamespace(int net_namespace);
  ~InNetNamespace();
  bool ok() const { return entered_; }

 private:
  UniqueFd home_;
  bool entered_ = false;
};

// Writes /proc/sys/net settings of a network namespace.
absl::Status SetSysctl(int net_namespace, absl::string_view name, absl::string_view value);

// A file that a pod sees at `path`.
struct PodFile {
  std::string path;
  std::string content;
};

// What a pod sees instead of the host: its own name, resolver and hosts, an empty /run, and files.
struct PodView {
  std::string hostname;
  std::string resolv_conf;
  std::string hosts;
  std::vector<PodFile> files;  // only below /run or /var/run: elsewhere is the host's
  bool private_run = true;     // false for weftd, whose data folder may lie below the host's /run
};

struct PodNamespaces {
  UniqueFd net;
  UniqueFd mount;
  UniqueFd uts;
  // In the order in which a process has to join them.
  std::vector<int> All() const { return {net.get(), uts.get(), mount.get()}; }
};

// Gives a network namespace its pod view.
absl::StatusOr<PodNamespaces> MakePodNamespaces(UniqueFd net, const PodView& view);

// Whether a file could be given to a pod at this path.
bool IsPodPath(absl::string_view path);

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_NAMESPACES_H_
