#include "tools/weftctl/sandbox/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tools/weftctl/sandbox/cluster.h"
#include "tools/weftctl/sandbox/config.h"
#include "tools/weftctl/sandbox/control.h"
#include "tools/weftctl/sandbox/event_loop.h"
#include "tools/weftctl/sandbox/namespaces.h"
#include "tools/weftctl/sandbox/process.h"
#include "tools/weftctl/sandbox/topology.h"

namespace weft::sandbox {
namespace {

class Supervisor {
 public:
  Supervisor(StateDir state, SandboxConfig config)
      : state_(std::move(state)),
        config_(std::move(config)),
        control_(&loop_, [this](ControlConnection* c) { Handle(c); }) {}

  absl::Status Run();

 private:
  absl::Status StartClusters();
  void Reap();
  void LinkClusters();
  void Handle(ControlConnection* c);
  void HandleForCluster(const std::string& command, ControlConnection* c);
  void Exec(Cluster* cluster, const std::string& target, ControlConnection* c);
  Cluster* FindCluster(const std::string& name);
  Json Status(bool with_problems);

  StateDir state_;
  SandboxConfig config_;
  EventLoop loop_;
  ControlServer control_;
  std::unique_ptr<Watch> children_;
  std::vector<std::unique_ptr<Cluster>> clusters_;
  std::map<pid_t, ControlConnection*> execs_;
};

absl::Status Supervisor::Run() {
  absl::Status s = BecomeInit();
  if (!s.ok()) return s;
  children_ = loop_.OnSignal(SIGCHLD, [this] { Reap(); });
  signal(SIGPIPE, SIG_IGN);
  if (s = StartClusters(); !s.ok()) return s;
  if (s = control_.Listen(state_.control_socket()); !s.ok()) return s;
  loop_.Run();
  return absl::OkStatus();
}

absl::Status Supervisor::StartClusters() {
  std::vector<UniqueFd> routers;
  std::vector<std::string> paths;
  for (size_t i = 0; i < config_.clusters.size(); ++i) {
    absl::StatusOr<UniqueFd> router = NewNetNamespace();
    if (!router.ok()) return router.status();
    paths.push_back(absl::StrCat("/proc/", getpid(), "/fd/", router->get()));
    routers.push_back(*std::move(router));
  }
  if (absl::Status s = RunTool({"ip", "-batch", "-"}, WanCommands(paths)); !s.ok()) return s;
  for (size_t i = 0; i < config_.clusters.size(); ++i) {
    clusters_.push_back(std::make_unique<Cluster>(&loop_, config_, static_cast<int>(i),
                                                  state_.cluster(config_.clusters[i].name),
                                                  std::move(routers[i]), [this] { Reap(); }));
    clusters_.back()->on_root = [this] { LinkClusters(); };
    if (absl::Status s = clusters_.back()->Start(); !s.ok()) {
      return absl::Status(s.code(),
                          absl::StrCat("cluster ", config_.clusters[i].name, ": ", s.message()));
    }
  }
  return absl::OkStatus();
}

void Supervisor::Reap() {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    auto exec = execs_.find(pid);
    if (exec != execs_.end()) {
      ControlConnection* c = exec->second;
      execs_.erase(exec);
      c->Reply({{"status", ShellStatus(status)}});
      continue;
    }
    for (auto& cluster : clusters_) {
      if (cluster->OnExit(pid, status)) break;
    }
  }
}

// How others get to the cluster.
std::string ReachOf(const Cluster& cluster) {
  if (cluster.config().block_inbound) return "outboundOnly: true\ngateways: []\n";
  return absl::StrCat("gateways: [\"", cluster.gateway_ports(), "\"]\n");
}

// Tells each cluster of each other one that has a root: what linking real clusters does.
void Supervisor::LinkClusters() {
  if (config_.link == "none") return;
  for (auto& peer : clusters_) {
    if (peer->ca_root().empty()) continue;
    std::string yaml =
        absl::StrCat("cluster: ", peer->name(), "\nnetwork: ", peer->name(),
                     "-net\ntrustDomain: ", peer->name(), ".weft\n", ReachOf(*peer), "roots: |\n  ",
                     absl::StrReplaceAll(peer->ca_root(), {{"\n", "\n  "}}), "\n");
    for (auto& cluster : clusters_) {
      if (CanBeLinked(cluster->config(), peer->config())) cluster->SetPeer(peer->name(), yaml);
    }
  }
}

Cluster* Supervisor::FindCluster(const std::string& name) {
  for (auto& cluster : clusters_) {
    if (cluster->name() == name) return cluster.get();
  }
  return nullptr;
}

Json Supervisor::Status(bool with_problems) {
  Json clusters = Json::array();
  bool ready = true;
  for (const auto& cluster : clusters_) {
    clusters.push_back(cluster->Status());
    if (with_problems) clusters.back()["problems"] = cluster->Problems();
    ready = ready && GetBool(clusters.back(), "ready");
  }
  return {{"name", config_.name}, {"ready", ready}, {"clusters", std::move(clusters)}};
}

void Supervisor::Handle(ControlConnection* c) {
  std::string command = GetString(c->request(), "command");
  if (command == "status") return c->Reply(Status(GetBool(c->request(), "problems")));
  if (command == "down") {
    c->Reply({{"ok", true}});
    return loop_.Stop();
  }
  HandleForCluster(command, c);
}

// Commands with {"cluster": NAME} and, mostly, {"target": …}.
void Supervisor::HandleForCluster(const std::string& command, ControlConnection* c) {
  std::string name = GetString(c->request(), "cluster");
  std::string target = GetString(c->request(), "target");
  Cluster* cluster = FindCluster(name);
  if (cluster == nullptr) {
    return c->ReplyError(absl::NotFoundError(
        absl::StrCat("no cluster '", name, "' in sandbox '", config_.name, "'")));
  }
  if (command == "exec") return Exec(cluster, target, c);
  Json report = Json::array();
  absl::Status s = absl::InvalidArgumentError(absl::StrCat("unknown command '", command, "'"));
  if (command == "kill") s = cluster->Kill(target);
  if (command == "restart") s = cluster->Restart(target);
  std::string text = GetString(c->request(), "text");
  std::string file = GetString(c->request(), "file");
  if (command == "apply") s = cluster->Apply(text, file, &report);
  if (command == "delete") s = cluster->Delete(text, file, &report);
  if (!s.ok() && report.empty()) return c->ReplyError(s);
  c->Reply({{"report", std::move(report)}, {"failed", std::string(s.message())}});
}

void Supervisor::Exec(Cluster* cluster, const std::string& target, ControlConnection* c) {
  SpawnSpec spec;
  spec.argv = GetStrings(c->request(), "argv");
  spec.environment = CurrentEnvironment();
  if (target == "router") {
    spec.namespaces = {cluster->router()};
  } else {
    absl::StatusOr<const PodRunner*> pod = cluster->PodToEnter(target);
    if (!pod.ok()) return c->ReplyError(pod.status());
    spec.namespaces = (*pod)->namespaces().All();
    spec.environment =
        MergeEnvironment(std::move(spec.environment), (*pod)->plan().containers[0].environment);
  }
  if (c->fds().size() == 3) {
    spec.in = c->fds()[0].get();
    spec.out = c->fds()[1].get();
    spec.err = c->fds()[2].get();
  }
  absl::StatusOr<pid_t> pid = Spawn(spec);
  // As a shell answers for a command it cannot run.
  if (absl::IsNotFound(pid.status())) {
    return c->Reply({{"status", 127}, {"message", std::string(pid.status().message())}});
  }
  if (!pid.ok()) {
    return c->Reply({{"status", 126}, {"message", std::string(pid.status().message())}});
  }
  execs_[*pid] = c;
  c->on_abandoned = [this, pid = *pid] {
    execs_.erase(pid);
    kill(-pid, SIGKILL);
  };
}

}  // namespace

int RunSupervisor(const StateDir& state) {
  absl::StatusOr<std::string> text = ReadFile(state.config());
  absl::StatusOr<SandboxConfig> config = text.ok() ? ConfigFromJson(*text) : text.status();
  absl::Status s = config.status();
  if (s.ok()) s = Supervisor(state, *config).Run();
  if (s.ok()) return 0;
  // The last line of the log is what `up` shows when the supervisor is gone.
  fprintf(stderr, "error: %s\n", std::string(s.message()).c_str());
  return 1;
}

}  // namespace weft::sandbox
