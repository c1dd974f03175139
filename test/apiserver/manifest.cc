#include "test/apiserver/manifest.h"

#include <string>

#include "absl/strings/match.h"
#include "api/yaml/to_json.h"

namespace weft::apiserver {

using Json = nlohmann::json;

absl::StatusOr<std::vector<Json>> ReadManifest(absl::string_view text) {
  auto documents = ParseYamlDocuments(text);
  if (!documents.ok()) return documents.status();
  std::vector<Json> objects;
  for (const auto& document : *documents) {
    absl::StatusOr<Json> json = ToJson(document->root());
    if (!json.ok()) return json.status();
    Json& object = *json;
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
