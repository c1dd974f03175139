// Fuzzes both readers of documents: whatever the text is, it ends, in documents or in errors that
// say something; and what is JSON by itself means the same as YAML.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "api/yaml/document.h"
#include "api/yaml/yaml_to_message.h"
#include "google/protobuf/struct.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto read = [](const weft::YamlDocument& document, google::protobuf::Value* value) {
    return weft::YamlToMessage(document.root(), weft::UnknownFields::kReject, value);
  };
  const weft::YamlStream stream = weft::ParseYamlStream(text);
  for (const absl::Status& error : stream.errors) {
    if (error.message().empty()) std::abort();
  }
  google::protobuf::Value by_yaml;
  for (const auto& document : stream.documents) (void)read(*document, &by_yaml);

  const auto json = weft::YamlDocument::ParseJson(text);
  if (!json.ok()) {
    if (json.status().message().empty()) std::abort();
    return 0;
  }
  google::protobuf::Value by_json;
  if (!read(**json, &by_json).ok()) return 0;
  if (stream.documents.size() != 1 || !stream.errors.empty())
    return 0;  // "null", or a tab too many
  if (by_yaml.SerializeAsString().size() != by_json.SerializeAsString().size()) std::abort();
  return 0;
}
