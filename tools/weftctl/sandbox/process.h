// Starting child processes inside given namespaces.
//
// Used by the supervisor only, which has one thread: after fork() the child may therefore do
// whatever it needs (join namespaces, set up its descriptors) before exec().
#ifndef TOOLS_WEFTCTL_SANDBOX_PROCESS_H_
#define TOOLS_WEFTCTL_SANDBOX_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft::sandbox {

struct SpawnSpec {
  std::vector<std::string> argv;         // argv[0] is looked up in PATH of `environment`
  std::vector<std::string> environment;  // complete, "NAME=VALUE"
  std::vector<int> namespaces;           // joined in this order; borrowed
  int in = -1;                           // borrowed; -1 is /dev/null
  int out = -1;
  int err = -1;
  std::string directory = "/";
};

// As fork(): `run` is called in a child that has a copy of this process's memory, and ends with it.
// But no sanitizer's runtime starts a thread there, as it does after fork(), and the kernel lets no
// process with threads into another user or mount namespace. -1, and errno, if there is no child.
pid_t Fork(const std::function<void()>& run);

// Returns the process id once the program runs; an error when it could not be executed. The child
// leads a session of its own, so kill(-pid) reaches all that it starts in the foreground.
absl::StatusOr<pid_t> Spawn(const SpawnSpec& spec);

// Runs a tool to its end with `input` on its standard input; what it printed becomes the error
// when it fails. `net_namespace` < 0 means the caller's.
absl::Status RunTool(const std::vector<std::string>& argv, absl::string_view input,
                     int net_namespace = -1);

// SIGKILLs every process that lives in the network namespace with this inode; returns how many
// were found. Dead ones still have to be reaped.
int KillProcessesInNetNamespace(ino_t net_namespace);

// This process's environment as "NAME=VALUE", with what pods must not inherit left out (proxies of
// the host's network) and the folders of ip and nft added to PATH.
std::vector<std::string> CurrentEnvironment();

// Both, where `over` replaces variables of the same name.
std::vector<std::string> MergeEnvironment(std::vector<std::string> base,
                                          const std::vector<std::string>& over);

// "exit status 3" or "signal 9 (Killed)" from a wait status.
std::string DescribeWaitStatus(int status);

// As a shell reports it: the exit status, or 128 + signal.
int ShellStatus(int status);

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_PROCESS_H_
