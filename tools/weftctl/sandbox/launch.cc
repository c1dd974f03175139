#include "tools/weftctl/sandbox/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tools/weftctl/sandbox/control.h"
#include "tools/weftctl/sandbox/namespaces.h"
#include "tools/weftctl/sandbox/process.h"

namespace weft::sandbox {
namespace {

// When a process started, in clock ticks since boot: with its number, its identity.
std::string StartTime(pid_t pid) {
  absl::StatusOr<std::string> stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!stat.ok()) return "";
  // Behind the name in parentheses, which may hold anything, "S" is field 3; the time is 22.
  std::vector<std::string> fields =
      absl::StrSplit(stat->substr(stat->rfind(')') + 1), ' ', absl::SkipEmpty());
  return fields.size() > 19 ? fields[19] : "";
}

// Runs in the forked process; writes an error to `report`, nothing when all is well.
void StartSupervisor(const StateDir& state, const SandboxConfig& config, int lock, int report) {
  setsid();
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  int log = open(state.log().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dup2(null, 0);
  dup2(log, 1);
  dup2(log, 2);
  signal(SIGHUP, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  absl::Status s = LeaveHostNamespaces();
  if (!s.ok()) {
    std::string message(s.message());
    ssize_t ignored = write(report, message.data(), message.size());
    (void)ignored;
    return;
  }
  pid_t pid = fork();
  if (pid == 0) {
    fcntl(lock, F_SETFD, 0);  // held across exec, for the supervisor's whole life
    execl(config.weftctl.c_str(), "weftctl", "sandbox", "supervise", state.path().c_str(), nullptr);
    _exit(127);
  }
  WriteFileAtomically(state.pid_file(), absl::StrCat(pid, " ", StartTime(pid), "\n")).IgnoreError();
}

struct Process {
  pid_t pid = 0;
  std::string start_time;
  UniqueFd fd;  // invalid when it does not run
};

Process OpenSupervisor(const StateDir& state) {
  Process process;
  absl::StatusOr<std::string> text = ReadFile(state.pid_file());
  if (!text.ok()) return process;
  std::pair<std::string, std::string> recorded =
      absl::StrSplit(absl::StripSuffix(*text, "\n"), absl::MaxSplits(' ', 1));
  if (!absl::SimpleAtoi(recorded.first, &process.pid) || process.pid <= 1) return process;
  process.start_time = recorded.second;
  process.fd = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)));
  // Compared after opening: the descriptor then stays with the process that was compared.
  if (StartTime(process.pid) != process.start_time) process.fd.Reset();
  return process;
}

// A dead process keeps its number, and its namespace, until its parent has taken note: the
// machine's init, by now. Some inits of containers take a second.
void WaitUntilReaped(const Process& process) {
  absl::Time deadline = absl::Now() + absl::Seconds(3);
  while (absl::Now() < deadline && StartTime(process.pid) == process.start_time) {
    absl::SleepFor(absl::Milliseconds(2));
  }
}

bool WaitForEnd(const UniqueFd& process, absl::Duration timeout) {
  pollfd wait = {process.get(), POLLIN, 0};
  return poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) > 0;
}

}  // namespace

bool IsUp(const StateDir& state) { return state.Exists() && !state.Lock().ok(); }

absl::Status Launch(const StateDir& state, const SandboxConfig& config) {
  if (IsUp(state)) {
    return absl::FailedPreconditionError(
        absl::StrCat("sandbox '", config.name, "' is already up: `weftctl sandbox down --name ",
                     config.name, "`, or choose another --name"));
  }
  if (absl::Status s = TakeDown(state); !s.ok()) return s;
  if (absl::Status s = state.Create(); !s.ok()) return s;
  absl::StatusOr<UniqueFd> lock = state.Lock();
  if (!lock.ok()) return lock.status();
  if (absl::Status s = WriteFileAtomically(state.config(), ConfigToJson(config)); !s.ok()) return s;
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  UniqueFd from_child(report[0]), to_parent(report[1]);
  pid_t pid = Fork([&] { StartSupervisor(state, config, lock->get(), report[1]); });
  if (pid < 0) return absl::ErrnoToStatus(errno, "clone");
  to_parent.Reset();
  waitpid(pid, nullptr, 0);
  char message[1024];
  ssize_t n = read(from_child.get(), message, sizeof(message));
  if (n <= 0) return absl::OkStatus();
  state.Remove();
  return absl::FailedPreconditionError(std::string(message, n));
}

absl::Status TakeDown(const StateDir& state) {
  if (!state.Exists()) return absl::OkStatus();
  Process process = OpenSupervisor(state);
  if (process.fd.valid()) {
    Call(state.control_socket(), {{"command", "down"}}).status().IgnoreError();
    if (!WaitForEnd(process.fd, absl::Seconds(2))) {
      syscall(SYS_pidfd_send_signal, process.fd.get(), SIGKILL, nullptr, 0);
      if (!WaitForEnd(process.fd, absl::Seconds(10))) {
        return absl::DeadlineExceededError("the supervisor does not end, even when killed");
      }
    }
    WaitUntilReaped(process);
  }
  state.Remove();
  return absl::OkStatus();
}

}  // namespace weft::sandbox
