#include "test/apiserver/manifest.h"

#include <yaml-cpp/yaml.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "api/yaml/yaml_to_message.h"

namespace weft::apiserver {
namespace {

using Json = nlohmann::json;

// Deeper than anything but an alias bomb or a mistake.
constexpr int kMaxDepth = 1000;

Json Scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;  // quoted
  if (text.empty() || text == "~" || text == "null") return nullptr;
  if (text == "true" || text == "false") return text == "true";
  int64_t integer;
  if (absl::SimpleAtoi(text, &integer)) return integer;
  double number;
  const bool numeric = text.find_first_not_of("0123456789+-.eE") == std::string::npos;
  if (numeric && absl::SimpleAtod(text, &number)) return number;
  return text;
}

Json ToJson(const YAML::Node& node, int depth) {
  if (depth > kMaxDepth) return nullptr;
  if (node.IsSequence()) {
    Json list = Json::array();
    for (const YAML::Node& one : node) list.push_back(ToJson(one, depth + 1));
    return list;
  }
  if (node.IsMap()) {
    Json object = Json::object();
    for (const auto& member : node) {
      if (member.first.IsScalar()) {
        object[member.first.Scalar()] = ToJson(member.second, depth + 1);
      }
    }
    return object;
  }
  return node.IsScalar() ? Scalar(node) : Json(nullptr);
}

}  // namespace

absl::StatusOr<std::vector<Json>> ReadManifest(absl::string_view text) {
  auto documents = ParseYamlDocuments(text);
  if (!documents.ok()) return documents.status();
  std::vector<Json> objects;
  for (const YAML::Node& document : *documents) {
    Json object = ToJson(document, 0);
    if (object.is_null()) continue;
    if (object.is_object() && object.contains("items") && object["items"].is_array() &&
        absl::EndsWith(object.value("kind", ""), "List")) {
      for (Json& item : object["items"]) objects.push_back(std::move(item));
    } else {
      objects.push_back(std::move(object));
    }
  }
  return objects;
}

}  // namespace weft::apiserver
