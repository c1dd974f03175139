#include "tools/weftctl/sandbox/objects.h"

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/yaml/to_json.h"
#include "api/yaml/yaml_to_message.h"
#include "tools/weftctl/sandbox/controllers.h"

namespace weft::sandbox {
namespace {

using Json = nlohmann::json;

Json JsonOf(const RawObject& object) {
  Json json = weft::ToJson(object.body.node).value_or(Json::object());
  if (!object.key.namespace_.empty()) json["metadata"]["namespace"] = object.key.namespace_;
  return json;
}

std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

// Reads an object into its message; says why not.
template <typename Message>
absl::Status Take(const RawObject& object, const std::string& key,
                  const std::map<std::string, Message>& last_good,
                  std::map<std::string, Message>* into) {
  Message message;
  absl::Status status = YamlToMessage(object.body.node, UnknownFields::kSkip, &message);
  if (status.ok()) {
    message.mutable_metadata()->set_namespace_(object.key.namespace_);
    (*into)[key] = std::move(message);
  } else if (auto good = last_good.find(key); good != last_good.end()) {
    (*into)[key] = good->second;
  }
  return status;
}

absl::Status TakeByKind(const RawObject& object, const ClusterObjects& last_good,
                        ClusterObjects* typed) {
  const std::string& kind = object.key.kind;
  const std::string key = absl::StrCat(object.key.namespace_, "/", object.key.name);
  if (kind == "Deployment") return Take(object, key, last_good.deployments, &typed->deployments);
  if (kind == "Pod") return Take(object, key, last_good.pods, &typed->pods);
  if (kind == "Service") return Take(object, key, last_good.services, &typed->services);
  if (kind == "ConfigMap") return Take(object, key, last_good.config_maps, &typed->config_maps);
  if (kind == "Secret") return Take(object, key, last_good.secrets, &typed->secrets);
  if (kind == "Namespace") {
    return Take(object, object.key.name, last_good.namespaces, &typed->namespaces);
  }
  return absl::OkStatus();
}

bool IsJudgedByWeftd(const std::string& kind) {
  return kind == "Pod" || kind == "Service" || kind == "Namespace";
}

// Kinds that run pods in Kubernetes, and here do not.
bool IsForeignWorkload(const std::string& kind) {
  static const std::set<std::string>& kinds = *new std::set<std::string>{
      "CronJob", "DaemonSet", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"};
  return kinds.count(kind) != 0;
}

class WorkloadChecker {
 public:
  explicit WorkloadChecker(std::vector<Problem>* problems) : problems_(problems) {}

  void Check(const RawObject& object, const kubernetes::Deployment& deployment) {
    object_ = &object;
    const kubernetes::Deployment::Spec& spec = deployment.spec();
    if (spec.replicas() > kMaxReplicas) {
      Add(Severity::kWarning, "spec.replicas",
          absl::StrCat(spec.replicas(), " is more than a sandbox runs; cut to ", kMaxReplicas));
    }
    const auto& labels = spec.template_().metadata().labels();
    for (const auto& [name, value] : spec.selector().match_labels()) {
      auto label = labels.find(name);
      if (label != labels.end() && label->second == value) continue;
      Add(Severity::kError, absl::StrCat("spec.selector.matchLabels.", name),
          absl::StrCat("'", value, "' is not among spec.template.metadata.labels"));
    }
    CheckContainers("spec.template.spec", spec.template_().spec());
  }

  void Leave(const RawObject& object) {
    object_ = &object;
    Add(Severity::kWarning, "", "not started: the sandbox runs Deployments and Pods");
  }

 private:
  void CheckContainers(const std::string& path, const kubernetes::PodSpec& pod) {
    if (pod.containers().empty()) {
      Add(Severity::kError, absl::StrCat(path, ".containers"), "is empty: a pod needs one");
    }
    for (int i = 0; i < pod.containers_size(); ++i) {
      for (int k = 0; k < pod.containers(i).ports_size(); ++k) {
        const int port = pod.containers(i).ports(k).container_port();
        if (port >= 1 && port <= 65535) continue;
        Add(Severity::kError,
            absl::StrCat(path, ".containers[", i, "].ports[", k, "].containerPort"),
            absl::StrCat(port, " is out of range 1..65535"));
      }
    }
  }

  void Add(Severity severity, std::string field, std::string message) {
    problems_->push_back(
        {severity, "", object_->key, object_->origin, std::move(field), std::move(message)});
  }

  std::vector<Problem>* problems_;
  const RawObject* object_ = nullptr;
};

}  // namespace

ClusterObjects TypedObjects(const Objects& objects, const ClusterObjects& last_good,
                            std::vector<Problem>* problems) {
  ClusterObjects typed;
  for (const auto& [key, object] : objects) {
    absl::Status status = TakeByKind(*object, last_good, &typed);
    if (status.ok() || IsJudgedByWeftd(key.kind)) continue;
    problems->push_back(
        {Severity::kError, "", key, object->origin, "", std::string(status.message())});
  }
  return typed;
}

std::vector<Problem> CheckWorkloads(const Objects& objects, const ClusterObjects& typed) {
  std::vector<Problem> problems;
  WorkloadChecker checker(&problems);
  for (const auto& [key, object] : objects) {
    if (IsForeignWorkload(key.kind)) checker.Leave(*object);
    if (key.kind != "Deployment") continue;
    auto deployment = typed.deployments.find(absl::StrCat(key.namespace_, "/", key.name));
    if (deployment != typed.deployments.end()) checker.Check(*object, deployment->second);
  }
  return problems;
}

std::string FileName(const ObjectKey& key) {
  // No name and no kind has an underscore.
  return absl::StrCat(key.kind, "_", key.namespace_, "_", key.name, ".yaml");
}

std::string ToJson(const google::protobuf::Message& object) {
  return MessageToJson(object, /*pretty=*/true);
}

std::string ToJson(const RawObject& object) { return Dump(JsonOf(object)); }

std::string Tombstone(const RawObject& object) {
  Json json = JsonOf(object);
  json["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z";
  return Dump(json);
}

}  // namespace weft::sandbox
