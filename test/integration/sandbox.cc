#include "test/integration/sandbox.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"

namespace weft::integration {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uid_t kNobody = 65534;
constexpr char kEnd = '\x1e';  // ASCII's record separator, behind each record of Calls()

// $1: how often, or a file whose existence ends it; the others are curl's.
constexpr char kCallScript[] = R"(
limit=$1 done=0
shift
while case $limit in /*) [ ! -e "$limit" ];; *) [ $done -lt $limit ];; esac; do
  curl -s -m 10 -w '\n%{http_code} %{time_total} %{redirect_url}' "$@"
  printf ' %d\036' $?
  done=$((done + 1))
done)";

std::string MakeWorkFolder() {
  char folder[] = "/tmp/weft-it.XXXXXX";  // short: a socket's path has room for 107 bytes
  return mkdtemp(folder) != nullptr ? folder : "";
}

Answer ParseRecord(absl::string_view record) {
  Answer answer;
  size_t line = record.rfind('\n');
  if (line == absl::string_view::npos) return answer;
  answer.body = std::string(record.substr(0, line));
  std::vector<std::string> words = absl::StrSplit(record.substr(line + 1), ' ');
  if (words.size() < 3) return answer;
  double seconds = 0;
  if (!absl::SimpleAtoi(words[0], &answer.code) || !absl::SimpleAtod(words[1], &seconds) ||
      !absl::SimpleAtoi(words.back(), &answer.curl)) {
    return answer;
  }
  answer.took = absl::Seconds(seconds);
  answer.redirect = words[2];
  answer.echo = json::parse(answer.body, nullptr, false);
  return answer;
}

Answers ParseRecords(absl::string_view text) {
  Answers answers;
  for (absl::string_view record : absl::StrSplit(text, kEnd, absl::SkipEmpty())) {
    answers.push_back(ParseRecord(record));
  }
  return answers;
}

std::vector<std::string> CallCommand(const std::string& limit,
                                     const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {"sh", "-c", kCallScript, "calls", limit};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

std::string Indented(const std::string& metadata, const std::string& value) {
  return value.empty() ? "" : absl::StrCat(metadata, value, "\n");
}

std::vector<int> AllProcesses() {
  std::vector<int> pids;
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator("/proc", gone)) {
    int pid;
    if (absl::SimpleAtoi(entry.path().filename().string(), &pid)) pids.push_back(pid);
  }
  return pids;
}

}  // namespace

std::string Answer::field(const std::string& name) const {
  if (!echo.is_object() || !echo.contains(name) || !echo[name].is_string()) return "";
  return echo[name].get<std::string>();
}

int CountOk(const Answers& answers) {
  int ok = 0;
  for (const Answer& answer : answers) ok += answer.ok();
  return ok;
}

std::map<std::string, int> Tally(const Answers& answers, const std::string& field) {
  std::map<std::string, int> counts;
  for (const Answer& answer : answers) {
    ++counts[answer.ok() ? answer.field(field)
                         : absl::StrCat("code ", answer.code, ", curl ", answer.curl)];
  }
  return counts;
}

std::string BinaryPath(const char* variable) {
  const char* value = getenv(variable);
  return value == nullptr ? "" : fs::canonical(value).string();
}

// The test's own source is found through the link that Bazel makes of it.
std::string Samples() {
  if (const char* shared = getenv("WEFT_SHARED"); shared != nullptr && *shared != '\0') {
    const fs::path samples = fs::path(shared) / "corpora/istio/samples";
    return fs::is_directory(samples) ? samples.string() : "";
  }
  std::error_code error;
  for (fs::path at = fs::canonical("test/integration/README.md", error); at.has_relative_path();
       at = at.parent_path()) {
    fs::path samples = at / "shared/corpora/istio/samples";
    if (fs::is_directory(samples, error)) return samples.string();
  }
  return "";
}

Sandbox::Sandbox(std::vector<std::string> clusters) : Sandbox(std::move(clusters), false) {}

std::unique_ptr<Sandbox> Sandbox::Unprivileged(std::vector<std::string> clusters) {
  return std::unique_ptr<Sandbox>(new Sandbox(std::move(clusters), true));
}

Sandbox::Sandbox(std::vector<std::string> clusters, bool unprivileged)
    : clusters_(std::move(clusters)), work_(MakeWorkFolder()) {
  std::string binaries[] = {BinaryPath("WEFTCTL"), BinaryPath("WEFTD"), BinaryPath("WEFT_PROXY")};
  for (const std::string& cluster : clusters_) fs::create_directories(Folder(cluster));
  if (unprivileged) {
    prefix_ = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"};
    for (std::string& binary : binaries) {
      std::string copy = absl::StrCat(work_, "/", fs::path(binary).filename().string());
      fs::copy_file(binary, copy);
      chmod(copy.c_str(), 0755);
      binary = copy;
    }
    if (chown(work_.c_str(), kNobody, kNobody) != 0) perror("chown");
  }
  weftctl_ = binaries[0];
  environment_ = {"WEFTD=" + binaries[1], "WEFT_PROXY=" + binaries[2], "XDG_RUNTIME_DIR=" + work_};
  watchdog_ = std::make_unique<Watchdog>(
      std::vector<std::string>{
          "sh", "-c",
          absl::StrCat(prefix_.empty() ? "" : "setpriv --reuid=65534 --regid=65534 --clear-groups ",
                       "\"$0\" sandbox down --name it; rm -rf \"$1\""),
          weftctl_, work_},
      environment_);
}

Sandbox::~Sandbox() = default;

void Sandbox::AddSample(const std::string& cluster, const std::string& sample) {
  fs::path file = sample;
  fs::copy_file(fs::path(Samples()) / file, fs::path(Folder(cluster)) / file.filename());
}

void Sandbox::Write(const std::string& cluster, const std::string& file, const std::string& text) {
  std::string temporary = absl::StrCat(Folder(cluster), "/.", file);
  std::ofstream(temporary) << text;
  fs::rename(temporary, absl::StrCat(Folder(cluster), "/", file));
}

std::vector<std::string> Sandbox::Command(const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv = prefix_;
  argv.insert(argv.end(), {weftctl_, "sandbox", arguments[0], "--name", "it"});
  argv.insert(argv.end(), arguments.begin() + 1, arguments.end());
  return argv;
}

Result Sandbox::Weftctl(const std::vector<std::string>& arguments, const std::string& input) {
  return RunCommand(Command(arguments), environment_, input);
}

Result Sandbox::Up(std::vector<std::string> flags) {
  flags.insert(flags.begin(), "up");
  for (const std::string& cluster : clusters_) {
    flags.insert(flags.end(), {"--cluster", absl::StrCat(cluster, "=", Folder(cluster))});
  }
  return Weftctl(flags);
}

Result Sandbox::Exec(const std::string& target, const std::vector<std::string>& command) {
  std::vector<std::string> arguments = {"exec", target, "--"};
  arguments.insert(arguments.end(), command.begin(), command.end());
  return Weftctl(arguments);
}

Result Sandbox::Apply(const std::string& cluster, const std::string& yaml) {
  return Weftctl({"apply", cluster, "-f", "-"}, yaml);
}

Result Sandbox::Delete(const std::string& cluster, const std::string& yaml) {
  return Weftctl({"delete", cluster, "-f", "-"}, yaml);
}

json Sandbox::Status() {
  return json::parse(Weftctl({"status", "-o", "json"}).out, nullptr, false);
}

std::vector<std::string> Sandbox::PodsOf(const std::string& cluster, const std::string& workload) {
  std::vector<std::string> pods;
  const json status = Status();
  for (const json& each : status["clusters"]) {
    for (const json& pod : each["pods"]) {
      if (each["name"] != cluster || pod["workload"] != workload) continue;
      pods.push_back(absl::StrCat(cluster, "/", pod["name"].get<std::string>()));
    }
  }
  return pods;
}

std::string Sandbox::PodAddress(const std::string& cluster, const std::string& workload) {
  const json status = Status();
  for (const json& each : status["clusters"]) {
    for (const json& pod : each["pods"]) {
      if (each["name"] == cluster && pod["workload"] == workload) return pod["ip"];
    }
  }
  return "";
}

int Sandbox::ContainerPid(const std::string& cluster, const std::string& workload,
                          const std::string& container) {
  const json status = Status();
  for (const json& each : status["clusters"]) {
    for (const json& pod : each["pods"]) {
      if (each["name"] != cluster || pod["workload"] != workload) continue;
      for (const json& its : pod["containers"]) {
        if (its["name"] == container) return its["pid"];
      }
    }
  }
  return 0;
}

void Sandbox::Heal() {
  const json status = Status();
  for (const json& cluster : status["clusters"]) {
    for (const json& pod : cluster["pods"]) {
      if (pod["ready"] == true) continue;
      Restart(
          absl::StrCat(cluster["name"].get<std::string>(), "/", pod["name"].get<std::string>()));
    }
  }
  Eventually([this] { return Status()["ready"] == true; });
}

Answers Sandbox::Calls(const std::string& pod, int count,
                       const std::vector<std::string>& arguments) {
  Answers answers = ParseRecords(Exec(pod, CallCommand(absl::StrCat(count), arguments)).out);
  answers.resize(count);  // what did not come, failed
  return answers;
}

Answer Sandbox::Call(const std::string& pod, const std::vector<std::string>& arguments) {
  return Calls(pod, 1, arguments)[0];
}

std::vector<int> Sandbox::Processes() const {
  std::vector<int> found;
  std::error_code gone;
  const fs::path own = fs::read_symlink("/proc/self/ns/pid", gone);
  for (int pid : AllProcesses()) {
    std::string proc = absl::StrCat("/proc/", pid);
    // Its process namespace is what sets it apart from the test's other children.
    if (!absl::StrContains(ReadFile(proc + "/environ"), "XDG_RUNTIME_DIR=" + work_)) continue;
    fs::path its = fs::read_symlink(proc + "/ns/pid", gone);
    if (!its.empty() && its != own) found.push_back(pid);
  }
  return found;
}

std::vector<std::string> Sandbox::Mounts() const {
  std::vector<std::string> found;
  for (int pid : AllProcesses()) {
    const std::string mounts = ReadFile(absl::StrCat("/proc/", pid, "/mounts"));
    for (absl::string_view line : absl::StrSplit(mounts, '\n')) {
      if (absl::StrContains(line, work_)) found.emplace_back(line);
    }
  }
  return found;
}

CallsGoingOn::CallsGoingOn(Sandbox* sandbox, const std::string& pod,
                           const std::vector<std::string>& arguments) {
  static int number = 0;  // several may go on at once
  ++number;
  records_ = absl::StrCat(sandbox->work(), "/calls-", number);
  stop_ = absl::StrCat(sandbox->work(), "/stop-calls-", number);
  fs::remove(stop_);
  std::vector<std::string> command = {"exec", pod, "--"};
  for (const std::string& word : CallCommand(stop_, arguments)) command.push_back(word);
  process_ = std::make_unique<Process>(sandbox->Command(command), sandbox->environment(), records_);
}

int CallsGoingOn::Ended() const {
  const std::string text = ReadFile(records_);
  return static_cast<int>(std::count(text.begin(), text.end(), kEnd));
}

bool CallsGoingOn::Await(int count) {
  const int wanted = Ended() + count;
  return Eventually([&] { return Ended() >= wanted; });
}

Answers CallsGoingOn::Stop() {
  std::ofstream(stop_).put('\n');
  process_->Wait(absl::Seconds(15));  // the last call has ten seconds
  return ParseRecords(ReadFile(records_));
}

SteadyCalls::SteadyCalls(Sandbox* sandbox, const std::string& pod, const std::string& host,
                         int port, int rate, int connections, const std::string& path) {
  static int number = 0;
  report_ = absl::StrCat(sandbox->work(), "/steady-", ++number);
  process_ = std::make_unique<Process>(
      sandbox->Command({"exec", pod, "--", BinaryPath("STEADY"), host, absl::StrCat(port), path,
                        absl::StrCat(rate), absl::StrCat(connections), report_}),
      sandbox->environment(), report_ + ".out");
  absl::SleepFor(absl::Milliseconds(500));
}

nlohmann::json SteadyCalls::Stop() {
  std::ofstream(report_ + ".stop").put('\n');
  process_->Wait(absl::Seconds(20));
  const auto report = nlohmann::json::parse(ReadFile(report_), nullptr, false);
  return report.is_object() ? report : nlohmann::json::object();
}

Capture::Capture(Sandbox* sandbox, const std::string& where, const std::string& interface)
    : file_(sandbox->work() + "/frames-" + interface) {
  process_ = std::make_unique<Process>(
      sandbox->Command({"exec", where, "--", BinaryPath("SNIFF"), interface}),
      sandbox->environment(), file_);
  Eventually([this] { return ReadFile(file_).size() >= sizeof(uint32_t); });
}

std::vector<std::string> Capture::Stop() {
  process_->CloseInput();
  process_->Wait(absl::Seconds(10));
  const std::string text = ReadFile(file_);
  std::vector<std::string> frames;
  uint32_t size = 0;
  for (size_t at = 0; at + sizeof(size) <= text.size(); at += size) {
    memcpy(&size, text.data() + at, sizeof(size));
    at += sizeof(size);
    frames.push_back(text.substr(at, size));
  }
  if (!frames.empty()) frames.erase(frames.begin());  // the sign that it began
  return frames;
}

std::string EchoWorkload(const std::string& name, const std::string& app,
                         const std::string& version, int port, const std::string& annotations,
                         const std::string& image) {
  return absl::StrCat(R"(---
apiVersion: apps/v1
kind: Deployment
metadata: {name: )",
                      name, R"(}
spec:
  selector: {matchLabels: {app: )",
                      app, ", version: ", version, R"(}}
  template:
    metadata:
      labels: {app: )",
                      app, ", version: ", version, "}\n",
                      Indented("      annotations: ", annotations), R"(    spec:
      serviceAccountName: )",
                      app, R"(
      containers: [{name: app, image: )",
                      image, ", ports: [{containerPort: ", port, "}]}]\n");
}

std::string ServiceOf(const std::string& app, const std::string& port_name, int port,
                      int target_port) {
  return absl::StrCat(R"(---
apiVersion: v1
kind: Service
metadata: {name: )",
                      app, R"(}
spec: {selector: {app: )",
                      app, "}, ports: [{name: ", port_name, ", port: ", port,
                      ", targetPort: ", target_port, "}]}\n");
}

std::string Client(const std::string& name, const std::string& annotations) {
  return absl::StrCat(R"(---
apiVersion: v1
kind: Pod
metadata:
  name: )",
                      name, "\n  labels: {app: ", name, "}\n",
                      Indented("  annotations: ", annotations), R"(spec:
  serviceAccountName: )",
                      name, R"(
  containers: [{name: client, image: client, command: [sleep, infinity]}]
)");
}

}  // namespace weft::integration
