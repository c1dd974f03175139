#include "controlplane/status/status_book.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/yaml/to_json.h"
#include "controlplane/sources/kubernetes/resources.h"

namespace weft {
namespace {

using Json = nlohmann::json;

constexpr const char* kOurTypes[] = {"Accepted", "ResolvedRefs", "Conflicted", "Programmed"};

bool IsOurs(absl::string_view type) {
  return std::find(std::begin(kOurTypes), std::end(kOurTypes), type) != std::end(kOurTypes);
}

// Its plural; "" for kinds that are not of the mesh's config.
std::string PluralOf(const std::string& kind) {
  static const auto* const plurals = [] {
    auto* made = new std::map<std::string, std::string>();
    for (const WatchedResource& resource : WatchedResources()) {
      const std::string named = KindName(resource.group, resource.kind);
      if (absl::EndsWith(resource.group, ".istio.io")) (*made)[named] = resource.plural;
    }
    return made;
  }();
  const auto found = plurals->find(kind);
  return found == plurals->end() ? "" : found->second;
}

// Hosts as proxies know them: the name of a service in full.
std::string InFull(absl::string_view host, const std::string& name_space) {
  if (!absl::StrContains(host, "."))
    return absl::StrCat(host, ".", name_space, ".svc.cluster.local");
  return std::string(host);
}

std::vector<std::string> NamesOf(const ObjectKey& key, const YamlNode& spec) {
  std::vector<std::string> names;
  const auto add = [&](const YamlNode& host) {
    const absl::string_view text = host.Scalar();
    if (!text.empty() && text[0] != '*') names.push_back(InFull(text, key.namespace_));
  };
  add(spec["host"]);
  for (const YamlNode host : spec["hosts"]) add(host);
  if (key.kind == "AuthorizationPolicy") {
    names.push_back(absl::StrCat("ns[", key.namespace_, "]-policy[", key.name, "]"));
  }
  return names;
}

bool IsPartOfAName(char c) { return absl::ascii_isalnum(c) || c == '-' || c == '.'; }

// Whether `text` has `name`, not as a part of a longer one.
bool Mentions(absl::string_view text, absl::string_view name) {
  for (size_t at = text.find(name); at != absl::string_view::npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    const bool begins = at == 0 || !IsPartOfAName(text[at - 1]);
    if (begins && (end == text.size() || !IsPartOfAName(text[end]))) return true;
  }
  return false;
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

std::string QuoteOf(const std::vector<ProxyRefusal>& refusals) {
  std::string text =
      absl::StrCat(refusals.size(), refusals.size() == 1 ? " proxy refuses" : " proxies refuse",
                   " what is made of it: ");
  const size_t shown = std::min(refusals.size(), StatusBook::kMostProxies);
  for (size_t i = 0; i < shown; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : "; ", refusals[i].proxy, ": ", refusals[i].text);
  }
  return text;
}

// As an API server gives it back, so that what was written is known again.
std::string AsStored(std::string text) {
  if (text.size() > StatusBook::kMaxMessage) text.resize(StatusBook::kMaxMessage);
  const std::string valid =
      Json(std::move(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
  return Json::parse(valid).get<std::string>();
}

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

int64_t NumberIn(const YamlNode& map, const char* field) {
  int64_t number = 0;
  return absl::SimpleAtoi(map[field].Scalar(), &number) ? number : 0;
}

}  // namespace

bool StatusBook::Condition::SaysTheSame(const Condition& other) const {
  return type == other.type && status == other.status && reason == other.reason &&
         message == other.message && generation == other.generation;
}

// ---- What comes in.

bool StatusBook::ReadInto(const YamlNode& body, Object& object) {
  const YamlNode metadata = body["metadata"];
  object.resource_version = std::string(metadata["resourceVersion"].Scalar());
  object.generation = NumberIn(metadata, "generation");
  object.conditions.clear();
  Json others = Json::array();
  for (const YamlNode from : body["status"]["conditions"]) {
    Condition condition;
    condition.type = std::string(from["type"].Scalar());
    if (!IsOurs(condition.type)) {
      if (auto json = ToJson(from); json.ok()) others.push_back(*std::move(json));
      continue;
    }
    condition.status = std::string(from["status"].Scalar());
    condition.reason = std::string(from["reason"].Scalar());
    condition.message = std::string(from["message"].Scalar());
    condition.generation = NumberIn(from, "observedGeneration");
    condition.since = std::string(from["lastTransitionTime"].Scalar());
    object.conditions.push_back(std::move(condition));
  }
  object.others = others.dump(-1, ' ', false, Json::error_handler_t::replace);
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
  object.path =
      absl::StrCat("/apis/", delta.object->api_version, "/namespaces/", delta.key.namespace_, "/",
                   PluralOf(delta.key.kind), "/", delta.key.name, "/status");
  object.names = NamesOf(delta.key, body["spec"]);
  object.refers = delta.key.kind == "VirtualService" || delta.key.kind == "DestinationRule";
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

void StatusBook::Replace(const std::vector<Problem>& problems, std::vector<Problem> Object::*list) {
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
}

void StatusBook::OnProxies(const std::vector<ProxyRefusal>& refusals) {
  for (auto& [key, object] : objects_) {
    std::vector<ProxyRefusal> now;
    for (const ProxyRefusal& refusal : refusals) {
      const bool concerned =
          std::any_of(object.names.begin(), object.names.end(),
                      [&](const std::string& name) { return Mentions(refusal.text, name); });
      if (concerned) now.push_back(refusal);
    }
    if (object.refusals == now) continue;
    object.refusals = std::move(now);
    dirty_.insert(key);
  }
}

void StatusBook::LookAtAll() {
  for (const auto& [key, object] : objects_) dirty_.insert(key);
}

// ---- What is to be written.

std::vector<StatusBook::Condition> StatusBook::WantedOf(const Object& object) {
  std::vector<Condition> wanted;
  const auto say = [&](const char* type, bool status, const char* reason, std::string message) {
    Condition condition;
    condition.type = type;
    condition.status = status ? "True" : "False";
    condition.reason = reason;
    condition.message = AsStored(std::move(message));
    condition.generation = object.generation;
    wanted.push_back(std::move(condition));
  };
  const std::vector<Problem> errors = Of(object.problems, true);
  std::vector<Problem> warnings = Of(object.problems, false);
  warnings.insert(warnings.end(), object.findings.begin(), object.findings.end());
  if (!errors.empty()) {
    say("Accepted", false, "Invalid",
        absl::StrCat(ListOf(errors), " (its last good form, if there was one, stays in force)"));
  } else {
    say("Accepted", true, warnings.empty() ? "Accepted" : "AcceptedWithWarnings", ListOf(warnings));
  }
  if (!object.references.empty()) {
    say("ResolvedRefs", false, "RefNotFound", ListOf(object.references));
  } else if (object.refers) {
    say("ResolvedRefs", true, "ResolvedRefs", "");
  }
  if (!object.conflicts.empty()) say("Conflicted", true, "HostTaken", ListOf(object.conflicts));
  if (!object.refusals.empty()) {
    say("Programmed", false, "RefusedByProxies", QuoteOf(object.refusals));
  }
  return wanted;
}

std::string StatusBook::PatchOf(const Object& object, std::vector<Condition> wanted,
                                absl::Time now) {
  Json conditions = Json::parse(object.others, nullptr, false);
  for (const Condition& condition : wanted) {
    const auto before =
        std::find_if(object.conditions.begin(), object.conditions.end(), [&](const Condition& old) {
          return old.type == condition.type && old.status == condition.status;
        });
    const bool turned = before == object.conditions.end() || before->since.empty();
    Json json = {{"type", condition.type},
                 {"status", condition.status},
                 {"reason", condition.reason},
                 {"message", condition.message},
                 {"lastTransitionTime", turned ? Rfc3339(now) : before->since}};
    if (condition.generation > 0) json["observedGeneration"] = condition.generation;
    conditions.push_back(std::move(json));
  }
  const Json patch = {{"metadata", {{"resourceVersion", object.resource_version}}},
                      {"status", {{"conditions", std::move(conditions)}}}};
  return patch.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<StatusBook::Write> StatusBook::Next(absl::Time now) {
  while (!dirty_.empty()) {
    const ObjectKey key = *dirty_.begin();
    dirty_.erase(dirty_.begin());
    const auto found = objects_.find(key);
    if (found == objects_.end()) continue;
    const Object& object = found->second;
    std::vector<Condition> wanted = WantedOf(object);
    const bool same =
        std::equal(wanted.begin(), wanted.end(), object.conditions.begin(), object.conditions.end(),
                   [](const Condition& a, const Condition& b) { return a.SaysTheSame(b); });
    if (same) continue;
    Write write;
    write.key = key;
    write.path = object.path;
    write.body = PatchOf(object, std::move(wanted), now);
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
