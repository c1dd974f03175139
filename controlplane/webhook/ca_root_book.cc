#include "controlplane/webhook/ca_root_book.h"

#include <nlohmann/json.hpp>

#include "controlplane/webhook/inject.h"

namespace weft::webhook {
namespace {

using Json = nlohmann::json;

// Where no pod is ever injected (inject.h) it is of no use.
bool IsToHaveIt(const ObjectDelta& delta) {
  if (delta.object == nullptr) return false;
  const std::string& name = delta.key.name;
  if (name == "kube-system" || name == "kube-public" || name == "kube-node-lease") return false;
  const YamlNode metadata = delta.object->body.node["metadata"];
  // Nothing can be made in one that is on its way out.
  return !metadata["deletionTimestamp"].IsDefined() &&
         metadata["labels"]["istio-injection"].Scalar() != "disabled";
}

}  // namespace

void CaRootBook::OnObjects(const std::vector<ObjectDelta>& deltas) {
  for (const ObjectDelta& delta : deltas) {
    if (delta.key.kind == "Namespace") {
      if (IsToHaveIt(delta)) {
        namespaces_.insert(delta.key.name);
      } else {
        namespaces_.erase(delta.key.name);
        not_before_.erase(delta.key.name);
      }
      Look(delta.key.name);
    } else if (delta.key.kind == "ConfigMap" && delta.key.name == kRootVolume) {
      there_.erase(delta.key.namespace_);
      if (delta.object != nullptr) {
        there_[delta.key.namespace_] =
            std::string(delta.object->body.node["data"][kRootFile].Scalar());
      }
      Look(delta.key.namespace_);
    }
  }
}

void CaRootBook::Look(const std::string& name_space) {
  const auto found = there_.find(name_space);
  const bool right = found != there_.end() && found->second == roots_pem_;
  if (namespaces_.contains(name_space) && !right) {
    due_.insert(name_space);
  } else {
    due_.erase(name_space);
  }
}

std::optional<std::string> CaRootBook::Next(MonotonicTime now) const {
  for (const std::string& name_space : due_) {
    const auto when = not_before_.find(name_space);
    if (when == not_before_.end() || when->second <= now) return name_space;
  }
  return std::nullopt;
}

void CaRootBook::OnWritten(const std::string& name_space, MonotonicTime again) {
  there_[name_space] = roots_pem_;
  OnNotWritten(name_space, again);
}

void CaRootBook::OnNotWritten(const std::string& name_space, MonotonicTime again) {
  if (namespaces_.contains(name_space)) not_before_[name_space] = again;
  Look(name_space);
}

std::string CaRootBook::BodyFor(const std::string& name_space) const {
  const Json object = {{"apiVersion", "v1"},
                       {"kind", "ConfigMap"},
                       {"metadata", {{"name", kRootVolume}, {"namespace", name_space}}},
                       {"data", {{kRootFile, roots_pem_}}}};
  return object.dump();
}

}  // namespace weft::webhook
