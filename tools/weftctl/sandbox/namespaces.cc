#include "tools/weftctl/sandbox/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace weft::sandbox {
namespace {

constexpr int kNamespaces = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;

absl::Status WriteFile(const std::string& path, absl::string_view text, int flags = 0) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, 0644));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, path);
  if (write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return absl::ErrnoToStatus(errno, path);
  }
  return absl::OkStatus();
}

absl::Status EnterUserNamespace() {
  uid_t uid = geteuid();
  gid_t gid = getegid();
  if (unshare(CLONE_NEWUSER) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("this machine allows no user namespaces (", strerror(errno),
                     "): enable them (sysctl -w kernel.unprivileged_userns_clone=1 "
                     "user.max_user_namespaces=10000; on Ubuntu also "
                     "kernel.apparmor_restrict_unprivileged_userns=0) or run as root"));
  }
  if (absl::Status s = WriteFile("/proc/self/setgroups", "deny"); !s.ok()) return s;
  if (absl::Status s = WriteFile("/proc/self/uid_map", absl::StrCat("0 ", uid, " 1")); !s.ok()) {
    return s;
  }
  return WriteFile("/proc/self/gid_map", absl::StrCat("0 ", gid, " 1"));
}

// Puts `content` over the host's file at `path`. A link into /run (as systemd-resolved has it) may
// point at nothing in the pod's empty /run; then the target itself is made.
absl::Status CoverFile(const std::string& path, const std::string& content) {
  std::error_code error;
  std::filesystem::path target = std::filesystem::weakly_canonical(path, error);
  if (!std::filesystem::exists(target, error)) {
    if (!IsPodPath(target.string()))
      return absl::NotFoundError(absl::StrCat(path, ": no such file"));
    std::filesystem::create_directories(target.parent_path(), error);
    return WriteFile(target.string(), content, O_CREAT | O_TRUNC);
  }
  std::string source = absl::StrCat("/run/.weft", absl::StrReplaceAll(path, {{"/", "-"}}));
  if (absl::Status s = WriteFile(source, content, O_CREAT | O_TRUNC); !s.ok()) return s;
  if (mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("mount over ", path));
  }
  return absl::OkStatus();
}

absl::Status BuildView(const PodView& view) {
  if (unshare(CLONE_NEWNS | CLONE_NEWUTS) != 0) return absl::ErrnoToStatus(errno, "unshare");
  if (sethostname(view.hostname.data(), view.hostname.size()) != 0) {
    return absl::ErrnoToStatus(errno, "sethostname");
  }
  if (!view.private_run) return absl::OkStatus();
  if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=16m") != 0) {
    return absl::ErrnoToStatus(errno, "mount /run");
  }
  // A machine without these files lives with its defaults: no reason to refuse the pod.
  for (const auto& [path, content] :
       {std::pair("/etc/resolv.conf", &view.resolv_conf), std::pair("/etc/hosts", &view.hosts)}) {
    absl::Status covered = CoverFile(path, *content);
    if (!covered.ok() && !absl::IsNotFound(covered)) return covered;
  }
  for (const PodFile& file : view.files) {
    std::filesystem::path path =
        absl::StartsWith(file.path, "/var/run/") ? std::string(file.path.substr(4)) : file.path;
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    if (absl::Status s = WriteFile(path.string(), file.content, O_CREAT | O_TRUNC); !s.ok()) {
      return s;
    }
  }
  return absl::OkStatus();
}

UniqueFd OpenNamespace(pid_t pid, const char* kind) {
  return UniqueFd(open(absl::StrCat("/proc/", pid, "/ns/", kind).c_str(), O_RDONLY | O_CLOEXEC));
}

}  // namespace

absl::Status LeaveHostNamespaces() {
  // Root may still lack the capability (a container): then it goes the way of any other user.
  if (geteuid() == 0 && unshare(kNamespaces) == 0) return absl::OkStatus();
  if (absl::Status s = EnterUserNamespace(); !s.ok()) return s;
  if (unshare(kNamespaces) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "this machine allows no mount, network and process namespaces (", strerror(errno),
      "): check user.max_{mnt,net,pid,uts,ipc}_namespaces and the container's seccomp profile"));
}

absl::Status BecomeInit() {
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return absl::ErrnoToStatus(errno, "make mounts private");
  }
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot mount /proc (", strerror(errno),
                     "): in a container, run it with an unmasked /proc (docker: --security-opt "
                     "systempaths=unconfined)"));
  }
  return absl::OkStatus();
}

InNetNamespace::InNetNamespace(int net_namespace)
    : home_(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
  entered_ = home_.valid() && setns(net_namespace, CLONE_NEWNET) == 0;
}

InNetNamespace::~InNetNamespace() {
  // Going on in a foreign network would corrupt another pod: better to end, with everything.
  if (entered_ && setns(home_.get(), CLONE_NEWNET) != 0) abort();
}

absl::StatusOr<UniqueFd> NewNetNamespace() {
  UniqueFd home(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!home.valid()) return absl::ErrnoToStatus(errno, "/proc/self/ns/net");
  if (unshare(CLONE_NEWNET) != 0) {
    return absl::ErrnoToStatus(errno, "new network namespace (see user.max_net_namespaces)");
  }
  UniqueFd made(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (setns(home.get(), CLONE_NEWNET) != 0) abort();
  if (!made.valid()) return absl::ErrnoToStatus(errno, "/proc/self/ns/net");
  return made;
}

absl::Status SetSysctl(int net_namespace, absl::string_view name, absl::string_view value) {
  InNetNamespace inside(net_namespace);
  if (!inside.ok()) return absl::ErrnoToStatus(errno, "setns");
  return WriteFile(absl::StrCat("/proc/sys/net/", name), value);
}

absl::StatusOr<PodNamespaces> MakePodNamespaces(UniqueFd net, const PodView& view) {
  int ready[2];
  int leave[2];
  if (pipe2(ready, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  UniqueFd ready_read(ready[0]), ready_write(ready[1]);
  if (pipe2(leave, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  UniqueFd leave_read(leave[0]), leave_write(leave[1]);
  // A child builds the view and waits until its namespaces are held by descriptors here.
  pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "fork");
  if (pid == 0) {
    absl::Status status =
        setns(net.get(), CLONE_NEWNET) == 0 ? BuildView(view) : absl::ErrnoToStatus(errno, "setns");
    std::string said(status.message());
    said.insert(said.begin(), status.ok() ? '+' : '-');
    ssize_t ignored = write(ready[1], said.data(), said.size());
    leave_write.Reset();
    char byte;
    ignored = read(leave[0], &byte, 1);
    (void)ignored;
    _exit(0);
  }
  ready_write.Reset();
  char said[512] = {};
  ssize_t n = read(ready_read.get(), said, sizeof(said) - 1);
  PodNamespaces made;
  made.mount = OpenNamespace(pid, "mnt");
  made.uts = OpenNamespace(pid, "uts");
  leave_write.Reset();
  waitpid(pid, nullptr, 0);
  if (n < 1 || said[0] != '+') return absl::InternalError(absl::StrCat("pod view: ", said + 1));
  if (!made.mount.valid() || !made.uts.valid())
    return absl::InternalError("pod view: no namespace");
  made.net = std::move(net);
  return made;
}

bool IsPodPath(absl::string_view path) {
  if (absl::StrContains(path, "..")) return false;
  return absl::StartsWith(path, "/run/") || absl::StartsWith(path, "/var/run/");
}

}  // namespace weft::sandbox
