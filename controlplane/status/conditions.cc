#include "controlplane/status/conditions.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

namespace weft {
namespace {

using Json = nlohmann::json;

constexpr const char* kOurTypes[] = {"Accepted",   "ResolvedRefs", "Conflicted",
                                     "Programmed", "Connected",    "Distributed"};

bool IsOurs(const std::string& type) {
  return std::find(std::begin(kOurTypes), std::end(kOurTypes), type) != std::end(kOurTypes);
}

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

// As an API server gives it back, so that what was written is known again.
std::string AsStored(std::string text) {
  if (text.size() > kMaxConditionMessage) text.resize(kMaxConditionMessage);
  const std::string valid =
      Json(std::move(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
  return Json::parse(valid).get<std::string>();
}

Json ToJson(const GatewayApiCondition& condition, const Json& before, int64_t generation,
            absl::Time now) {
  const char* status = condition.status ? "True" : "False";
  const std::string since = TextOf(before, "lastTransitionTime");
  const bool turned = since.empty() || TextOf(before, "status") != status;
  Json json = {{"type", condition.type},
               {"status", status},
               {"reason", condition.reason},
               {"message", AsStored(condition.message)},
               {"lastTransitionTime", turned ? Rfc3339(now) : since}};
  if (generation > 0) json["observedGeneration"] = generation;
  return json;
}

}  // namespace

std::string TextOf(const Json& object, const char* field) {
  const auto found = object.is_object() ? object.find(field) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

Json WithConditions(const Json& present, const GatewayApiConditions& wanted, int64_t generation,
                    absl::Time now) {
  Json conditions = Json::array();
  std::set<std::string> said;
  const Json list = present.is_array() ? present : Json::array();
  for (const Json& one : list) {
    const std::string type = TextOf(one, "type");
    const auto found = std::find_if(wanted.begin(), wanted.end(),
                                    [&](const auto& condition) { return condition.type == type; });
    if (found == wanted.end()) {
      if (!IsOurs(type)) conditions.push_back(one);
      continue;
    }
    if (!said.insert(type).second) continue;
    conditions.push_back(ToJson(*found, one, generation, now));
  }
  for (const GatewayApiCondition& condition : wanted) {
    if (said.contains(condition.type)) continue;
    conditions.push_back(ToJson(condition, Json(), generation, now));
  }
  return conditions;
}

bool Holds(const Json& present, const Json& wanted) {
  if (wanted.is_object()) {
    return present.is_object() &&
           std::all_of(wanted.items().begin(), wanted.items().end(), [&](const auto& item) {
             const auto found = present.find(item.key());
             return Holds(found == present.end() ? Json() : *found, item.value());
           });
  }
  if (!wanted.is_array()) return present == wanted;
  if (present.is_null()) return wanted.empty();
  return present.is_array() &&
         std::equal(present.begin(), present.end(), wanted.begin(), wanted.end(), Holds);
}

}  // namespace weft
