#include "proxy/admin/config_dump.h"

#include <google/protobuf/any.pb.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "api/yaml/yaml_to_message.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

struct Section {
  const char* type_url;
  const char* dump;     // the message of envoy.admin.v3
  const char* list;     // its field
  const char* element;  // the field of a list element that holds the resource
};

constexpr Section kSections[] = {
    {"type.googleapis.com/envoy.config.cluster.v3.Cluster", "ClustersConfigDump",
     "dynamic_active_clusters", "cluster"},
    {"type.googleapis.com/envoy.config.listener.v3.Listener", "ListenersConfigDump",
     "dynamic_listeners", "listener"},
    {"type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "RoutesConfigDump",
     "dynamic_route_configs", "route_config"},
    {"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment", "EndpointsConfigDump",
     "dynamic_endpoint_configs", "endpoint_config"},
    {"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "SecretsConfigDump",
     "dynamic_active_secrets", "secret"},
};
constexpr char kEndpoints[] = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";

Json ToJson(const char* type_url, const std::string& bytes) {
  google::protobuf::Any any;
  any.set_type_url(type_url);
  any.set_value(bytes);
  return Json::parse(MessageToJson(any, /*pretty=*/false, JsonNames::kSnakeCase),
                     /*cb=*/nullptr, /*allow_exceptions=*/false);
}

// A static secret's key would otherwise be shown as it stands in the file.
void Redact(Json& json) {
  if (json.is_object()) {
    for (auto& [key, value] : json.items()) {
      if (key == "private_key") {
        value = {{"inline_string", "[redacted]"}};
      } else {
        Redact(value);
      }
    }
  } else if (json.is_array()) {
    for (auto& value : json) Redact(value);
  }
}

Json DumpSection(const Section& section, const RawConfig::Type& type) {
  Json list = Json::array();
  for (const auto& [name, bytes] : type.resources) {
    Json element;
    if (section.element == std::string("listener")) {
      element = {{"name", name},
                 {"active_state",
                  {{"version_info", type.version}, {"listener", ToJson(section.type_url, bytes)}}}};
    } else {
      element = {{"version_info", type.version},
                 {section.element, ToJson(section.type_url, bytes)}};
      if (section.element == std::string("secret")) element["name"] = name;
    }
    list.push_back(std::move(element));
  }
  Json dump;
  dump["@type"] = absl::StrCat("type.googleapis.com/envoy.admin.v3.", section.dump);
  dump[section.list] = std::move(list);
  return dump;
}

}  // namespace

std::string ConfigDump(const RawConfig& config, bool include_eds) {
  Json configs = Json::array();
  if (!config.bootstrap.empty()) {
    Json bootstrap;
    bootstrap["@type"] = "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump";
    bootstrap["bootstrap"] =
        ToJson("type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap", config.bootstrap);
    bootstrap["bootstrap"].erase("@type");
    configs.push_back(std::move(bootstrap));
  }
  for (const Section& section : kSections) {
    if (!include_eds && section.type_url == absl::string_view(kEndpoints)) continue;
    const auto found = config.types.find(section.type_url);
    if (found != config.types.end()) configs.push_back(DumpSection(section, found->second));
  }
  Redact(configs);
  return absl::StrCat(
      Json{{"configs", configs}}.dump(1, ' ', false, Json::error_handler_t::replace), "\n");
}

}  // namespace weft
