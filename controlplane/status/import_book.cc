#include "controlplane/status/import_book.h"

#include <nlohmann/json.hpp>

#include "api/yaml/to_json.h"
#include "controlplane/status/conditions.h"

namespace weft {
namespace {

using Json = nlohmann::json;

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// As Kubernetes names them; empty where nothing is said of it.
const char* AppProtocolOf(Protocol protocol) {
  switch (protocol) {
    case Protocol::kHttp:
      return "http";
    case Protocol::kHttp2:
      return "kubernetes.io/h2c";
    case Protocol::kGrpc:
      return "grpc";
    case Protocol::kTls:
      return "tls";
    case Protocol::kTcp:
    case Protocol::kUdp:
      break;
  }
  return "";
}

Json PortOf(const ServicePort& port) {
  Json json = {{"port", port.port}, {"protocol", port.protocol == Protocol::kUdp ? "UDP" : "TCP"}};
  if (!port.name.empty()) json["name"] = port.name;
  if (const std::string app = AppProtocolOf(port.protocol); !app.empty()) json["appProtocol"] = app;
  return json;
}

Json SpecOf(const ServiceImport& import) {
  Json ports = Json::array();
  for (const ServicePort& port : import.ports) ports.push_back(PortOf(port));
  // One address: v1alpha1 takes no more.
  Json ips = Json::array();
  if (!import.ips.empty()) ips.push_back(import.ips.front());
  return {{"type", import.headless ? "Headless" : "ClusterSetIP"},
          {"ports", std::move(ports)},
          {"ips", std::move(ips)},
          {"sessionAffinity", import.session_affinity ? "ClientIP" : "None"}};
}

Json StatusOf(const ServiceImport& import) {
  Json clusters = Json::array();
  for (const std::string& cluster : import.clusters) clusters.push_back({{"cluster", cluster}});
  return {{"clusters", std::move(clusters)}};
}

Json ObjectOf(const ImportBook::Name& name) {
  return {{"kind", "ServiceImport"},
          {"metadata", {{"name", name.second}, {"namespace", name.first}}}};
}

std::string BodyOf(ImportBook::Action action, const ImportBook::Name& name,
                   const ServiceImport& import) {
  Json object = ObjectOf(name);
  if (action == ImportBook::Action::kApplyStatus) {
    object["status"] = StatusOf(import);
  } else {
    object["metadata"]["labels"][ImportBook::kLabel] = ImportBook::kManager;
    object["spec"] = SpecOf(import);
  }
  return Dump(object);
}

// Whether the JSON that is there has all that is wanted.
bool Says(const std::string& present, const Json& wanted) {
  return Holds(Json::parse(present, nullptr, /*allow_exceptions=*/false), wanted);
}

std::string TextAt(const YamlNode& object, const char* field) {
  const auto json = ToJson(object[field]);
  return json.ok() && json->is_object() ? Dump(*json) : "{}";
}

// Nothing can be made in one that is on its way out.
bool CanHaveObjects(const ObjectDelta& delta) {
  return delta.object != nullptr &&
         !delta.object->body.node["metadata"]["deletionTimestamp"].IsDefined();
}

}  // namespace

void ImportBook::OnWorld(const Imports& imports) {
  const bool first = !std::exchange(world_known_, true);
  std::set<Name> changed;
  Imports::Diff(imports_, imports, [&](const std::string&, const auto* was, const auto* is) {
    const ServiceImport& one = is != nullptr ? **is : **was;
    const Name name(one.namespace_, one.name);
    if (is == nullptr) {
      by_name_.erase(name);
    } else {
      by_name_[name] = *is;
    }
    changed.insert(name);
  });
  imports_ = imports;
  for (const Name& name : changed) Look(name);
  if (!first) return;
  for (const auto& [name, there] : there_) Look(name);
}

void ImportBook::OnObjects(const std::vector<ObjectDelta>& deltas) {
  for (const ObjectDelta& delta : deltas) {
    if (delta.key.kind == "Namespace") {
      if (CanHaveObjects(delta)) {
        namespaces_.insert(delta.key.name);
      } else {
        namespaces_.erase(delta.key.name);
      }
      LookIn(delta.key.name);
    } else if (delta.key.kind == "ServiceImport") {
      const Name name(delta.key.namespace_, delta.key.name);
      there_.erase(name);
      if (delta.object != nullptr) {
        const YamlNode object = delta.object->body.node;
        there_[name] = {object["metadata"]["labels"][kLabel].Scalar() == kManager,
                        TextAt(object, "spec"), TextAt(object, "status")};
      }
      Look(name);
    }
  }
}

const ServiceImport* ImportBook::Wanted(const Name& name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end() || !namespaces_.contains(name.first)) return nullptr;
  return found->second.get();
}

std::optional<ImportBook::Action> ImportBook::Due(const Name& name) const {
  const ServiceImport* wanted = Wanted(name);
  const auto there = there_.find(name);
  if (there == there_.end()) {
    return wanted == nullptr ? std::nullopt : std::make_optional(Action::kApply);
  }
  if (!there->second.ours) return std::nullopt;
  if (wanted == nullptr) return Action::kDelete;
  if (!Says(there->second.spec, SpecOf(*wanted))) return Action::kApply;
  if (!Says(there->second.status, StatusOf(*wanted))) return Action::kApplyStatus;
  return std::nullopt;
}

void ImportBook::Look(const Name& name) {
  if (!world_known_) return;
  if (const std::optional<Action> action = Due(name)) {
    due_[name] = *action;
    return;
  }
  due_.erase(name);
  for (Action action : {Action::kApply, Action::kApplyStatus, Action::kDelete}) {
    if (!by_name_.contains(name)) not_before_.erase({name, action});
  }
}

void ImportBook::LookIn(const std::string& name_space) {
  for (auto it = by_name_.lower_bound({name_space, ""});
       it != by_name_.end() && it->first.first == name_space; ++it) {
    Look(it->first);
  }
  for (auto it = there_.lower_bound({name_space, ""});
       it != there_.end() && it->first.first == name_space; ++it) {
    Look(it->first);
  }
}

std::optional<ImportBook::Write> ImportBook::Next(MonotonicTime now, bool may_delete) const {
  for (const auto& [name, action] : due_) {
    if (action == Action::kDelete && !may_delete) continue;
    const auto when = not_before_.find({name, action});
    if (when != not_before_.end() && when->second > now) continue;
    Write write;
    write.action = action;
    write.name = name;
    if (action != Action::kDelete) write.body = BodyOf(action, name, *Wanted(name));
    return write;
  }
  return std::nullopt;
}

void ImportBook::OnWritten(const Write& write, MonotonicTime again) {
  if (write.action == Action::kDelete) {
    there_.erase(write.name);
  } else {
    There& there = there_[write.name];
    there.ours = true;
    const Json body = Json::parse(write.body);
    (write.action == Action::kApply ? there.spec : there.status) =
        Dump(write.action == Action::kApply ? body["spec"] : body["status"]);
  }
  OnNotWritten(write, again);
}

void ImportBook::OnNotWritten(const Write& write, MonotonicTime again) {
  not_before_[{write.name, write.action}] = again;
  Look(write.name);
}

std::string ImportBook::WithApiVersion(const std::string& body, const std::string& api_version) {
  Json object = Json::parse(body);
  object["apiVersion"] = api_version;
  return Dump(object);
}

}  // namespace weft
