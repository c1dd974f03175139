#include "test/integration/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "absl/time/clock.h"

namespace weft::integration {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void Become(const std::vector<std::string>& argv,
                         const std::vector<std::string>& environment) {
  for (const std::string& variable : environment) putenv(const_cast<char*>(variable.c_str()));
  std::vector<char*> pointers = Pointers(argv);
  execvp(pointers[0], pointers.data());
  dprintf(STDERR_FILENO, "%s: %m\n", pointers[0]);
  _exit(127);
}

pid_t Start(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
            int in, int out, int err) {
  pid_t pid = fork();
  if (pid != 0) return pid;
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  Become(argv, environment);
}

bool WaitForEnd(pid_t pid, absl::Duration timeout) {
  int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  pollfd wait = {fd, POLLIN, 0};
  bool ended = poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) > 0;
  close(fd);
  return ended;
}

std::string TakeAll(int fd) {
  std::string text(lseek(fd, 0, SEEK_END), '\0');
  text.resize(std::max<ssize_t>(pread(fd, text.data(), text.size(), 0), 0));
  close(fd);
  return text;
}

}  // namespace

Result RunCommand(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
                  const std::string& input, absl::Duration timeout) {
  // Files in memory rather than pipes: nobody blocks however much is written.
  int in = memfd_create("in", MFD_CLOEXEC);
  int out = memfd_create("out", MFD_CLOEXEC);
  int err = memfd_create("err", MFD_CLOEXEC);
  Result result;
  if (write(in, input.data(), input.size()) == static_cast<ssize_t>(input.size())) {
    lseek(in, 0, SEEK_SET);
    pid_t pid = Start(argv, environment, in, out, err);
    bool ended = WaitForEnd(pid, timeout);
    if (!ended) kill(pid, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    result.status = !ended ? 124 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  close(in);
  result.out = TakeAll(out);
  result.err = TakeAll(err);
  return result;
}

Process::Process(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
                 const std::string& output_file) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  int out = open(output_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  pid_ = Start(argv, environment, ends[0], out, STDERR_FILENO);
  input_ = ends[1];
  close(ends[0]);
  close(out);
}

Process::~Process() {
  CloseInput();
  Kill();
}

void Process::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void Process::CloseInput() {
  if (input_ >= 0) close(input_);
  input_ = -1;
}

bool Process::Wait(absl::Duration timeout) { return pid_ > 0 && WaitForEnd(pid_, timeout); }

Watchdog::Watchdog(const std::vector<std::string>& argv,
                   const std::vector<std::string>& environment) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  pid_ = fork();
  if (pid_ == 0) {
    setsid();  // whoever kills the test kills its process group
    close(ends[1]);
    char byte;
    while (read(ends[0], &byte, 1) > 0) {
    }
    Become(argv, environment);
  }
  close(ends[0]);
  lifeline_ = ends[1];
}

Watchdog::~Watchdog() {
  close(lifeline_);
  waitpid(pid_, nullptr, 0);
}

bool Eventually(const std::function<bool()>& condition, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(20));
  }
  return true;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace weft::integration
