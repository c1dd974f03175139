// One running pod: its namespaces, its processes, and whether it is ready.
//
// Place: a Cluster owns its runners; the supervisor hands them the exits of children. One thread.
// A process that dies stays dead until Restart().
#ifndef TOOLS_WEFTCTL_SANDBOX_POD_RUNNER_H_
#define TOOLS_WEFTCTL_SANDBOX_POD_RUNNER_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/weftctl/sandbox/event_loop.h"
#include "tools/weftctl/sandbox/namespaces.h"
#include "tools/weftctl/sandbox/pod_plan.h"
#include "tools/weftctl/sandbox/probe.h"

namespace weft::sandbox {

struct ContainerState {
  pid_t pid = 0;  // 0: does not run
  int restarts = 0;
  std::string ended;  // how it ended, when it did
  std::unique_ptr<Probe> probe;
};

class PodRunner {
 public:
  // `on_change` is called whenever ready() or problem() may have changed. The logs of the
  // containers go to LOG_PREFIX.CONTAINER.log.
  PodRunner(EventLoop* loop, PodPlan plan, PodNamespaces namespaces, std::string log_prefix,
            std::function<void()> on_change);
  ~PodRunner();  // kills what runs

  // Runs the init containers, then the containers.
  void Start();
  // Takes note of a child's end; false when it is none of this pod's.
  bool OnExit(pid_t pid, int status);
  // SIGKILLs everything in the pod, also what exec started, and returns when all of it is gone.
  // `reap` is called to reap children meanwhile.
  void Kill(const std::function<void()>& reap);
  // Starts the containers that do not run.
  void Restart();

  bool ready() const;
  bool running() const;  // any container
  // Empty, or why the pod cannot become ready.
  std::string problem() const;
  const PodPlan& plan() const { return plan_; }
  const PodNamespaces& namespaces() const { return namespaces_; }
  const std::vector<ContainerState>& containers() const { return containers_; }
  std::string LogFile(const std::string& container) const;

 private:
  void StartNextInit();
  void StartContainers();
  absl::StatusOr<pid_t> Run(const ContainerPlan& container);
  ino_t NetInode() const;

  EventLoop* loop_;
  PodPlan plan_;
  PodNamespaces namespaces_;
  std::string log_prefix_;
  std::function<void()> on_change_;

  size_t next_init_ = 0;
  pid_t init_pid_ = 0;
  std::string init_problem_;
  std::vector<ContainerState> containers_;  // as in the plan
};

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_POD_RUNNER_H_
