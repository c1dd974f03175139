#include "controlplane/status/status_book.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/yaml/to_json.h"
#include "controlplane/model/config_path.h"
#include "controlplane/sources/kubernetes/resources.h"
#include "controlplane/status/conditions.h"
#include "controlplane/status/gateway_api_body.h"

namespace weft {
namespace {

using Json = nlohmann::json;

constexpr char kServiceExport[] = "ServiceExport";

bool HasGatewayApiStatus(const std::string& kind) {
  return kind == kGatewayApiClass || kind == kGatewayApiGateway || IsGatewayApiRoute(kind);
}

bool IsLink(const std::string& kind) { return kind == "Link.weft.io"; }

// Its plural; "" for kinds whose status is none of ours.
std::string PluralOf(const std::string& kind) {
  static const auto* const plurals = [] {
    auto* made = new std::map<std::string, std::string>();
    for (const WatchedResource& resource : WatchedResources()) {
      const std::string named = KindName(resource.group, resource.kind);
      if (absl::EndsWith(resource.group, ".istio.io") || HasGatewayApiStatus(named) ||
          named == kServiceExport || IsLink(named)) {
        (*made)[named] = resource.plural;
      }
    }
    return made;
  }();
  const auto found = plurals->find(kind);
  return found == plurals->end() ? "" : found->second;
}

std::vector<std::string> NamesOf(const ObjectKey& key, const YamlNode& spec) {
  if (IsGatewayApiRoute(key.kind)) return {ConfigPath(key)};
  if (HasGatewayApiStatus(key.kind)) return {};
  return NamesToProxies(key, spec);
}

std::string Shown(const Problem& problem) {
  return problem.field.empty() ? problem.message
                               : absl::StrCat(problem.field, ": ", problem.message);
}

std::string ListOf(const std::vector<Problem>& problems) {
  return absl::StrJoin(problems, "; ", [](std::string* out, const Problem& problem) {
    out->append(Shown(problem));
  });
}

std::vector<Problem> Of(const std::vector<Problem>& problems, bool errors) {
  std::vector<Problem> some;
  std::copy_if(problems.begin(), problems.end(), std::back_inserter(some),
               [&](const Problem& p) { return (p.severity == Severity::kError) == errors; });
  return some;
}

std::string RefusalOf(const std::vector<Problem>& errors) {
  return absl::StrCat(ListOf(errors), " (its last good form, if there was one, stays in force)");
}

int64_t NumberIn(const YamlNode& map, const char* field) {
  int64_t number = 0;
  return absl::SimpleAtoi(map[field].Scalar(), &number) ? number : 0;
}

}  // namespace

// ---- What comes in.

bool StatusBook::ReadInto(const YamlNode& body, Object& object) {
  const YamlNode metadata = body["metadata"];
  object.resource_version = std::string(metadata["resourceVersion"].Scalar());
  object.generation = NumberIn(metadata, "generation");
  const auto status = ToJson(body["status"]);
  object.status = status.ok() && status->is_object()
                      ? status->dump(-1, ' ', false, Json::error_handler_t::replace)
                      : "{}";
  return !object.resource_version.empty();
}

void StatusBook::Put(const ObjectDelta& delta) {
  if (delta.object == nullptr) {
    objects_.erase(delta.key);
    dirty_.erase(delta.key);
    return;
  }
  Object& object = objects_[delta.key];
  const YamlNode body = delta.object->body.node;
  if (!ReadInto(body, object)) {
    objects_.erase(delta.key);
    return;
  }
  const std::string& name_space = delta.key.namespace_;
  object.path = absl::StrCat("/apis/", delta.object->api_version,
                             name_space.empty() ? "" : absl::StrCat("/namespaces/", name_space),
                             "/", PluralOf(delta.key.kind), "/", delta.key.name, "/status");
  object.names = NamesOf(delta.key, body["spec"]);
  object.refers = delta.key.kind == "VirtualService" || delta.key.kind == "DestinationRule";
  object.claim = ReadGatewayApiClaim(body["spec"]);
  object.problems.clear();
  dirty_.insert(delta.key);
}

void StatusBook::OnObjects(const std::vector<ObjectDelta>& deltas,
                           const std::vector<Problem>& problems) {
  for (const ObjectDelta& delta : deltas) {
    if (!PluralOf(delta.key.kind).empty()) Put(delta);
  }
  for (const Problem& problem : problems) {
    const auto found = objects_.find(problem.key);
    if (found == objects_.end()) continue;
    std::vector<Problem>& known = found->second.problems;
    // What cannot even be read is told of with each list.
    if (std::find(known.begin(), known.end(), problem) != known.end()) continue;
    known.push_back(problem);
    dirty_.insert(problem.key);
  }
}

void StatusBook::Replace(const std::vector<Problem>& problems,
                         std::vector<Problem> Object::* list) {
  std::map<ObjectKey, std::vector<Problem>> by_key;
  for (const Problem& problem : problems) by_key[problem.key].push_back(problem);
  for (auto& [key, object] : objects_) {
    const auto found = by_key.find(key);
    std::vector<Problem> now = found == by_key.end() ? std::vector<Problem>() : found->second;
    if (object.*list == now) continue;
    object.*list = std::move(now);
    dirty_.insert(key);
  }
}

void StatusBook::OnWorld(const Findings& findings) {
  Replace(findings.references, &Object::references);
  Replace(findings.conflicts, &Object::conflicts);
  Replace(findings.others, &Object::findings);
  ReplaceGatewayApi(findings.gateway_api);
  ReplaceExports(findings.exports);
  world_known_ = true;
}

void StatusBook::ReplaceExports(const std::vector<GatewayApiStatus>& statuses) {
  for (const GatewayApiStatus& status : statuses) {
    const auto found = objects_.find(status.key);
    if (found == objects_.end() || found->second.exported == status.conditions) continue;
    found->second.exported = status.conditions;
    dirty_.insert(status.key);
  }
}

void StatusBook::ReplaceGatewayApi(const std::vector<GatewayApiStatus>& statuses) {
  std::map<ObjectKey, GatewayApiStatus> now;
  for (const GatewayApiStatus& status : statuses) now.emplace(status.key, status);
  if (now == gateway_api_) return;
  // Also what is refused, and not among them: whose it is, the others say.
  for (const auto& [key, object] : objects_) {
    if (HasGatewayApiStatus(key.kind)) dirty_.insert(key);
  }
  gateway_api_ = std::move(now);
}

void StatusBook::OnProxies(const std::vector<ProxyRefusal>& refusals) {
  for (auto& [key, object] : objects_) {
    std::vector<ProxyRefusal> now = RefusalsOf(object.names, refusals);
    if (object.refusals == now) continue;
    object.refusals = std::move(now);
    dirty_.insert(key);
  }
}

void StatusBook::OnLinks(const std::vector<LinkReport>& reports) {
  std::map<std::string, LinkReport> now;
  for (const LinkReport& report : reports) now[report.cluster] = report;
  if (now == links_) return;
  for (const auto& [key, object] : objects_) {
    if (IsLink(key.kind)) dirty_.insert(key);
  }
  links_ = std::move(now);
}

void StatusBook::OnDistribution(const std::map<ObjectKey, DistributionStatus>& statuses) {
  for (auto& [key, object] : objects_) {
    const auto found = statuses.find(key);
    std::optional<GatewayApiCondition> now;
    if (found != statuses.end()) now = found->second.condition;
    if (object.distributed == now) continue;
    object.distributed = std::move(now);
    dirty_.insert(key);
  }
}

void StatusBook::LookAtAll() {
  for (const auto& [key, object] : objects_) dirty_.insert(key);
}

// ---- What is to be written.

GatewayApiConditions StatusBook::WantedOf(const ObjectKey& key, const Object& object) {
  GatewayApiConditions wanted;
  const std::vector<Problem> errors = Of(object.problems, true);
  if (key.kind == kServiceExport) {
    if (errors.empty()) return object.exported;
    return {{"Valid", false, "Invalid", RefusalOf(errors)}};
  }
  std::vector<Problem> warnings = Of(object.problems, false);
  warnings.insert(warnings.end(), object.findings.begin(), object.findings.end());
  if (!errors.empty()) {
    wanted.push_back({"Accepted", false, "Invalid", RefusalOf(errors)});
  } else {
    wanted.push_back({"Accepted", true, warnings.empty() ? "Accepted" : "AcceptedWithWarnings",
                      ListOf(warnings)});
  }
  if (!object.references.empty()) {
    wanted.push_back({"ResolvedRefs", false, "RefNotFound", ListOf(object.references)});
  } else if (object.refers) {
    wanted.push_back({"ResolvedRefs", true, "ResolvedRefs"});
  }
  if (!object.conflicts.empty()) {
    wanted.push_back({"Conflicted", true, "HostTaken", ListOf(object.conflicts)});
  }
  if (!object.refusals.empty()) {
    wanted.push_back({"Programmed", false, "RefusedByProxies", QuoteOf(object.refusals)});
  }
  if (object.distributed.has_value()) wanted.push_back(*object.distributed);
  return wanted;
}

GatewayApiStatus StatusBook::GatewayApiStatusOf(const ObjectKey& key, const Object& object) const {
  GatewayApiStatus status;
  status.key = key;
  const std::vector<Problem> errors = Of(object.problems, true);
  if (!errors.empty()) {
    status = RefusedStatus(key, object.generation, object.claim, gateway_api_, RefusalOf(errors));
  } else if (const auto known = gateway_api_.find(key); known != gateway_api_.end()) {
    status = known->second;
  }
  if (object.refusals.empty()) return status;
  for (RouteParentStatus& parent : status.parents) {
    parent.conditions.push_back(
        {"Programmed", false, "RefusedByProxies", QuoteOf(object.refusals)});
  }
  return status;
}

// nullopt: nothing is known yet.
std::optional<GatewayApiConditions> StatusBook::LinkConditions(const ObjectKey& key,
                                                               const Object& object) const {
  GatewayApiConditions wanted = WantedOf(key, object);
  const bool refused = !wanted.front().status;
  const auto report = links_.find(key.name);
  if (report == links_.end()) {
    if (!refused) return std::nullopt;
    return wanted;
  }
  const LinkReport& link = report->second;
  if (!refused && !link.joined) {
    wanted.front() = link.trouble.empty()
                         ? GatewayApiCondition{"Accepted", false, "Joining", "not tried yet"}
                         : GatewayApiCondition{"Accepted", false, "NotJoined", link.trouble};
  }
  if (!link.joined) return wanted;
  if (link.connected) {
    wanted.push_back({"Connected", true, "Connected"});
  } else {
    wanted.push_back({"Connected", false, "NotConnected",
                      link.last_error.empty() ? "not heard yet" : link.last_error});
  }
  return wanted;
}

// nullopt: there is nothing to be said.
std::optional<std::string> StatusBook::PatchOf(const ObjectKey& key, const Object& object,
                                               absl::Time now) const {
  const Json present = Json::parse(object.status);
  Json wanted;
  if (HasGatewayApiStatus(key.kind)) {
    const GatewayApiStatus status = GatewayApiStatusOf(key, object);
    if (!IsGatewayApiRoute(key.kind) && status.conditions.empty()) return std::nullopt;
    wanted = GatewayApiBody(present, status, now);
  } else if (IsLink(key.kind)) {
    const auto conditions = LinkConditions(key, object);
    if (!conditions.has_value()) return std::nullopt;
    wanted["conditions"] = WithConditions(present.value("conditions", Json::array()), *conditions,
                                          object.generation, now);
    if (const auto link = links_.find(key.name); link != links_.end()) {
      const auto& [cluster, joined, trouble, connected, services, error, told] = link->second;
      wanted["services"] = services;
      // Null: there is none.
      wanted["lastError"] = error.empty() ? Json() : Json(error);
      wanted["told"] = told.empty() ? Json() : Json::parse(told);
    }
  } else {
    const GatewayApiConditions conditions = WantedOf(key, object);
    if (conditions.empty()) return std::nullopt;  // nothing is known of it yet
    wanted["conditions"] = WithConditions(present.value("conditions", Json::array()), conditions,
                                          object.generation, now);
  }
  if (Holds(present, wanted)) return std::nullopt;
  const Json patch = {{"metadata", {{"resourceVersion", object.resource_version}}},
                      {"status", std::move(wanted)}};
  return patch.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<StatusBook::Write> StatusBook::Next(absl::Time now) {
  while (world_known_ && !dirty_.empty()) {
    const ObjectKey key = *dirty_.begin();
    dirty_.erase(dirty_.begin());
    const auto found = objects_.find(key);
    if (found == objects_.end()) continue;
    auto patch = PatchOf(key, found->second, now);
    if (!patch.has_value()) continue;
    Write write;
    write.key = key;
    write.path = found->second.path;
    write.body = *std::move(patch);
    return write;
  }
  return std::nullopt;
}

void StatusBook::OnWritten(const ObjectKey& key, std::string object) {
  const auto found = objects_.find(key);
  const auto document = YamlDocument::ParseJson(std::move(object));
  if (found == objects_.end() || !document.ok()) return;
  // Another one may have come by the watch meanwhile; then the next write is refused, and tried
  // again with what the watch says.
  ReadInto((*document)->root(), found->second);
}

}  // namespace weft
