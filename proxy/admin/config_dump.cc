#include "proxy/admin/config_dump.h"

#include <google/protobuf/any.pb.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/envoy/type_urls.h"
#include "api/yaml/yaml_to_message.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kAdminType[] = "type.googleapis.com/envoy.admin.v3.";

Json ToJson(absl::string_view type_url, absl::string_view bytes) {
  google::protobuf::Any any;
  any.set_type_url(std::string(type_url));
  any.set_value(std::string(bytes));
  return Json::parse(MessageToJson(any, /*pretty=*/false, JsonNames::kSnakeCase),
                     /*cb=*/nullptr, /*allow_exceptions=*/false);
}

// Keys, passwords and generic secrets, wherever they stand: whoever reads the dump is not to have
// them.
bool IsSecret(absl::string_view field) {
  for (absl::string_view secret :
       {"private_key", "password", "pkcs12", "generic_secret", "session_ticket_keys"}) {
    if (field == secret) return true;
  }
  return false;
}

void Redact(Json& json) {
  if (json.is_object()) {
    for (auto& [key, value] : json.items()) {
      if (IsSecret(key) && !value.is_string()) {
        value = {{"inline_string", "[redacted]"}};
      } else {
        Redact(value);
      }
    }
  } else if (json.is_array()) {
    for (auto& value : json) Redact(value);
  }
}

std::string Timestamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

Json ErrorState(absl::string_view type_url, const RefusedResource& refused) {
  return {{"failed_configuration", ToJson(type_url, refused.bytes)},
          {"last_update_attempt", Timestamp(refused.when)},
          {"details", refused.error},
          {"version_info", refused.version}};
}

// Of one message of envoy.admin.v3: its lists, and what is not in a list.
class Dump {
 public:
  explicit Dump(const char* message) { json_["@type"] = absl::StrCat(kAdminType, message); }

  void Set(const char* field, Json value) { json_[field] = std::move(value); }
  void Append(const char* list, Json element) { json_[list].push_back(std::move(element)); }
  Json Take() { return std::move(json_); }

 private:
  Json json_;
};

// What all elements have: version and time, the resource itself, and why the last was refused.
Json Element(absl::string_view type_url, const char* field, const ResourceDescription& one,
             absl::Time started) {
  Json element;
  if (!one.is_static) element["version_info"] = one.version;
  if (one.bytes != nullptr) {
    element[field] = ToJson(type_url, *one.bytes);
    element["last_updated"] = Timestamp(one.is_static ? started : one.updated);
  }
  if (one.refused != nullptr) element["error_state"] = ErrorState(type_url, *one.refused);
  return element;
}

Json DumpClusters(const std::vector<ResourceDescription>& all, absl::Time started) {
  Dump dump("ClustersConfigDump");
  for (const ResourceDescription& one : all) {
    const bool warming = one.warming && !one.active;
    dump.Append(one.is_static ? "static_clusters"
                : warming     ? "dynamic_warming_clusters"
                              : "dynamic_active_clusters",
                Element(kClusterType, "cluster", one, started));
  }
  return dump.Take();
}

// A dynamic listener's states hang below its name.
Json DynamicListener(const ResourceDescription& one, absl::Time started) {
  Json state = Element(kListenerType, "listener", one, started);
  Json element;
  element["name"] = one.name;
  if (state.contains("error_state")) {
    element["error_state"] = state["error_state"];
    state.erase("error_state");
  }
  if (one.bytes != nullptr) element[one.active ? "active_state" : "warming_state"] = state;
  return element;
}

Json DumpListeners(const std::vector<ResourceDescription>& all, absl::Time started) {
  Dump dump("ListenersConfigDump");
  for (const ResourceDescription& one : all) {
    if (one.is_static) {
      dump.Append("static_listeners", Element(kListenerType, "listener", one, started));
    } else {
      dump.Append("dynamic_listeners", DynamicListener(one, started));
    }
  }
  return dump.Take();
}

// Route tables that stand in a listener, wherever that has them.
void CollectInlineRoutes(const Json& json, Json::array_t& to) {
  if (json.is_object()) {
    for (const auto& [key, value] : json.items()) {
      if (key == "route_config" && value.is_object()) to.push_back(value);
      CollectInlineRoutes(value, to);
    }
  } else if (json.is_array()) {
    for (const auto& value : json) CollectInlineRoutes(value, to);
  }
}

Json DumpRoutes(const ConfigState& config, absl::Time started) {
  Dump dump("RoutesConfigDump");
  for (const ResourceDescription& listener : config.Describe(kListenerType)) {
    if (listener.bytes == nullptr) continue;
    Json::array_t tables;
    CollectInlineRoutes(ToJson(kListenerType, *listener.bytes), tables);
    for (Json& table : tables) {
      Json typed = {{"@type", std::string(kRouteType)}};
      typed.update(table);
      dump.Append("static_route_configs",
                  {{"route_config", std::move(typed)},
                   {"last_updated", Timestamp(listener.is_static ? started : listener.updated)}});
    }
  }
  for (const ResourceDescription& one : config.Describe(kRouteType)) {
    dump.Append("dynamic_route_configs", Element(kRouteType, "route_config", one, started));
  }
  return dump.Take();
}

Json DumpEndpoints(const std::vector<ResourceDescription>& all, absl::Time started) {
  Dump dump("EndpointsConfigDump");
  for (const ResourceDescription& one : all) {
    dump.Append("dynamic_endpoint_configs",
                Element(kEndpointType, "endpoint_config", one, started));
  }
  return dump.Take();
}

Json DumpSecrets(const std::vector<ResourceDescription>& all, const Json& bootstrap,
                 absl::Time started) {
  Dump dump("SecretsConfigDump");
  if (bootstrap.contains("static_resources") && bootstrap["static_resources"].contains("secrets")) {
    for (const Json& secret : bootstrap["static_resources"]["secrets"]) {
      Json typed = {{"@type", std::string(kSecretType)}};
      typed.update(secret);
      dump.Append("static_secrets", {{"name", secret.value("name", "")},
                                     {"secret", std::move(typed)},
                                     {"last_updated", Timestamp(started)}});
    }
  }
  for (const ResourceDescription& one : all) {
    Json element = Element(kSecretType, "secret", one, started);
    element["name"] = one.name;
    dump.Append(one.active ? "dynamic_active_secrets" : "dynamic_warming_secrets",
                std::move(element));
  }
  return dump.Take();
}

Json All(const ConfigDumpSource& source, bool include_eds) {
  const ConfigState& config = *source.config;
  Json configs = Json::array();
  Json bootstrap;
  if (!source.bootstrap.empty()) {
    bootstrap = ToJson("type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap", source.bootstrap);
    bootstrap.erase("@type");
    Dump dump("BootstrapConfigDump");
    dump.Set("bootstrap", bootstrap);
    dump.Set("last_updated", Timestamp(source.started));
    configs.push_back(dump.Take());
  }
  configs.push_back(DumpClusters(config.Describe(kClusterType), source.started));
  if (include_eds) {
    configs.push_back(DumpEndpoints(config.Describe(kEndpointType), source.started));
  }
  configs.push_back(DumpListeners(config.Describe(kListenerType), source.started));
  configs.push_back(DumpRoutes(config, source.started));
  configs.push_back(DumpSecrets(config.Describe(kSecretType), bootstrap, source.started));
  return configs;
}

// ---- What was asked for of it.

// The name of a resource, wherever an element has it: Envoy's rule for name_regex.
std::string NameOf(const Json& element) {
  for (const char* field : {"name", "cluster_name"}) {
    if (element.contains(field) && element[field].is_string()) return element[field];
  }
  for (const char* field : {"cluster", "listener", "route_config", "endpoint_config", "secret"}) {
    if (element.contains(field) && element[field].is_object()) return NameOf(element[field]);
  }
  return "";
}

void KeepNamed(Json& configs, const RE2& regex) {
  for (Json& config : configs) {
    for (auto& [key, list] : config.items()) {
      if (!list.is_array()) continue;
      Json kept = Json::array();
      for (Json& element : list) {
        if (RE2::FullMatch(NameOf(element), regex)) kept.push_back(std::move(element));
      }
      list = std::move(kept);
    }
  }
}

// Keeps of `json` what `path` ("cluster.name") leads to, and adds it to `kept`.
void Keep(const Json& json, absl::Span<const std::string> path, Json& kept) {
  if (!json.is_object() || path.empty()) return;
  const auto found = json.find(path[0]);
  if (found == json.end()) return;
  if (path.size() == 1) {
    kept[path[0]] = *found;
  } else if (found->is_array()) {
    for (size_t i = 0; i < found->size(); ++i) Keep((*found)[i], path.subspan(1), kept[path[0]][i]);
  } else {
    Keep(*found, path.subspan(1), kept[path[0]]);
  }
}

Json Masked(const Json& json, absl::string_view mask) {
  Json kept;
  if (json.contains("@type")) kept["@type"] = json["@type"];
  for (absl::string_view path : absl::StrSplit(mask, ',', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(path, '.');
    Keep(json, parts, kept);
  }
  return kept;
}

// Only the elements of one list, typed by what they are: "ClustersConfigDump.StaticCluster" and so
// on, as Envoy does.
absl::StatusOr<Json> OfResource(Json& configs, const std::string& resource) {
  for (Json& config : configs) {
    if (!config.contains(resource)) continue;
    Json& found = config[resource];
    if (!found.is_array()) return Json::array({found});
    return std::move(found);
  }
  return absl::NotFoundError(absl::StrCat(resource, " not found in config dump\n"));
}

}  // namespace

absl::StatusOr<std::string> ConfigDump(const ConfigDumpSource& source,
                                       const ConfigDumpQuery& query) {
  const bool eds = query.include_eds || query.resource == "dynamic_endpoint_configs";
  Json configs = All(source, eds);
  Redact(configs);
  if (query.name_regex != nullptr) KeepNamed(configs, *query.name_regex);
  if (!query.resource.empty()) {
    absl::StatusOr<Json> found = OfResource(configs, query.resource);
    if (!found.ok()) return found.status();
    configs = *std::move(found);
  }
  if (!query.mask.empty()) {
    for (Json& config : configs) config = Masked(config, query.mask);
  }
  return absl::StrCat(
      Json{{"configs", configs}}.dump(1, ' ', false, Json::error_handler_t::replace), "\n");
}

}  // namespace weft
