#include "tools/weftctl/sandbox/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tools/weftctl/sandbox/unique_fd.h"

extern char** environ;

namespace weft::sandbox {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

void ResetSignals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int s : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) signal(s, SIG_DFL);
}

// dup2() onto 0, 1 and 2 from sources that may themselves be among them.
bool PlaceStdio(const SpawnSpec& spec) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  int wanted[3] = {spec.in, spec.out, spec.err};
  for (int& fd : wanted) {
    fd = fcntl(fd < 0 ? null : fd, F_DUPFD_CLOEXEC, 10);
    if (fd < 0) return false;
  }
  for (int i = 0; i < 3; ++i) {
    if (dup2(wanted[i], i) < 0) return false;
  }
  return true;
}

// The child's side of Spawn; returns only on failure, with errno set.
const char* BecomeProgram(const SpawnSpec& spec) {
  setsid();
  ResetSignals();
  for (int ns : spec.namespaces) {
    if (setns(ns, 0) != 0) return "setns";
  }
  if (!PlaceStdio(spec)) return "standard input and output";
  if (chdir(spec.directory.c_str()) != 0) return "chdir";
  std::vector<char*> argv = Pointers(spec.argv);
  std::vector<char*> env = Pointers(spec.environment);
  environ = env.data();  // so that execvp searches the PATH of the program's own environment
  execvp(argv[0], argv.data());
  return argv[0];
}

struct Failure {
  int error;
  char what[120];
};

int RunChild(void* run) {
  (*static_cast<const std::function<void()>*>(run))();
  _exit(0);
}

absl::string_view NameOf(absl::string_view variable) {
  return variable.substr(0, variable.find('='));
}

std::string ReadFromStart(int fd) {
  std::string text(4096, '\0');
  ssize_t n = pread(fd, text.data(), text.size(), 0);
  text.resize(n > 0 ? n : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

pid_t Fork(const std::function<void()>& run) {
  constexpr size_t kStack = 256 * 1024;
  const auto stack = std::make_unique<char[]>(kStack);
  return clone(RunChild, stack.get() + kStack, SIGCHLD, const_cast<std::function<void()>*>(&run));
}

absl::StatusOr<pid_t> Spawn(const SpawnSpec& spec) {
  if (spec.argv.empty()) return absl::InvalidArgumentError("an empty command");
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  UniqueFd from_child(report[0]);
  UniqueFd to_parent(report[1]);
  pid_t pid = Fork([&] {
    Failure failure = {};
    const char* what = BecomeProgram(spec);
    failure.error = errno;
    strncpy(failure.what, what, sizeof(failure.what) - 1);
    ssize_t ignored = write(report[1], &failure, sizeof(failure));
    (void)ignored;
    _exit(127);
  });
  if (pid < 0) return absl::ErrnoToStatus(errno, "clone");
  to_parent.Reset();
  Failure failure;
  ssize_t n;
  do {
    n = read(from_child.get(), &failure, sizeof(failure));
  } while (n < 0 && errno == EINTR);
  if (n != static_cast<ssize_t>(sizeof(failure))) return pid;  // exec() closed the pipe
  waitpid(pid, nullptr, 0);
  return absl::ErrnoToStatus(failure.error, failure.what);
}

absl::Status RunTool(const std::vector<std::string>& argv, absl::string_view input,
                     int net_namespace) {
  UniqueFd in(memfd_create("input", MFD_CLOEXEC));
  UniqueFd printed(memfd_create("printed", MFD_CLOEXEC));
  if (!in.valid() || !printed.valid()) return absl::ErrnoToStatus(errno, "memfd_create");
  if (write(in.get(), input.data(), input.size()) != static_cast<ssize_t>(input.size())) {
    return absl::ErrnoToStatus(errno, "memfd write");
  }
  lseek(in.get(), 0, SEEK_SET);
  SpawnSpec spec;
  spec.argv = argv;
  spec.environment = CurrentEnvironment();
  if (net_namespace >= 0) spec.namespaces = {net_namespace};
  spec.in = in.get();
  spec.out = spec.err = printed.get();
  absl::StatusOr<pid_t> pid = Spawn(spec);
  if (!pid.ok()) return pid.status();
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(argv[0], ": ", DescribeWaitStatus(status), ": ", ReadFromStart(printed.get())));
}

int KillProcessesInNetNamespace(ino_t net_namespace) {
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return 0;
  int found = 0;
  while (dirent* entry = readdir(proc)) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry->d_name, &pid) || pid <= 1) continue;
    struct stat info;
    if (stat(absl::StrCat("/proc/", pid, "/ns/net").c_str(), &info) != 0) continue;
    if (info.st_ino != net_namespace) continue;
    ++found;
    kill(pid, SIGKILL);
  }
  closedir(proc);
  return found;
}

std::vector<std::string> CurrentEnvironment() {
  std::vector<std::string> all;
  bool has_path = false;
  for (char** e = environ; *e != nullptr; ++e) {
    if (absl::EndsWithIgnoreCase(NameOf(*e), "_proxy") && NameOf(*e) != "WEFT_PROXY") continue;
    if (absl::StartsWith(*e, "PATH=")) {
      // ip and nft live in sbin, which an ordinary user's PATH lacks on Debian.
      all.push_back(absl::StrCat(*e, ":/usr/local/sbin:/usr/sbin:/sbin"));
      has_path = true;
      continue;
    }
    all.push_back(*e);
  }
  if (!has_path) all.push_back("PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
  return all;
}

std::vector<std::string> MergeEnvironment(std::vector<std::string> base,
                                          const std::vector<std::string>& over) {
  for (const std::string& variable : over) {
    auto same = [&](const std::string& other) { return NameOf(other) == NameOf(variable); };
    base.erase(std::remove_if(base.begin(), base.end(), same), base.end());
    base.push_back(variable);
  }
  return base;
}

std::string DescribeWaitStatus(int status) {
  if (WIFSIGNALED(status)) {
    return absl::StrCat("signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
  }
  return absl::StrCat("exit status ", WEXITSTATUS(status));
}

int ShellStatus(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace weft::sandbox
