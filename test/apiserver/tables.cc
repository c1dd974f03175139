#include "test/apiserver/tables.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace weft::apiserver {
namespace {

constexpr char kNone[] = "<none>";
constexpr char kUnknown[] = "<unknown>";
constexpr size_t kMostShown = 3;  // endpoints of a list

const Json& At(const Json& object, const char* pointer) {
  static const Json kNull;
  const Json::json_pointer at(pointer);
  return object.contains(at) ? object.at(at) : kNull;
}

std::string TextAt(const Json& object, const char* pointer, const char* otherwise = "") {
  const Json& value = At(object, pointer);
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? otherwise : value.dump();
}

int64_t NumberAt(const Json& object, const char* pointer) {
  const Json& value = At(object, pointer);
  return value.is_number_integer() ? value.get<int64_t>() : 0;
}

std::string AgeAt(const Json& object, const char* pointer, absl::Time now) {
  absl::Time since;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, TextAt(object, pointer), &since, &error)) {
    return kUnknown;
  }
  return HumanDuration(now - since);
}

std::string Age(const Json& object, absl::Time now) {
  return AgeAt(object, "/metadata/creationTimestamp", now);
}

// The first few, and how many more there are.
std::string Shown(const std::vector<std::string>& all) {
  if (all.empty()) return kNone;
  const size_t shown = std::min(all.size(), kMostShown);
  std::string text = absl::StrJoin(all.begin(), all.begin() + shown, ",");
  if (shown < all.size()) absl::StrAppend(&text, " + ", all.size() - shown, " more...");
  return text;
}

std::string Pairs(const Json& map) {
  if (!map.is_object() || map.empty()) return kNone;
  std::vector<std::string> pairs;
  for (const auto& [key, value] : map.items()) {
    pairs.push_back(absl::StrCat(key, "=", value.is_string() ? value.get<std::string>() : ""));
  }
  return absl::StrJoin(pairs, ",");
}

// The members `field` of a list's elements.
std::string EachOf(const Json& list, const char* field) {
  std::vector<std::string> values;
  if (list.is_array()) {
    for (const Json& one : list) {
      if (one.is_object()) values.push_back(TextAt(one, field));
    }
  }
  return absl::StrJoin(values, ",");
}

Json PodCells(const Json& pod, absl::Time now) {
  int64_t ready = 0, restarts = 0;
  std::string state = TextAt(pod, "/status/reason", TextAt(pod, "/status/phase").c_str());
  const Json& statuses = At(pod, "/status/containerStatuses");
  if (statuses.is_array()) {
    for (const Json& status : statuses) {
      if (status.value("ready", false)) ++ready;
      restarts += NumberAt(status, "/restartCount");
      const std::string waits = TextAt(status, "/state/waiting/reason");
      if (!waits.empty()) state = waits;
    }
  }
  if (!At(pod, "/metadata/deletionTimestamp").is_null()) state = "Terminating";
  return {TextAt(pod, "/metadata/name"),
          absl::StrCat(ready, "/", At(pod, "/spec/containers").size()),
          state,
          restarts,
          Age(pod, now),
          TextAt(pod, "/status/podIP", kNone),
          TextAt(pod, "/spec/nodeName", kNone),
          TextAt(pod, "/status/nominatedNodeName", kNone),
          kNone};
}

std::string ServicePorts(const Json& service) {
  std::vector<std::string> ports;
  for (const Json& port : At(service, "/spec/ports")) {
    std::string text = TextAt(port, "/port");
    if (NumberAt(port, "/nodePort") > 0) absl::StrAppend(&text, ":", NumberAt(port, "/nodePort"));
    ports.push_back(absl::StrCat(text, "/", TextAt(port, "/protocol", "TCP")));
  }
  return ports.empty() ? kNone : absl::StrJoin(ports, ",");
}

std::string ServiceExternal(const Json& service) {
  const std::string type = TextAt(service, "/spec/type");
  if (type == "ExternalName") return TextAt(service, "/spec/externalName", kNone);
  std::vector<std::string> addresses;
  if (type == "LoadBalancer") {
    for (const Json& ingress : At(service, "/status/loadBalancer/ingress")) {
      addresses.push_back(TextAt(ingress, "/ip", TextAt(ingress, "/hostname").c_str()));
    }
    if (addresses.empty()) return "<pending>";
  }
  for (const Json& ip : At(service, "/spec/externalIPs"))
    addresses.push_back(ip.get<std::string>());
  return addresses.empty() ? kNone : absl::StrJoin(addresses, ",");
}

Json ServiceCells(const Json& service, absl::Time now) {
  return {TextAt(service, "/metadata/name"),
          TextAt(service, "/spec/type"),
          TextAt(service, "/spec/clusterIP", kNone),
          ServiceExternal(service),
          ServicePorts(service),
          Age(service, now),
          Pairs(At(service, "/spec/selector"))};
}

Json NodeCells(const Json& node, absl::Time now) {
  std::string state = "Unknown";
  for (const Json& condition : At(node, "/status/conditions")) {
    if (TextAt(condition, "/type") != "Ready") continue;
    state = TextAt(condition, "/status") == "True" ? "Ready" : "NotReady";
  }
  if (At(node, "/spec/unschedulable") == true) state += ",SchedulingDisabled";
  std::vector<std::string> roles;
  const Json& labels = At(node, "/metadata/labels");
  if (labels.is_object()) {
    for (const auto& [label, value] : labels.items()) {
      absl::string_view role = label;
      if (absl::ConsumePrefix(&role, "node-role.kubernetes.io/")) roles.emplace_back(role);
    }
  }
  std::string internal = kNone, external = kNone;
  for (const Json& address : At(node, "/status/addresses")) {
    if (TextAt(address, "/type") == "InternalIP") internal = TextAt(address, "/address");
    if (TextAt(address, "/type") == "ExternalIP") external = TextAt(address, "/address");
  }
  return {TextAt(node, "/metadata/name"),
          state,
          roles.empty() ? kNone : absl::StrJoin(roles, ","),
          Age(node, now),
          TextAt(node, "/status/nodeInfo/kubeletVersion"),
          internal,
          external,
          TextAt(node, "/status/nodeInfo/osImage", kUnknown),
          TextAt(node, "/status/nodeInfo/kernelVersion", kUnknown),
          TextAt(node, "/status/nodeInfo/containerRuntimeVersion", kUnknown)};
}

Json EndpointsCells(const Json& endpoints, absl::Time now) {
  std::vector<std::string> all;
  for (const Json& subset : At(endpoints, "/subsets")) {
    for (const Json& address : At(subset, "/addresses")) {
      const Json& ports = At(subset, "/ports");
      if (ports.empty()) all.push_back(TextAt(address, "/ip"));
      for (const Json& port : ports) {
        all.push_back(absl::StrCat(TextAt(address, "/ip"), ":", TextAt(port, "/port")));
      }
    }
  }
  return {TextAt(endpoints, "/metadata/name"), Shown(all), Age(endpoints, now)};
}

Json SliceCells(const Json& slice, absl::Time now) {
  std::vector<std::string> ports, addresses;
  for (const Json& port : At(slice, "/ports")) ports.push_back(TextAt(port, "/port", "*"));
  for (const Json& endpoint : At(slice, "/endpoints")) {
    for (const Json& address : At(endpoint, "/addresses")) {
      addresses.push_back(address.get<std::string>());
    }
  }
  return {TextAt(slice, "/metadata/name"), TextAt(slice, "/addressType"),
          ports.empty() ? "<unset>" : Shown(ports),
          addresses.empty() ? "<unset>" : Shown(addresses), Age(slice, now)};
}

Json DeploymentCells(const Json& one, absl::Time now) {
  const Json& containers = At(one, "/spec/template/spec/containers");
  return {
      TextAt(one, "/metadata/name"),
      absl::StrCat(NumberAt(one, "/status/readyReplicas"), "/", NumberAt(one, "/spec/replicas")),
      NumberAt(one, "/status/updatedReplicas"),
      NumberAt(one, "/status/availableReplicas"),
      Age(one, now),
      EachOf(containers, "/name"),
      EachOf(containers, "/image"),
      Pairs(At(one, "/spec/selector/matchLabels"))};
}

Json ReplicaSetCells(const Json& one, absl::Time now) {
  const Json& containers = At(one, "/spec/template/spec/containers");
  return {TextAt(one, "/metadata/name"),
          NumberAt(one, "/spec/replicas"),
          NumberAt(one, "/status/replicas"),
          NumberAt(one, "/status/readyReplicas"),
          Age(one, now),
          EachOf(containers, "/name"),
          EachOf(containers, "/image"),
          Pairs(At(one, "/spec/selector/matchLabels"))};
}

Json EventCells(const Json& event, absl::Time now) {
  return {AgeAt(event, "/lastTimestamp", now), TextAt(event, "/type"), TextAt(event, "/reason"),
          absl::StrCat(TextAt(event, "/involvedObject/kind"), "/",
                       TextAt(event, "/involvedObject/name")),
          TextAt(event, "/message")};
}

struct BuiltInTable {
  const char* id;
  std::vector<Column> columns;
  Json (*cells)(const Json& object, absl::Time now);
};

std::vector<Column> Named(const char* text, const char* wide = "") {
  std::vector<Column> columns;
  for (absl::string_view name : absl::StrSplit(text, ','))
    columns.push_back({std::string(name), "string", "", 0});
  for (absl::string_view name : absl::StrSplit(wide, ',', absl::SkipEmpty())) {
    columns.push_back({std::string(name), "string", "", 1});
  }
  return columns;
}

const BuiltInTable* TableOf(const std::string& id) {
  static const auto* const kTables = new std::vector<BuiltInTable>{
      {"pods", Named("Name,Ready,Status,Restarts,Age", "IP,Node,Nominated Node,Readiness Gates"),
       PodCells},
      {"services", Named("Name,Type,Cluster-IP,External-IP,Port(s),Age", "Selector"), ServiceCells},
      {"nodes",
       Named("Name,Status,Roles,Age,Version",
             "Internal-IP,External-IP,OS-Image,Kernel-Version,Container-Runtime"),
       NodeCells},
      {"namespaces", Named("Name,Status,Age"),
       [](const Json& one, absl::Time now) -> Json {
         return {TextAt(one, "/metadata/name"), TextAt(one, "/status/phase"), Age(one, now)};
       }},
      {"endpoints", Named("Name,Endpoints,Age"), EndpointsCells},
      {"endpointslices.discovery.k8s.io", Named("Name,AddressType,Ports,Endpoints,Age"),
       SliceCells},
      {"serviceaccounts", Named("Name,Secrets,Age"),
       [](const Json& one, absl::Time now) -> Json {
         return {TextAt(one, "/metadata/name"), At(one, "/secrets").size(), Age(one, now)};
       }},
      {"secrets", Named("Name,Type,Data,Age"),
       [](const Json& one, absl::Time now) -> Json {
         return {TextAt(one, "/metadata/name"), TextAt(one, "/type"), At(one, "/data").size(),
                 Age(one, now)};
       }},
      {"configmaps", Named("Name,Data,Age"),
       [](const Json& one, absl::Time now) -> Json {
         return {TextAt(one, "/metadata/name"),
                 At(one, "/data").size() + At(one, "/binaryData").size(), Age(one, now)};
       }},
      {"deployments.apps",
       Named("Name,Ready,Up-to-date,Available,Age", "Containers,Images,Selector"), DeploymentCells},
      {"replicasets.apps", Named("Name,Desired,Current,Ready,Age", "Containers,Images,Selector"),
       ReplicaSetCells},
      {"leases.coordination.k8s.io", Named("Name,Holder,Age"),
       [](const Json& one, absl::Time now) -> Json {
         return {TextAt(one, "/metadata/name"), TextAt(one, "/spec/holderIdentity"), Age(one, now)};
       }},
      {"events", Named("Last Seen,Type,Reason,Object,Message"), EventCells},
      {"mutatingwebhookconfigurations.admissionregistration.k8s.io", Named("Name,Webhooks,Age"),
       [](const Json& one, absl::Time now) -> Json {
         return {TextAt(one, "/metadata/name"), At(one, "/webhooks").size(), Age(one, now)};
       }},
      {"validatingwebhookconfigurations.admissionregistration.k8s.io", Named("Name,Webhooks,Age"),
       [](const Json& one, absl::Time now) -> Json {
         return {TextAt(one, "/metadata/name"), At(one, "/webhooks").size(), Age(one, now)};
       }},
      {"customresourcedefinitions.apiextensions.k8s.io", Named("Name,Created At"),
       [](const Json& one, absl::Time) -> Json {
         return {TextAt(one, "/metadata/name"), TextAt(one, "/metadata/creationTimestamp")};
       }},
  };
  for (const BuiltInTable& table : *kTables) {
    if (id == table.id) return &table;
  }
  return nullptr;
}

// With the name first, as of every kind.
std::vector<Column> ColumnsOf(const Resource& resource, const std::string& version) {
  if (const BuiltInTable* table = TableOf(resource.Id())) return table->columns;
  std::vector<Column> columns = {{"Name", "string", "", 0}};
  const auto found = resource.columns.find(version);
  if (found == resource.columns.end()) {
    columns.push_back({"Age", "date", ".metadata.creationTimestamp", 0});
    return columns;
  }
  columns.insert(columns.end(), found->second.begin(), found->second.end());
  return columns;
}

Json CellOf(const Column& column, const Json& object, absl::Time now) {
  Json value = FindPath(object, column.path);
  if (value.is_null()) return column.type == "date" ? Json(kUnknown) : Json(nullptr);
  if (column.type == "date") {
    absl::Time since;
    std::string error;
    if (!value.is_string() ||
        !absl::ParseTime(absl::RFC3339_full, value.get<std::string>(), &since, &error)) {
      return kUnknown;
    }
    return HumanDuration(now - since);
  }
  if (column.type == "string" && !value.is_string()) return value.dump();
  return value;
}

// One step of a path: its text without the dot or the brackets, and whether it had brackets.
struct Step {
  std::string text;
  bool bracket = false;
};

std::vector<Step> Steps(absl::string_view path) {
  std::vector<Step> steps;
  while (!path.empty()) {
    if (path.front() == '[') {
      const size_t end = std::min(path.find(']'), path.size() - 1);
      steps.push_back({std::string(path.substr(1, end - 1)), true});
      path.remove_prefix(end + 1);
      continue;
    }
    if (path.front() == '.') path.remove_prefix(1);
    const size_t end = std::min(path.find_first_of(".["), path.size());
    if (end > 0) steps.push_back({std::string(path.substr(0, end)), false});
    path.remove_prefix(end);
  }
  return steps;
}

// ?(@.type=="Ready")
const Json* Filtered(const Json& list, absl::string_view filter) {
  absl::ConsumePrefix(&filter, "?(@.");
  absl::ConsumeSuffix(&filter, ")");
  const size_t equals = filter.find("==");
  if (equals == absl::string_view::npos) return nullptr;
  const std::string member(absl::StripAsciiWhitespace(filter.substr(0, equals)));
  absl::string_view value = absl::StripAsciiWhitespace(filter.substr(equals + 2));
  if (value.size() >= 2) value = value.substr(1, value.size() - 2);
  for (const Json& one : list) {
    if (one.is_object() && one.contains(member) && one[member] == std::string(value)) return &one;
  }
  return nullptr;
}

const Json* Bracketed(const Json& value, const std::string& step) {
  if (!value.is_array() || value.empty()) return nullptr;
  if (step == "*") return &value[0];
  if (absl::StartsWith(step, "?")) return Filtered(value, step);
  size_t index = 0;
  return absl::SimpleAtoi(step, &index) && index < value.size() ? &value[index] : nullptr;
}

}  // namespace

Json FindPath(const Json& object, absl::string_view path) {
  const Json* at = &object;
  for (const Step& step : Steps(path)) {
    if (step.bracket) {
      at = Bracketed(*at, step.text);
    } else {
      const auto next = at->is_object() ? at->find(step.text) : at->end();
      at = next == at->end() ? nullptr : &*next;
    }
    if (at == nullptr) return nullptr;
  }
  return *at;
}

std::string HumanDuration(absl::Duration duration) {
  const int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(duration));
  const int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
  if (seconds < 120) return absl::StrCat(seconds, "s");
  if (minutes < 10) {
    return seconds % 60 == 0 ? absl::StrCat(minutes, "m")
                             : absl::StrCat(minutes, "m", seconds % 60, "s");
  }
  if (minutes < 180) return absl::StrCat(minutes, "m");
  if (hours < 8) {
    return minutes % 60 == 0 ? absl::StrCat(hours, "h")
                             : absl::StrCat(hours, "h", minutes % 60, "m");
  }
  if (hours < 48) return absl::StrCat(hours, "h");
  if (days < 8)
    return hours % 24 == 0 ? absl::StrCat(days, "d") : absl::StrCat(days, "d", hours % 24, "h");
  return absl::StrCat(days, "d");
}

TableWriter::TableWriter(const Resource& resource, std::string version, RowObject object,
                         absl::Time now)
    : resource_(resource), version_(std::move(version)), object_(object), now_(now) {}

Json TableWriter::Columns() const {
  Json columns = Json::array();
  for (const Column& column : ColumnsOf(resource_, version_)) {
    columns.push_back({{"name", column.name},
                       {"type", column.type},
                       {"format", column.name == "Name" ? "name" : ""},
                       {"description", ""},
                       {"priority", column.priority}});
  }
  return columns;
}

Json TableWriter::Row(const Stored& stored) const {
  const Json object = stored.Parse(resource_.ApiVersion(version_), resource_.kind);
  Json row = Json::object();
  if (const BuiltInTable* table = TableOf(resource_.Id())) {
    row["cells"] = table->cells(object, now_);
  } else {
    Json cells = Json::array({stored.name});
    const std::vector<Column> columns = ColumnsOf(resource_, version_);
    for (size_t i = 1; i < columns.size(); ++i) cells.push_back(CellOf(columns[i], object, now_));
    row["cells"] = std::move(cells);
  }
  if (object_ == RowObject::kWhole) row["object"] = object;
  if (object_ == RowObject::kMetadata) {
    row["object"] = {{"kind", "PartialObjectMetadata"},
                     {"apiVersion", "meta.k8s.io/v1"},
                     {"metadata", object["metadata"]}};
  }
  return row;
}

Json TableWriter::Table(const std::vector<StoredPtr>& objects, Json metadata) const {
  Json rows = Json::array();
  for (const StoredPtr& object : objects) rows.push_back(Row(*object));
  Json table = {{"kind", "Table"}, {"apiVersion", "meta.k8s.io/v1"}};
  table["metadata"] = std::move(metadata);
  table["columnDefinitions"] = Columns();
  table["rows"] = std::move(rows);
  return table;
}

}  // namespace weft::apiserver
