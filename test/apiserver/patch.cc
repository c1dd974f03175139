#include "test/apiserver/patch.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace weft::apiserver {
namespace {

struct MergeRow {
  const char* kind;    // "" for all
  const char* parent;  // "" for any
  const char* field;
  MergeKey key;
};

// The patchMergeKey tags of Kubernetes' types, for the kinds that are served.
constexpr MergeRow kMergeRows[] = {
    {"", "metadata", "finalizers", {"", true}},
    {"", "metadata", "ownerReferences", {"uid"}},
    {"", "status", "conditions", {"type"}},
    {"Service", "spec", "ports", {"port"}},
    {"Node", "status", "addresses", {"type"}},
    {"Node", "spec", "podCIDRs", {"", true}},
    {"ServiceAccount", "", "secrets", {"name"}},
    {"", "", "imagePullSecrets", {"name"}},
    {"", "", "containers", {"name"}},
    {"", "", "initContainers", {"name"}},
    {"", "", "ephemeralContainers", {"name"}},
    {"", "", "volumes", {"name"}},
    {"", "", "hostAliases", {"ip"}},
    {"", "", "topologySpreadConstraints", {"topologyKey"}},
    {"", "containers", "ports", {"containerPort"}},
    {"", "initContainers", "ports", {"containerPort"}},
    {"", "", "env", {"name"}},
    {"", "", "volumeMounts", {"mountPath"}},
    {"MutatingWebhookConfiguration", "", "webhooks", {"name"}},
    {"ValidatingWebhookConfiguration", "", "webhooks", {"name"}},
};

constexpr absl::string_view kDeleteValues = "$deleteFromPrimitiveList/";
constexpr absl::string_view kElementOrder = "$setElementOrder/";

std::string DirectiveOf(const Json& patch) {
  const auto found = patch.is_object() ? patch.find("$patch") : patch.end();
  return found != patch.end() && found->is_string() ? found->get<std::string>() : "";
}

Failure BadPatch(absl::string_view why) {
  return BadRequest(absl::StrCat("error decoding patch: ", why));
}

class Strategic {
 public:
  explicit Strategic(absl::string_view kind) : kind_(kind) {}

  void MergeObject(Json& object, const Json& patch, absl::string_view parent) {
    if (!object.is_object()) object = Json::object();
    if (const auto kept = patch.find("$retainKeys"); kept != patch.end()) Retain(object, *kept);
    for (const auto& [field, value] : patch.items()) {
      if (absl::StartsWith(field, "$")) continue;
      if (value.is_null()) {
        object.erase(field);
      } else {
        MergeField(object, field, value, parent);
      }
    }
    for (const auto& [field, value] : patch.items()) {
      if (absl::StartsWith(field, kDeleteValues)) {
        RemoveValues(object[field.substr(kDeleteValues.size())], value);
      }
    }
    for (const auto& [field, value] : patch.items()) {
      if (absl::StartsWith(field, kElementOrder)) {
        const std::string name = field.substr(kElementOrder.size());
        if (object.contains(name)) Order(object[name], value, MergeKeyOf(kind_, parent, name));
      }
    }
  }

 private:
  void MergeField(Json& object, const std::string& field, const Json& value,
                  absl::string_view parent) {
    if (value.is_object()) {
      const std::string directive = DirectiveOf(value);
      if (directive == "delete") {
        object.erase(field);
      } else if (directive == "replace") {
        object[field] = value;
        object[field].erase("$patch");
      } else {
        MergeObject(object[field], value, field);
      }
    } else if (value.is_array() && MergeKeyOf(kind_, parent, field).merges()) {
      MergeList(object[field], value, MergeKeyOf(kind_, parent, field), field);
    } else {
      object[field] = value;
    }
  }

  void MergeList(Json& list, const Json& patch, const MergeKey& key, const std::string& field) {
    if (!list.is_array()) list = Json::array();
    const bool replaces = std::any_of(patch.begin(), patch.end(), [](const Json& one) {
      return DirectiveOf(one) == "replace" && one.size() == 1;
    });
    if (replaces) list = Json::array();
    for (const Json& one : patch) {
      if (key.primitive) {
        if (std::find(list.begin(), list.end(), one) == list.end()) list.push_back(one);
      } else if (one.is_object() && one.contains(key.key)) {
        MergeElement(list, one, key, field);
      }
    }
  }

  void MergeElement(Json& list, const Json& one, const MergeKey& key, const std::string& field) {
    const auto found = std::find_if(list.begin(), list.end(), [&](const Json& old) {
      return old.is_object() && old.contains(key.key) && old[key.key] == one[key.key];
    });
    if (DirectiveOf(one) == "delete") {
      if (found != list.end()) list.erase(found);
      return;
    }
    if (found != list.end()) return MergeObject(*found, one, field);
    Json added = Json::object();
    MergeObject(added, one, field);
    list.push_back(std::move(added));
  }

  static void RemoveValues(Json& list, const Json& values) {
    if (!list.is_array()) return;
    Json kept = Json::array();
    for (const Json& one : list) {
      if (std::find(values.begin(), values.end(), one) == values.end()) kept.push_back(one);
    }
    list = std::move(kept);
  }

  static void Retain(Json& object, const Json& kept) {
    Json retained = Json::object();
    for (const Json& field : kept) {
      if (field.is_string() && object.contains(field.get<std::string>())) {
        retained[field.get<std::string>()] = object[field.get<std::string>()];
      }
    }
    object = std::move(retained);
  }

  // What is named comes in that order; the others stay behind it as they were.
  static void Order(Json& list, const Json& order, const MergeKey& key) {
    if (!list.is_array()) return;
    const auto place = [&](const Json& one) {
      const auto at = std::find_if(order.begin(), order.end(), [&](const Json& named) {
        if (key.primitive) return named == one;
        return named.is_object() && named.contains(key.key) && one.is_object() &&
               one.contains(key.key) && named[key.key] == one[key.key];
      });
      return at - order.begin();
    };
    std::multimap<ptrdiff_t, Json> placed;
    for (Json& one : list) placed.emplace(place(one), std::move(one));
    list = Json::array();
    for (auto& [at, one] : placed) list.push_back(std::move(one));
  }

  const std::string kind_;
};

}  // namespace

MergeKey MergeKeyOf(absl::string_view kind, absl::string_view parent, absl::string_view field) {
  for (const MergeRow& row : kMergeRows) {
    if (field != row.field) continue;
    if (*row.kind != '\0' && kind != row.kind) continue;
    if (*row.parent != '\0' && parent != row.parent) continue;
    return row.key;
  }
  return MergeKey();
}

Result<Json> JsonPatch(const Json& object, const Json& patch) {
  if (!patch.is_array()) return BadPatch("a JSON patch is a list of operations");
  // The library says by an exception what does not apply.
  try {
    return object.patch(patch);
  } catch (const Json::exception& e) {
    Failure failure;
    failure.code = 422;
    failure.reason = "Invalid";
    failure.message =
        absl::StrCat("the server rejected our request due to an error in our request: ", e.what());
    return failure;
  }
}

Result<Json> MergePatch(const Json& object, const Json& patch) {
  if (!patch.is_object()) return BadPatch("a merge patch of an object is an object");
  Json merged = object;
  merged.merge_patch(patch);
  return merged;
}

Result<Json> StrategicPatch(const Json& object, const Json& patch, absl::string_view kind) {
  if (!patch.is_object()) return BadPatch("a strategic merge patch is an object");
  Json merged = object;
  Strategic(kind).MergeObject(merged, patch, "");
  return merged;
}

}  // namespace weft::apiserver
