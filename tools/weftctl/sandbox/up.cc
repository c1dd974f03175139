#include "tools/weftctl/sandbox/up.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "controlplane/sources/directory.h"
#include "tools/weftctl/sandbox/config.h"
#include "tools/weftctl/sandbox/control.h"
#include "tools/weftctl/sandbox/launch.h"
#include "tools/weftctl/sandbox/objects.h"
#include "tools/weftctl/sandbox/process.h"
#include "tools/weftctl/sandbox/progress.h"
#include "tools/weftctl/sandbox/state_dir.h"

namespace weft::sandbox {
namespace {

constexpr absl::Duration kPollPeriod = absl::Milliseconds(50);

volatile sig_atomic_t interrupted = 0;

std::string FindInPath(const std::string& name) {
  const char* path = getenv("PATH");
  std::string folders = absl::StrCat(path != nullptr ? path : "", ":/usr/sbin:/sbin:/usr/bin:/bin");
  for (absl::string_view folder : absl::StrSplit(folders, ':', absl::SkipEmpty())) {
    std::string candidate = absl::StrCat(folder, "/", name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

// By flag, by environment, beside this binary as Bazel lays them out, or from PATH.
absl::StatusOr<std::string> FindBinary(const std::string& flag, const char* variable,
                                       const std::string& own, const std::string& relative) {
  const char* environment = getenv(variable);
  std::filesystem::path beside = std::filesystem::path(own).parent_path() / relative;
  std::string name = beside.filename().string();
  std::string found = flag;
  if (found.empty() && environment != nullptr) found = environment;
  if (found.empty() && access(beside.c_str(), X_OK) == 0) found = beside.string();
  if (found.empty()) found = FindInPath(name);
  std::error_code error;
  std::filesystem::path canonical = std::filesystem::canonical(found, error);
  if (found.empty() || error || access(canonical.c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat(name, found.empty() ? "" : " at " + found,
                                            " not found: build //proxy:weft-proxy and "
                                            "//controlplane:weftd, or set ",
                                            variable));
  }
  return canonical.string();
}

absl::Status CheckTools() {
  for (const auto& [tool, package] : {std::pair("ip", "iproute2"), std::pair("nft", "nftables")}) {
    if (!FindInPath(tool).empty()) continue;
    return absl::NotFoundError(
        absl::StrCat("the command '", tool, "' is missing: apt install ", package));
  }
  return absl::OkStatus();
}

// The first word of an image's command has to be a command here, as far as can be told from it.
absl::Status CheckImages(const SandboxConfig& config) {
  for (const auto& [image, command] : config.images) {
    std::string word = command.substr(0, command.find_first_of(" \t;&|()<>"));
    if (word.find_first_of("$=\"'`{}") != std::string::npos) continue;
    std::vector<std::string> test = {"/bin/sh", "-c", "command -v \"$0\"", word};
    if (RunTool(test, "").ok()) continue;
    return absl::NotFoundError(absl::StrCat("--image ", image, "=", command, ": no command '", word,
                                            "' on this machine: install it, or give its path"));
  }
  return absl::OkStatus();
}

absl::StatusOr<SandboxConfig> ConfigOf(const UpOptions& options) {
  SandboxConfig config;
  config.name = options.name;
  config.exports = options.exports;
  config.link = options.link;
  config.dual_stack = options.dual_stack;
  std::set<std::string> names;
  for (const std::string& flag : options.clusters) {
    absl::StatusOr<ClusterConfig> cluster = ParseCluster(flag);
    if (!cluster.ok()) return cluster.status();
    if (!names.insert(cluster->name).second) {
      return absl::InvalidArgumentError(absl::StrCat("--cluster ", cluster->name,
                                                     " is given twice: list its folders as "
                                                     "NAME=DIR,DIR"));
    }
    config.clusters.push_back(*std::move(cluster));
  }
  for (const std::string& flag : options.localities) {
    if (absl::Status s = ParseLocality(flag, &config.clusters); !s.ok()) return s;
  }
  for (const std::string& flag : options.blocked) {
    if (absl::Status s = ParseBlocked(flag, &config.clusters); !s.ok()) return s;
  }
  for (const std::string& flag : options.ca_certs) {
    if (absl::Status s = ParseCaCerts(flag, &config.clusters); !s.ok()) return s;
  }
  for (const std::string& flag : options.images) {
    if (absl::Status s = ParseImage(flag, &config.images); !s.ok()) return s;
  }
  config.weftctl = std::filesystem::read_symlink("/proc/self/exe").string();
  absl::StatusOr<std::string> weftd =
      FindBinary(options.weftd, "WEFTD", config.weftctl, "../../controlplane/weftd");
  if (!weftd.ok()) return weftd.status();
  absl::StatusOr<std::string> proxy =
      FindBinary(options.weft_proxy, "WEFT_PROXY", config.weftctl, "../../proxy/weft-proxy");
  if (!proxy.ok()) return proxy.status();
  config.weftd = *weftd;
  config.weft_proxy = *proxy;
  return config;
}

// The workloads of a cluster: one line a problem on standard error, false when any is an error.
bool ValidateWorkloads(const ClusterConfig& cluster) {
  Objects objects = ReadDirectories(cluster.folders).objects;
  if (objects.empty()) {
    fprintf(stderr, "cluster %s: warning: no objects in %s\n", cluster.name.c_str(),
            absl::StrJoin(cluster.folders, ", ").c_str());
  }
  std::vector<Problem> problems;
  ClusterObjects typed = TypedObjects(objects, {}, &problems);
  for (Problem& problem : CheckWorkloads(objects, typed)) problems.push_back(std::move(problem));
  for (const Problem& problem : problems) fprintf(stderr, "%s\n", ToString(problem).c_str());
  return !HasErrors(problems);
}

// weftd's own judgement on the folders, and the sandbox's on the workloads.
bool Validate(const SandboxConfig& config) {
  bool valid = true;
  for (const ClusterConfig& cluster : config.clusters) {
    const bool runnable = ValidateWorkloads(cluster);
    SpawnSpec spec;
    spec.argv = {config.weftd, "--registry", "dir:" + absl::StrJoin(cluster.folders, ","),
                 "--validate"};
    std::vector<std::string> linked = LinkedFolders(config, cluster.name);
    if (!linked.empty()) {
      spec.argv.push_back("--validate-with");
      spec.argv.push_back("dir:" + absl::StrJoin(linked, ","));
    }
    spec.environment = CurrentEnvironment();
    spec.err = STDERR_FILENO;
    absl::StatusOr<pid_t> pid = Spawn(spec);
    int status = 0;
    if (pid.ok()) waitpid(*pid, &status, 0);
    if (pid.ok() && status == 0 && runnable) continue;
    fprintf(stderr, "cluster %s: %s\n", cluster.name.c_str(),
            pid.ok() ? "the objects named above are not as they should be"
                     : std::string(pid.status().message()).c_str());
    valid = false;
  }
  return valid;
}

std::string LastLines(const std::string& path, size_t count) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok() || text->empty()) return "";
  std::vector<std::string> lines = absl::StrSplit(*text, '\n', absl::SkipEmpty());
  if (lines.size() > count) lines.erase(lines.begin(), lines.end() - count);
  return "    " + absl::StrJoin(lines, "\n    ") + "\n";
}

// Says of each pod that is not ready why, with the end of its logs.
void Explain(const Json& status) {
  for (const Json& cluster : status["clusters"]) {
    for (const Json& pod : cluster["pods"]) {
      if (GetBool(pod, "ready")) continue;
      std::string problem = GetString(pod, "problem");
      fprintf(stderr, "%s: %s/%s: %s\n", GetString(cluster, "name").c_str(),
              GetString(pod, "namespace").c_str(), GetString(pod, "name").c_str(),
              problem.empty() ? "not ready" : problem.c_str());
      for (const Json& container : pod["containers"]) {
        fputs(LastLines(GetString(container, "log"), 5).c_str(), stderr);
      }
    }
  }
}

bool AnyProblem(const Json& status) {
  for (const Json& cluster : status["clusters"]) {
    for (const Json& pod : cluster["pods"]) {
      if (!GetString(pod, "problem").empty()) return true;
    }
  }
  return false;
}

// Follows the sandbox until every pod is ready.
absl::Status WaitUntilReady(const StateDir& state, absl::Duration timeout) {
  Progress progress;
  absl::Time deadline = absl::Now() + timeout;
  while (true) {
    absl::StatusOr<Json> status = Call(state.control_socket(), {{"command", "status"}});
    if (interrupted) return absl::CancelledError("interrupted");
    if (!status.ok() && !IsUp(state)) {
      return absl::InternalError(
          absl::StrCat("the supervisor ended:\n", LastLines(state.log(), 3)));
    }
    bool late = absl::Now() > deadline;
    if (status.ok()) {
      progress.Show(*status);
      if (GetBool(*status, "ready")) return absl::OkStatus();
      bool failed = AnyProblem(*status);
      if (failed || late) {
        progress.End();
        Explain(*status);
        return failed ? absl::InternalError("a process ended")
                      : absl::DeadlineExceededError(
                            absl::StrCat("not ready after ", absl::FormatDuration(timeout)));
      }
    } else if (late) {
      return absl::DeadlineExceededError("the supervisor does not answer");
    }
    absl::SleepFor(kPollPeriod);
  }
}

int Fail(const absl::Status& status) {
  fprintf(stderr, "weftctl: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int Up(const UpOptions& options) {
  absl::StatusOr<StateDir> state = StateDir::For(options.name);
  if (!state.ok()) return Fail(state.status());
  absl::StatusOr<SandboxConfig> config = ConfigOf(options);
  if (!config.ok()) return Fail(config.status());
  if (absl::Status s = CheckTools(); !s.ok()) return Fail(s);
  if (absl::Status s = CheckImages(*config); !s.ok()) return Fail(s);
  if (!Validate(*config) && !options.lenient) {
    return Fail(absl::InvalidArgumentError(
        "nothing was started; --lenient starts without the objects that are wrong"));
  }
  if (absl::Status s = Launch(*state, *config); !s.ok()) return Fail(s);
  struct sigaction on_interrupt = {};
  on_interrupt.sa_handler = [](int) { interrupted = 1; };
  sigaction(SIGINT, &on_interrupt, nullptr);
  sigaction(SIGTERM, &on_interrupt, nullptr);
  absl::Status ready = WaitUntilReady(*state, absl::Seconds(options.timeout_seconds));
  if (ready.ok()) return 0;
  if (!options.keep) TakeDown(*state).IgnoreError();
  return Fail(ready);
}

}  // namespace weft::sandbox
