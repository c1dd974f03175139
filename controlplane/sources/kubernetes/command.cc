#include "controlplane/sources/kubernetes/command.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "proxy/net/tcp.h"

extern char** environ;

namespace weft {
namespace {

// How often it is looked whether a program that has said all is over.
constexpr absl::Duration kExitPoll = absl::Milliseconds(5);

// A program that runs. Killed, and not left as a zombie, when this goes.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // As of waitpid, once it is over.
  std::optional<int> TakeExit() {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
    pid_ = 0;
    return status;
  }

 private:
  pid_t pid_;
};

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

// weftd blocks signals and ignores SIGPIPE, which another program must not inherit.
void UseOrdinarySignals(posix_spawnattr_t* attributes) {
  sigset_t none;
  sigset_t pipe;
  sigemptyset(&none);
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  posix_spawnattr_setsigmask(attributes, &none);
  posix_spawnattr_setsigdefault(attributes, &pipe);
  posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

absl::StatusOr<pid_t> Spawn(Command& command, int output) {
  std::vector<std::string> variables;
  for (const auto& [name, value] : command.env) variables.push_back(absl::StrCat(name, "=", value));
  for (char** variable = environ; *variable != nullptr; ++variable) variables.push_back(*variable);
  std::vector<char*> argv = Pointers(command.argv);
  std::vector<char*> env = Pointers(variables);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  UseOrdinarySignals(&attributes);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(), env.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("start ", command.argv[0]));
  return pid;
}

Task<absl::StatusOr<std::string>> ReadAll(EventLoop& loop, ByteStream& from,
                                          MonotonicTime deadline) {
  Buffer in;
  while (true) {
    const IoResult got = from.Read(in, Buffer::kBlockSize);
    if (in.size() > kMaxCommandOutput) {
      co_return absl::ResourceExhaustedError("it printed more than 1 MiB");
    }
    if (got.status == IoStatus::kEof) co_return std::string(in.view());
    if (got.status == IoStatus::kError) co_return absl::UnavailableError(from.error());
    if (got.status != IoStatus::kBlocked) continue;
    const bool notified = co_await Wait(loop, {&from.readable()}, deadline);
    if (!notified) co_return absl::DeadlineExceededError("it took too long and was stopped");
  }
}

absl::Status FromExit(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  if (WIFEXITED(status)) {
    return absl::UnavailableError(absl::StrCat("it exited with ", WEXITSTATUS(status)));
  }
  return absl::UnavailableError(absl::StrCat("it was ended by ", strsignal(WTERMSIG(status))));
}

}  // namespace

Task<absl::StatusOr<std::string>> RunCommand(EventLoop& loop, Command command,
                                             MonotonicTime deadline) {
  // A socket rather than a pipe: that is what the loop reads from.
  auto [ours, theirs] = StreamSocketPair();
  if (ours < 0) co_return absl::ResourceExhaustedError("no descriptors left");
  TcpStream output(loop, ours);
  fcntl(theirs, F_SETFL, fcntl(theirs, F_GETFL) & ~O_NONBLOCK);
  const absl::StatusOr<pid_t> pid = Spawn(command, theirs);
  close(theirs);
  if (!pid.ok()) co_return pid.status();
  Child child(*pid);
  absl::StatusOr<std::string> printed = co_await ReadAll(loop, output, deadline);
  if (!printed.ok()) co_return printed.status();
  std::optional<int> exit = child.TakeExit();
  while (!exit.has_value()) {
    if (loop.Now() >= deadline) {
      co_return absl::DeadlineExceededError("it took too long and was stopped");
    }
    co_await Sleep(loop, kExitPoll);
    exit = child.TakeExit();
  }
  const absl::Status ended = FromExit(*exit);
  if (!ended.ok()) co_return ended;
  co_return printed;
}

}  // namespace weft
