#include "test/apiserver/prepare.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace weft::apiserver {
namespace {

constexpr size_t kMaxNameLength = 253;

void Default(Json& object, const char* field, Json value) {
  if (!object.contains(field) || object[field].is_null()) object[field] = std::move(value);
}

bool IsDnsLabel(absl::string_view label) {
  if (label.empty() || label.front() == '-' || label.back() == '-') return false;
  return std::all_of(label.begin(), label.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
}

bool IsDnsSubdomain(absl::string_view name) {
  if (name.size() > kMaxNameLength) return false;
  for (absl::string_view label : absl::StrSplit(name, '.')) {
    if (!IsDnsLabel(label)) return false;
  }
  return true;
}

// Names of roles may hold what a path segment may.
bool IsName(const Resource& resource, absl::string_view name) {
  if (resource.group == "rbac.authorization.k8s.io") {
    return !name.empty() && name.find('/') == absl::string_view::npos;
  }
  return IsDnsSubdomain(name);
}

void ServiceDefaults(Json& spec, const std::function<std::string()>& new_ip) {
  Default(spec, "type", "ClusterIP");
  Default(spec, "sessionAffinity", "None");
  if (spec["type"] != "ExternalName") {
    if (spec.value("clusterIP", "").empty()) spec["clusterIP"] = new_ip();
    Default(spec, "clusterIPs", Json::array({spec["clusterIP"]}));
    const bool six = spec["clusterIP"].get<std::string>().find(':') != std::string::npos;
    Default(spec, "ipFamilies", Json::array({six ? "IPv6" : "IPv4"}));
    Default(spec, "ipFamilyPolicy", "SingleStack");
    Default(spec, "internalTrafficPolicy", "Cluster");
  }
  if (!spec.contains("ports") || !spec["ports"].is_array()) return;
  for (Json& port : spec["ports"]) {
    if (!port.is_object()) continue;
    Default(port, "protocol", "TCP");
    if (port.contains("port")) Default(port, "targetPort", port["port"]);
  }
}

void PodDefaults(Json& object) {
  Json& spec = object["spec"];
  Default(spec, "serviceAccountName", "default");
  Default(spec, "restartPolicy", "Always");
  Default(spec, "dnsPolicy", "ClusterFirst");
  Default(spec, "schedulerName", "default-scheduler");
  Default(spec, "terminationGracePeriodSeconds", 30);
  Default(object["status"], "phase", "Pending");
}

void CrdStatus(Json& object) {
  Json& status = object["status"];
  status["acceptedNames"] = object["spec"].value("names", Json::object());
  Json stored = Json::array();
  for (const Json& version : object["spec"].value("versions", Json::array())) {
    if (version.value("storage", false)) stored.push_back(version.value("name", ""));
  }
  status["storedVersions"] = std::move(stored);
  const std::string since = object["metadata"].value("creationTimestamp", "");
  Json conditions = Json::array();
  for (const char* type : {"NamesAccepted", "Established"}) {
    conditions.push_back({{"type", type},
                          {"status", "True"},
                          {"reason", type},
                          {"message", ""},
                          {"lastTransitionTime", since}});
  }
  status["conditions"] = std::move(conditions);
}

void WebhookDefaults(Json& object) {
  if (!object.contains("webhooks") || !object["webhooks"].is_array()) return;
  for (Json& webhook : object["webhooks"]) {
    if (!webhook.is_object()) continue;
    Default(webhook, "failurePolicy", "Fail");
    Default(webhook, "matchPolicy", "Equivalent");
    Default(webhook, "timeoutSeconds", 10);
    Default(webhook, "namespaceSelector", Json::object());
    Default(webhook, "objectSelector", Json::object());
    if (object.value("kind", "") == "MutatingWebhookConfiguration") {
      Default(webhook, "reinvocationPolicy", "Never");
    }
  }
}

// Without metadata and status: what `generation` counts.
Json Desired(Json object) {
  object.erase("metadata");
  object.erase("status");
  return object;
}

}  // namespace

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::optional<Failure> CheckIdentity(Json& object, const Resource& resource, const std::string& ns,
                                     absl::string_view suffix) {
  if (!object.contains("metadata") || !object["metadata"].is_object()) {
    object["metadata"] = Json::object();
  }
  Json& metadata = object["metadata"];
  for (const char* field : {"name", "namespace", "generateName", "resourceVersion", "uid"}) {
    if (metadata.contains(field) && !metadata[field].is_string()) {
      if (!metadata[field].is_null()) {
        return BadRequest(absl::StrCat("json: metadata.", field, " must be a string"));
      }
      metadata.erase(field);
    }
  }
  const std::string prefix = metadata.value("generateName", "");
  if (metadata.value("name", "").empty() && !prefix.empty()) {
    metadata["name"] = absl::StrCat(prefix, suffix);
  }
  const std::string name = metadata.value("name", "");
  if (name.empty()) {
    return Invalid(resource.Named(""), "metadata.name",
                   "Required value: name or generateName is required");
  }
  if (!IsName(resource, name)) {
    return Invalid(resource.Named(name), "metadata.name",
                   absl::StrCat("Invalid value: \"", name,
                                "\": a lowercase RFC 1123 subdomain must consist of lower case "
                                "alphanumeric characters, '-' or '.', and must start and end with "
                                "an alphanumeric character"));
  }
  if (!resource.namespaced) {
    metadata.erase("namespace");
    return std::nullopt;
  }
  const std::string stated = metadata.value("namespace", ns);
  if (!stated.empty() && stated != ns) {
    return BadRequest(
        absl::StrCat("the namespace of the provided object does not match the "
                     "namespace sent on the request"));
  }
  metadata["namespace"] = ns;
  return std::nullopt;
}

void StampNew(Json& object, const Resource& resource, const std::string& uid, absl::Time now) {
  Json& metadata = object["metadata"];
  metadata["uid"] = uid;
  metadata["creationTimestamp"] = Rfc3339(now);
  metadata.erase("deletionTimestamp");
  metadata.erase("selfLink");
  if (object.contains("spec")) metadata["generation"] = 1;
  // Kubernetes drops the status of custom objects that have the subresource; of built-in kinds too,
  // but nobody here plays kubelet or scheduler, so what a manifest says of a Pod's status holds.
  if (resource.custom && resource.status) object.erase("status");
  if (resource.Id() == "namespaces")
    metadata["labels"]["kubernetes.io/metadata.name"] = metadata["name"];
}

void StampChanged(const Json& before, Json& object, const Resource& resource, bool status_only) {
  if (resource.status && status_only) {
    Json status = object.value("status", Json::object());
    Json fields = object["metadata"].value("managedFields", Json());
    object = before;
    object["status"] = std::move(status);
    if (!fields.is_null()) object["metadata"]["managedFields"] = std::move(fields);
  } else if (resource.status) {
    if (before.contains("status")) {
      object["status"] = before["status"];
    } else {
      object.erase("status");
    }
  }
  Json& metadata = object["metadata"];
  const Json& old = before["metadata"];
  for (const char* field : {"name", "namespace", "uid", "creationTimestamp", "generation",
                            "deletionTimestamp", "deletionGracePeriodSeconds"}) {
    if (old.contains(field)) {
      metadata[field] = old[field];
    } else {
      metadata.erase(field);
    }
  }
  metadata["resourceVersion"] = old["resourceVersion"];
  if (old.contains("generation") && Desired(before) != Desired(object)) {
    metadata["generation"] = old["generation"].get<int64_t>() + 1;
  }
}

void SetDefaults(Json& object, const Resource& resource,
                 const std::function<std::string()>& new_ip) {
  const std::string id = resource.Id();
  if (id == "services" && object.contains("spec") && object["spec"].is_object()) {
    ServiceDefaults(object["spec"], new_ip);
    Default(object, "status", {{"loadBalancer", Json::object()}});
  } else if (id == "pods" && object.contains("spec") && object["spec"].is_object()) {
    PodDefaults(object);
  } else if (id == "namespaces") {
    Default(object["spec"], "finalizers", Json::array({"kubernetes"}));
    Default(object["status"], "phase", "Active");
  } else if (id == "secrets") {
    Default(object, "type", "Opaque");
    if (object.contains("stringData") && object["stringData"].is_object()) {
      for (const auto& [key, value] : object["stringData"].items()) {
        if (value.is_string()) {
          object["data"][key] = absl::Base64Escape(value.get<std::string>());
        }
      }
      object.erase("stringData");
    }
  } else if (id == "customresourcedefinitions.apiextensions.k8s.io") {
    CrdStatus(object);
  } else if (resource.group == "admissionregistration.k8s.io") {
    WebhookDefaults(object);
  } else if (resource.group == "apps" && id != "daemonsets.apps" && object.contains("spec") &&
             object["spec"].is_object()) {
    Default(object["spec"], "replicas", 1);
  }
}

std::optional<Failure> Validate(const Json& object, const Resource& resource) {
  const Json& metadata = object["metadata"];
  const Subject subject = resource.Named(metadata.value("name", ""));
  for (const char* field : {"labels", "annotations"}) {
    const auto map = metadata.find(field);
    if (map == metadata.end() || map->is_null()) continue;
    if (!map->is_object()) {
      return BadRequest(absl::StrCat("json: cannot unmarshal metadata.", field));
    }
    for (const auto& [key, value] : map->items()) {
      if (!value.is_string()) {
        return BadRequest(absl::StrCat("json: cannot unmarshal ", value.type_name(),
                                       " into Go struct field ObjectMeta.metadata.", field,
                                       " of type string"));
      }
    }
  }
  if (resource.Id() == "services") {
    const Json spec = object.value("spec", Json::object());
    const bool needs_ports =
        spec.value("type", "") != "ExternalName" && spec.value("clusterIP", "") != "None";
    const Json ports = spec.value("ports", Json::array());
    if (needs_ports && ports.empty()) return Invalid(subject, "spec.ports", "Required value");
    for (size_t i = 0; i < ports.size(); ++i) {
      const Json& port = ports[i].value("port", Json());
      if (port.is_number_integer() && port.get<int64_t>() >= 1 && port.get<int64_t>() <= 65535) {
        continue;
      }
      return Invalid(
          subject, absl::StrCat("spec.ports[", i, "].port"),
          absl::StrCat("Invalid value: ", port.dump(), ": must be between 1 and 65535, inclusive"));
    }
  }
  if (resource.Id() == "pods" && (!object.contains("spec") || !object["spec"].is_object())) {
    return Invalid(subject, "spec.containers", "Required value");
  }
  return std::nullopt;
}

}  // namespace weft::apiserver
