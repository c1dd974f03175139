// The one place on the host where a sandbox leaves traces: a folder of the user's own, below
// $XDG_RUNTIME_DIR/weft or /tmp/weft-UID.
//
//   NAME/lock              held (flock) by the supervisor as long as it lives
//   NAME/control           its socket
//   NAME/supervisor.log    NAME/supervisor.pid (as the host numbers it)
//   NAME/sandbox.json      what `up` was asked for
//   NAME/CLUSTER/          applied/ generated/ peers/ weftd/ logs/ token.key
#ifndef TOOLS_WEFTCTL_SANDBOX_STATE_DIR_H_
#define TOOLS_WEFTCTL_SANDBOX_STATE_DIR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/weftctl/sandbox/unique_fd.h"

namespace weft::sandbox {

class StateDir {
 public:
  // The folder of the sandbox of this name; an error when the name is not fit for a file name or
  // the path too long for a socket. Creates nothing.
  static absl::StatusOr<StateDir> For(absl::string_view name);
  // A folder known by its path (the supervisor is told it).
  static StateDir At(std::string path) { return StateDir(std::move(path)); }

  const std::string& path() const { return path_; }
  std::string control_socket() const { return path_ + "/control"; }
  std::string log() const { return path_ + "/supervisor.log"; }
  std::string pid_file() const { return path_ + "/supervisor.pid"; }
  std::string config() const { return path_ + "/sandbox.json"; }
  std::string cluster(const std::string& name) const { return path_ + "/" + name; }

  bool Exists() const;
  // Creates the folder (0700), refusing one that belongs to somebody else.
  absl::Status Create() const;
  // Takes the lock; FailedPrecondition when a living supervisor holds it.
  absl::StatusOr<UniqueFd> Lock() const;
  void Remove() const;

 private:
  explicit StateDir(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Whether a sandbox, cluster or the like may be called so: a DNS label.
bool IsLabel(absl::string_view name);

// Writes by a temporary name and rename, so that a reader sees the old file or the new one.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view content);

absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_STATE_DIR_H_
