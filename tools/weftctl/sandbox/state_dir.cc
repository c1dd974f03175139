#include "tools/weftctl/sandbox/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace weft::sandbox {
namespace {

// sockaddr_un has room for 107 bytes; "/control" and its zero need nine.
constexpr size_t kMaxPath = 98;

absl::Status MakePrivateFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno != EEXIST) {
    return absl::UnavailableError(absl::StrCat("cannot make the folder ", path, " (",
                                               strerror(errno),
                                               "): set XDG_RUNTIME_DIR to one that you may write"));
  }
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return absl::ErrnoToStatus(errno, path);
  if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid()) {
    return absl::PermissionDeniedError(absl::StrCat(
        path, " is not a folder of yours: remove it, or set XDG_RUNTIME_DIR to one that is"));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsLabel(absl::string_view name) {
  if (name.empty() || name.size() > 40) return false;
  for (char c : name) {
    if (!absl::ascii_islower(c) && !absl::ascii_isdigit(c) && c != '-') return false;
  }
  return name.front() != '-' && name.back() != '-';
}

absl::StatusOr<StateDir> StateDir::For(absl::string_view name) {
  if (!IsLabel(name)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--name '", name, "': use lower-case letters, digits and '-', at most 40 characters"));
  }
  const char* runtime = getenv("XDG_RUNTIME_DIR");
  std::string root = runtime != nullptr && *runtime != '\0' ? absl::StrCat(runtime, "/weft")
                                                            : absl::StrCat("/tmp/weft-", geteuid());
  std::string path = absl::StrCat(root, "/", name);
  if (path.size() > kMaxPath) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, " is too long for a socket: choose a shorter --name or XDG_RUNTIME_DIR"));
  }
  return StateDir(path);
}

bool StateDir::Exists() const {
  struct stat info;
  return lstat(path_.c_str(), &info) == 0;
}

absl::Status StateDir::Create() const {
  std::string parent = std::filesystem::path(path_).parent_path().string();
  if (absl::Status s = MakePrivateFolder(parent); !s.ok()) return s;
  return MakePrivateFolder(path_);
}

absl::StatusOr<UniqueFd> StateDir::Lock() const {
  UniqueFd fd(open((path_ + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, path_ + "/lock");
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError("a supervisor holds the lock");
  }
  return fd;
}

void StateDir::Remove() const {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
  // The common parent too, when this was the last sandbox: rmdir() refuses otherwise.
  rmdir(std::filesystem::path(path_).parent_path().c_str());
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view content) {
  std::filesystem::path target(path);
  std::string temporary = (target.parent_path() / ("." + target.filename().string())).string();
  UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, temporary);
  if (write(fd.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    return absl::ErrnoToStatus(errno, temporary);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return absl::ErrnoToStatus(errno, path);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace weft::sandbox
