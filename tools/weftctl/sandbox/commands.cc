#include "tools/weftctl/sandbox/commands.h"

#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "controlplane/sources/folders.h"
#include "tools/weftctl/sandbox/control.h"
#include "tools/weftctl/sandbox/launch.h"
#include "tools/weftctl/sandbox/state_dir.h"
#include "tools/weftctl/table.h"

namespace weft::sandbox {
namespace {

int Fail(const absl::Status& status) {
  fprintf(stderr, "weftctl: %s\n", std::string(status.message()).c_str());
  return 1;
}

absl::StatusOr<Json> Ask(const std::string& name, const Json& request,
                         const std::vector<int>& fds = {}) {
  absl::StatusOr<StateDir> state = StateDir::For(name);
  if (!state.ok()) return state.status();
  absl::StatusOr<Json> response = Call(state->control_socket(), request, fds);
  if (!absl::IsUnavailable(response.status())) return response;
  if (!state->Exists()) {
    return absl::UnavailableError(absl::StrCat("no sandbox '", name,
                                               "' is up: `weftctl sandbox up "
                                               "--name ",
                                               name, " --cluster NAME=DIR …`"));
  }
  if (IsUp(*state)) return absl::UnavailableError(absl::StrCat("sandbox '", name, "' is starting"));
  return absl::UnavailableError(absl::StrCat("sandbox '", name,
                                             "' is dead (its supervisor was "
                                             "killed): `weftctl sandbox down --name ",
                                             name, "` removes what it left in ", state->path()));
}

struct Target {
  std::string cluster, rest;
};

absl::StatusOr<Target> Split(const std::string& target) {
  size_t slash = target.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == target.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", target, "': use CLUSTER/WORKLOAD, CLUSTER/POD or CLUSTER/NAMESPACE/…"));
  }
  return Target{target.substr(0, slash), target.substr(slash + 1)};
}

bool Matches(const Json& pod, const std::string& target) {
  std::string prefix = GetString(pod, "namespace") + "/";
  for (const char* key : {"name", "workload"}) {
    std::string value = GetString(pod, key);
    if (target == value || target == prefix + value) return true;
  }
  return false;
}

std::string ContainersOf(const Json& pod) {
  std::string names;
  for (const Json& container : pod["containers"]) {
    absl::StrAppend(&names, names.empty() ? "" : ",", GetString(container, "name"),
                    GetBool(container, "running") ? "" : "(dead)");
  }
  return names;
}

void PrintColumns(const std::vector<std::vector<std::string>>& rows) {
  fputs(FormatTable(rows).c_str(), stdout);
}

void PrintStatus(const Json& status) {
  std::vector<std::vector<std::string>> pods = {
      {"CLUSTER", "NAMESPACE", "POD", "IP", "READY", "RESTARTS", "CONTAINERS"}};
  std::vector<std::vector<std::string>> clusters = {{"CLUSTER", "GATEWAY", "LOCALITY"}};
  for (const Json& cluster : status["clusters"]) {
    std::string name = GetString(cluster, "name");
    for (const Json& pod : cluster["pods"]) {
      std::string problem = GetString(pod, "problem");
      pods.push_back({name, GetString(pod, "namespace"), GetString(pod, "name"),
                      GetString(pod, "ip"), GetBool(pod, "ready") ? "yes" : "no",
                      absl::StrCat(GetInt(pod, "restarts")),
                      absl::StrCat(ContainersOf(pod), problem.empty() ? "" : "  ", problem)});
    }
    std::string gateway = GetString(cluster, "gateway");
    std::string region = GetString(cluster, "region"), zone = GetString(cluster, "zone");
    clusters.push_back(
        {name, gateway.empty() ? "-" : gateway,
         region.empty() ? "-" : absl::StrCat(region, zone.empty() ? "" : "/", zone)});
  }
  PrintColumns(pods);
  printf("\n");
  PrintColumns(clusters);
  for (const Json& cluster : status["clusters"]) {
    std::vector<std::string> problems = GetStrings(cluster, "problems");
    if (problems.empty()) continue;
    printf("\nproblems in %s (the last good state of these objects holds):\n",
           GetString(cluster, "name").c_str());
    for (const std::string& problem : problems) printf("  %s\n", problem.c_str());
  }
}

struct Input {
  std::string name;  // for messages
  std::string text;
};

// What -f names: a file, a folder's files of objects, or standard input.
absl::StatusOr<std::vector<Input>> ReadInputs(const std::string& file) {
  if (file == "-") {
    return std::vector<Input>{
        {"standard input",
         std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>())}};
  }
  std::vector<std::string> paths = {file};
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) {
    paths.clear();
    for (const auto& entry : std::filesystem::directory_iterator(file, error)) {
      if (IsObjectFile(entry.path().filename().string())) paths.push_back(entry.path().string());
    }
    if (paths.empty()) {
      return absl::NotFoundError(absl::StrCat(file, ": no .yaml, .yml or .json file in it"));
    }
    std::sort(paths.begin(), paths.end());
  }
  std::vector<Input> inputs;
  for (const std::string& path : paths) {
    absl::StatusOr<std::string> text = ReadFile(path);
    if (!text.ok()) return text.status();
    inputs.push_back({path, *std::move(text)});
  }
  return inputs;
}

}  // namespace

int ShowStatus(const std::string& name, const std::string& format) {
  absl::StatusOr<Json> status = Ask(name, {{"command", "status"}, {"problems", true}});
  if (!status.ok()) return Fail(status.status());
  if (format == "json") {
    printf("%s\n", status->dump(2).c_str());
  } else {
    PrintStatus(*status);
  }
  return 0;
}

int Exec(const std::string& name, const std::string& target,
         const std::vector<std::string>& command) {
  absl::StatusOr<Target> where = Split(target);
  if (!where.ok()) return Fail(where.status());
  absl::StatusOr<Json> response = Ask(name,
                                      {{"command", "exec"},
                                       {"cluster", where->cluster},
                                       {"target", where->rest},
                                       {"argv", command}},
                                      {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});
  if (!response.ok()) return Fail(response.status());
  std::string message = GetString(*response, "message");
  if (!message.empty()) fprintf(stderr, "weftctl: %s\n", message.c_str());
  return GetInt(*response, "status", 1);
}

int ApplyOrDelete(const std::string& name, const std::string& command, const std::string& cluster,
                  const std::vector<std::string>& files) {
  int exit_status = 0;
  for (const std::string& file : files) {
    absl::StatusOr<std::vector<Input>> inputs = ReadInputs(file);
    if (!inputs.ok()) return Fail(inputs.status());
    for (const Input& input : *inputs) {
      absl::StatusOr<Json> response = Ask(
          name,
          {{"command", command}, {"cluster", cluster}, {"file", input.name}, {"text", input.text}});
      if (!response.ok()) return Fail(response.status());
      for (const std::string& line : GetStrings(*response, "report")) printf("%s\n", line.c_str());
      std::string failed = GetString(*response, "failed");
      if (!failed.empty()) exit_status = Fail(absl::UnknownError(failed));
    }
  }
  return exit_status;
}

int KillOrRestart(const std::string& name, const std::string& command, const std::string& target) {
  absl::StatusOr<Target> where = Split(target);
  if (!where.ok()) return Fail(where.status());
  absl::StatusOr<Json> response =
      Ask(name, {{"command", command}, {"cluster", where->cluster}, {"target", where->rest}});
  return response.ok() ? 0 : Fail(response.status());
}

int ShowLogs(const std::string& name, const std::string& target, const std::string& container) {
  absl::StatusOr<Target> where = Split(target);
  if (!where.ok()) return Fail(where.status());
  absl::StatusOr<Json> status = Ask(name, {{"command", "status"}});
  if (!status.ok()) return Fail(status.status());
  std::vector<std::pair<std::string, std::string>> logs;  // title, file
  for (const Json& cluster : (*status)["clusters"]) {
    if (GetString(cluster, "name") != where->cluster) continue;
    for (const Json& pod : cluster["pods"]) {
      if (!Matches(pod, where->rest)) continue;
      for (const Json& each : pod["containers"]) {
        std::string its_name = GetString(each, "name");
        if (!container.empty() && its_name != container) continue;
        logs.emplace_back(absl::StrCat(GetString(pod, "name"), " ", its_name),
                          GetString(each, "log"));
      }
    }
  }
  if (logs.empty()) {
    return Fail(absl::NotFoundError(absl::StrCat(
        target, container.empty() ? "" : " container " + container, ": no such pod or container")));
  }
  for (const auto& [title, file] : logs) {
    if (logs.size() > 1) printf("==> %s <==\n", title.c_str());
    absl::StatusOr<std::string> text = ReadFile(file);
    if (text.ok()) fwrite(text->data(), 1, text->size(), stdout);
  }
  return 0;
}

int Down(const std::string& name) {
  absl::StatusOr<StateDir> state = StateDir::For(name);
  if (!state.ok()) return Fail(state.status());
  absl::Status s = TakeDown(*state);
  return s.ok() ? 0 : Fail(s);
}

}  // namespace weft::sandbox
