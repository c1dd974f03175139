#include "controlplane/webhook/pod_patch.h"

#include <google/protobuf/descriptor.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "api/kubernetes/core.pb.h"
#include "api/yaml/yaml_to_message.h"

namespace weft::webhook {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using Json = nlohmann::json;

constexpr const char* kNamedLists[] = {"initContainers", "containers", "volumes"};

void NumberIntegers(const Descriptor& type, Json& json);

void NumberIntegersOf(const FieldDescriptor& field, Json& value) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
    int64_t number = 0;
    if (value.is_string() && absl::SimpleAtoi(value.get<std::string>(), &number)) value = number;
  } else if (field.message_type() != nullptr &&
             !absl::StartsWith(field.message_type()->full_name(), "google.protobuf.")) {
    NumberIntegers(*field.message_type(), value);
  }
}

// protobuf prints 64-bit integers as strings; Kubernetes wants them as numbers.
void NumberIntegers(const Descriptor& type, Json& json) {
  if (!json.is_object()) return;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    auto found = json.find(field.json_name());
    if (found == json.end() || field.is_map()) continue;
    if (!field.is_repeated()) {
      NumberIntegersOf(field, *found);
      continue;
    }
    for (Json& item : *found) NumberIntegersOf(field, item);
  }
}

Json ToJson(const kubernetes::Pod& pod) {
  Json json = Json::parse(MessageToJson(pod, /*pretty=*/false), nullptr, false);
  NumberIntegers(*pod.GetDescriptor(), json);
  return json;
}

void AppendDiff(const std::string& path, const Json& before, const Json& after, Json& patch) {
  for (Json& operation : Json::diff(before, after)) {
    operation["path"] = absl::StrCat(path, operation["path"].get<std::string>());
    patch.push_back(std::move(operation));
  }
}

Json TakeList(Json& pod, const char* name) {
  if (!pod["spec"].contains(name)) return Json::array();
  Json list = std::move(pod["spec"][name]);
  pod["spec"].erase(name);
  return list;
}

bool SameName(const Json& a, const Json& b) { return a.value("name", "") == b.value("name", ""); }

// The operations are applied one after the other: up to item `i` the list is as it is to be, and
// what follows is the rest of what was there.
bool AppendListDiff(const std::string& path, const Json& before, const Json& after, Json& patch) {
  if (before.empty() && !after.empty()) {
    // The list may not be there at all.
    patch.push_back({{"op", "add"}, {"path", path}, {"value", after}});
    return true;
  }
  size_t next = 0;
  for (size_t i = 0; i < after.size(); ++i) {
    const std::string place = absl::StrCat(path, "/", i);
    if (next < before.size() && SameName(before[next], after[i])) {
      AppendDiff(place, before[next++], after[i], patch);
    } else {
      patch.push_back({{"op", "add"}, {"path", place}, {"value", after[i]}});
    }
  }
  return next == before.size();
}

}  // namespace

absl::StatusOr<std::string> PodPatch(const kubernetes::Pod& before, const kubernetes::Pod& after) {
  Json from = ToJson(before);
  Json to = ToJson(after);
  // Bytes that are no UTF-8 make no JSON.
  if (!from.is_object() || !to.is_object()) return absl::InvalidArgumentError("not valid UTF-8");
  Json patch = Json::array();
  for (const char* name : kNamedLists) {
    const Json list = TakeList(from, name);
    if (!AppendListDiff(absl::StrCat("/spec/", name), list, TakeList(to, name), patch)) {
      return absl::InternalError(absl::StrCat("spec.", name, ": injection took something away"));
    }
  }
  AppendDiff("", from, to, patch);
  return patch.empty() ? std::string() : patch.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace weft::webhook
