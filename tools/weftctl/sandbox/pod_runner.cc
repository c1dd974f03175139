#include "tools/weftctl/sandbox/pod_runner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tools/weftctl/sandbox/process.h"

namespace weft::sandbox {

PodRunner::PodRunner(EventLoop* loop, PodPlan plan, PodNamespaces namespaces,
                     std::string log_prefix, std::function<void()> on_change)
    : loop_(loop),
      plan_(std::move(plan)),
      namespaces_(std::move(namespaces)),
      log_prefix_(std::move(log_prefix)),
      on_change_(std::move(on_change)),
      containers_(plan_.containers.size()) {}

PodRunner::~PodRunner() { KillProcessesInNetNamespace(NetInode()); }

void PodRunner::Start() { StartNextInit(); }

void PodRunner::StartNextInit() {
  if (next_init_ == plan_.init_containers.size()) return StartContainers();
  const ContainerPlan& container = plan_.init_containers[next_init_];
  absl::StatusOr<pid_t> pid = Run(container);
  if (pid.ok()) {
    init_pid_ = *pid;
    return;
  }
  init_problem_ = absl::StrCat("init container '", container.name, "': ", pid.status().message());
  on_change_();
}

void PodRunner::StartContainers() {
  for (size_t i = 0; i < containers_.size(); ++i) {
    ContainerState& state = containers_[i];
    if (state.pid != 0) continue;
    if (!state.ended.empty()) ++state.restarts;
    absl::StatusOr<pid_t> pid = Run(plan_.containers[i]);
    if (!pid.ok()) {
      state.ended = std::string(pid.status().message());
      continue;
    }
    state.pid = *pid;
    state.ended.clear();
    const ProbeTarget& target = plan_.containers[i].ready;
    if (target.port != 0) {
      state.probe = std::make_unique<Probe>(loop_, namespaces_.net.get(), target,
                                            [this](bool) { on_change_(); });
    }
  }
  on_change_();
}

absl::StatusOr<pid_t> PodRunner::Run(const ContainerPlan& container) {
  UniqueFd log(
      open(LogFile(container.name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  SpawnSpec spec;
  spec.argv = container.argv;
  spec.environment = MergeEnvironment(CurrentEnvironment(), container.environment);
  spec.namespaces = namespaces_.All();
  spec.out = spec.err = log.get();
  return Spawn(spec);
}

bool PodRunner::OnExit(pid_t pid, int status) {
  if (pid == init_pid_) {
    init_pid_ = 0;
    if (status == 0) {
      ++next_init_;
      StartNextInit();
    } else {
      const std::string& name = plan_.init_containers[next_init_].name;
      init_problem_ = absl::StrCat("init container '", name, "': ", DescribeWaitStatus(status),
                                   "; see its log ", LogFile(name));
      on_change_();
    }
    return true;
  }
  for (ContainerState& state : containers_) {
    if (state.pid != pid) continue;
    state.pid = 0;
    state.probe.reset();
    state.ended = DescribeWaitStatus(status);
    on_change_();
    return true;
  }
  return false;
}

void PodRunner::Kill(const std::function<void()>& reap) {
  // Something may fork while it is being killed: look again until nothing is left. A killed process
  // ends within milliseconds; the bound only guards against one stuck in the kernel.
  for (int i = 0; i < 2000; ++i) {
    bool found = KillProcessesInNetNamespace(NetInode()) > 0;
    reap();
    if (!found && !running()) return;
    absl::SleepFor(absl::Microseconds(500));
  }
}

void PodRunner::Restart() {
  if (next_init_ < plan_.init_containers.size()) {
    if (init_pid_ != 0) return;
    init_problem_.clear();
    return StartNextInit();
  }
  StartContainers();
}

bool PodRunner::ready() const {
  for (const ContainerState& state : containers_) {
    if (state.pid == 0 || (state.probe != nullptr && !state.probe->healthy())) return false;
  }
  return true;
}

bool PodRunner::running() const {
  for (const ContainerState& state : containers_) {
    if (state.pid != 0) return true;
  }
  return false;
}

std::string PodRunner::problem() const {
  if (!init_problem_.empty()) return init_problem_;
  for (size_t i = 0; i < containers_.size(); ++i) {
    if (containers_[i].pid == 0 && !containers_[i].ended.empty()) {
      return absl::StrCat("container '", plan_.containers[i].name, "': ", containers_[i].ended);
    }
  }
  return "";
}

std::string PodRunner::LogFile(const std::string& container) const {
  return absl::StrCat(log_prefix_, ".", container, ".log");
}

ino_t PodRunner::NetInode() const {
  struct stat info = {};
  fstat(namespaces_.net.get(), &info);
  return info.st_ino;
}

}  // namespace weft::sandbox
