// What weftctl asks of a cluster: apply, delete, kill, restart, exec, status.
#include <unistd.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controlplane/sources/directory.h"
#include "controlplane/sources/validate_directories.h"
#include "tools/weftctl/sandbox/cluster.h"
#include "tools/weftctl/sandbox/state_dir.h"

namespace weft::sandbox {

namespace {

std::string Lines(const std::vector<Problem>& problems) {
  std::vector<std::string> lines;
  for (const Problem& problem : problems) lines.push_back(ToString(problem));
  return absl::StrJoin(lines, "\n");
}

// What a control plane would refuse, or leave out, of these objects alone.
std::vector<Problem> Judge(const ParsedObjects& parsed) {
  std::vector<Problem> problems = parsed.problems;
  for (Problem& problem : ValidateObjects(parsed.objects)) problems.push_back(std::move(problem));
  Objects objects;
  for (const auto& object : parsed.objects) objects[object->key] = object;
  ClusterObjects typed = TypedObjects(objects, {}, &problems);
  for (Problem& problem : CheckWorkloads(objects, typed)) problems.push_back(std::move(problem));
  return problems;
}

}  // namespace

absl::Status Cluster::Apply(const std::string& text, const std::string& file, Json* report) {
  ParsedObjects parsed = ParseObjects(text, file);
  std::vector<Problem> problems = Judge(parsed);
  if (HasErrors(problems)) return absl::InvalidArgumentError(Lines(problems));
  if (parsed.objects.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": no objects in it"));
  }
  std::set<ObjectKey> applied;
  for (const auto& object : parsed.objects) {
    auto old = objects_->objects().find(object->key);
    const char* what = old == objects_->objects().end()          ? "created"
                       : ToJson(*old->second) == ToJson(*object) ? "unchanged"
                                                                 : "configured";
    absl::Status s = WriteFileAtomically(absl::StrCat(folder_, "/applied/", FileName(object->key)),
                                         ToJson(*object));
    if (!s.ok()) return s;
    applied.insert(object->key);
    report->push_back(absl::StrCat(ToString(object->key), " ", what));
  }
  objects_->ReadNow();
  Reload();
  // References can only be judged with everything else: what dangles waits for its target.
  for (Problem problem : Validate(RegistryFolders(), LinkedFolders(sandbox_, name())).problems) {
    if (problem.code.empty() || applied.count(problem.key) == 0) continue;
    problem.origin.clear();
    report->push_back(absl::StrCat("  not in force yet: ", ToString(problem)));
  }
  for (const Problem& problem : problems) report->push_back("  " + ToString(problem));
  return absl::OkStatus();
}

absl::Status Cluster::Delete(const std::string& text, const std::string& file, Json* report) {
  ParsedObjects parsed = ParseObjects(text, file);
  if (!parsed.problems.empty()) return absl::InvalidArgumentError(Lines(parsed.problems));
  Objects of_user = ReadDirectories(config_.folders).objects;
  std::vector<std::string> missing;
  for (const auto& object : parsed.objects) {
    if (objects_->objects().count(object->key) == 0) {
      missing.push_back(absl::StrCat(file, ": ", ToString(object->key), ": not found"));
      continue;
    }
    std::string applied = absl::StrCat(folder_, "/applied/", FileName(object->key));
    unlink(applied.c_str());
    auto user = of_user.find(object->key);
    if (user != of_user.end()) {
      absl::Status s = WriteFileAtomically(applied, Tombstone(*user->second));
      if (!s.ok()) return s;
    }
    report->push_back(absl::StrCat(ToString(object->key), " deleted"));
  }
  objects_->ReadNow();
  Reload();
  if (!missing.empty()) return absl::NotFoundError(absl::StrJoin(missing, "\n"));
  return absl::OkStatus();
}

std::vector<std::string> Cluster::Problems() const {
  std::vector<std::string> lines;
  for (const Problem& problem :
       Validate(RegistryFolders(), LinkedFolders(sandbox_, name())).problems) {
    if (problem.severity != Severity::kInfo) lines.push_back(ToString(problem));
  }
  for (const Problem& problem : problems_) lines.push_back(ToString(problem));
  return lines;
}

// status.json is weftd's; where there is none, nothing can be waited for.
void Cluster::CheckLinks() {
  if (sandbox_.link == "none") linked_ = true;
  if (linked_) return;
  absl::StatusOr<std::string> text = ReadFile(folder_ + "/weftd/status.json");
  size_t synced = 0;
  if (text.ok()) {
    Json status = Json::parse(*text, nullptr, false);
    if (status.is_discarded()) return;
    for (const Json& peer : status["peers"]) synced += GetBool(peer, "synced") ? 1 : 0;
  }
  const auto& clusters = sandbox_.clusters;
  const auto links = std::count_if(clusters.begin(), clusters.end(),
                                   [&](const auto& other) { return CanBeLinked(config_, other); });
  linked_ = !text.ok() || synced >= static_cast<size_t>(links);
}

std::vector<std::string> Cluster::PodsOf(const std::string& target) const {
  std::vector<std::string> found, in_default;
  for (const auto& [key, live] : pods_) {
    const kubernetes::ObjectMeta& meta = live.pod.metadata();
    bool qualified = target == key || target == absl::StrCat(meta.namespace_(), "/", live.workload);
    if (!qualified && target != meta.name() && target != live.workload) continue;
    found.push_back(key);
    if (meta.namespace_() == "default") in_default.push_back(key);
  }
  return in_default.empty() ? found : in_default;
}

absl::Status Cluster::Kill(const std::string& target) {
  std::vector<std::string> keys = PodsOf(target);
  if (keys.empty()) return absl::NotFoundError(absl::StrCat(name(), "/", target, ": no such pod"));
  for (const std::string& key : keys) {
    if (pods_[key].runner != nullptr) pods_[key].runner->Kill(reap_);
  }
  Publish();
  return absl::OkStatus();
}

absl::Status Cluster::Restart(const std::string& target) {
  std::vector<std::string> keys = PodsOf(target);
  if (keys.empty()) return absl::NotFoundError(absl::StrCat(name(), "/", target, ": no such pod"));
  for (const std::string& key : keys) {
    if (pods_[key].runner == nullptr) continue;
    pods_[key].runner->Kill(reap_);
    pods_[key].runner->Restart();
  }
  Publish();
  return absl::OkStatus();
}

absl::StatusOr<const PodRunner*> Cluster::PodToEnter(const std::string& target) const {
  std::vector<std::string> keys = PodsOf(target);
  if (keys.empty()) {
    return absl::NotFoundError(absl::StrCat(name(), "/", target,
                                            ": no such pod; `weftctl sandbox status --name ",
                                            sandbox_.name, "` lists them"));
  }
  const PodRunner* running = nullptr;
  for (const std::string& key : keys) {
    const PodRunner* runner = pods_.at(key).runner.get();
    if (runner == nullptr || !runner->running()) continue;
    if (runner->ready()) return runner;
    running = running == nullptr ? runner : running;
  }
  if (running != nullptr) return running;
  return absl::UnavailableError(
      absl::StrCat(name(), "/", target, " does not run; `weftctl sandbox restart --name ",
                   sandbox_.name, " ", name(), "/", target, "` starts it"));
}

bool Cluster::AllReady() const {
  if (!reconciled_ || !linked_) return false;
  return std::all_of(pods_.begin(), pods_.end(), [](const auto& entry) {
    return entry.second.runner != nullptr && entry.second.runner->ready();
  });
}

Json Cluster::Status() {
  CheckLinks();
  Json pods = Json::array();
  for (const auto& [key, live] : pods_) {
    Json containers = Json::array();
    int restarts = 0;
    for (size_t i = 0; live.runner != nullptr && i < live.runner->containers().size(); ++i) {
      const ContainerState& state = live.runner->containers()[i];
      const std::string& container = live.runner->plan().containers[i].name;
      restarts = std::max(restarts, state.restarts);
      containers.push_back({{"name", container},
                            {"running", state.pid != 0},
                            {"pid", state.pid},
                            {"restarts", state.restarts},
                            {"ended", state.ended},
                            {"log", live.runner->LogFile(container)}});
    }
    pods.push_back({{"namespace", live.pod.metadata().namespace_()},
                    {"name", live.pod.metadata().name()},
                    {"workload", live.workload},
                    {"ip", live.pod.status().pod_ip()},
                    {"ready", live.runner != nullptr && live.runner->ready()},
                    {"restarts", restarts},
                    {"problem", live.runner != nullptr ? live.runner->problem() : live.problem},
                    {"containers", std::move(containers)}});
  }
  return {{"name", name()},           {"gateway", gateway_address()},
          {"region", config_.region}, {"zone", config_.zone},
          {"linked", linked_},        {"ready", AllReady()},
          {"pods", std::move(pods)}};
}

}  // namespace weft::sandbox
