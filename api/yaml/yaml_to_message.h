// The one way from YAML or JSON text to protobuf messages, and back to JSON.
//
// The proxy reads its bootstrap file through this, the control plane its sources. It works by
// reflection, so a field exists here as soon as it is in a .proto. JSON in files is read as YAML;
// what API servers send is parsed by JsonDocument, much faster, and read by the same walker.
//
// Text comes from users and from other systems: nothing in it crashes, throws or loops, and every
// error names the place: "spec.http[0].route[1].weigth (line 12): unknown field; did you mean
// 'weight'?". All functions are pure and safe on any thread.
#ifndef WEFT_API_YAML_YAML_TO_MESSAGE_H_
#define WEFT_API_YAML_YAML_TO_MESSAGE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "api/yaml/json_value.h"
#include "google/protobuf/message.h"
#include "yaml-cpp/yaml.h"

namespace weft {

// A whole namespace of Kubernetes objects is some hundred kilobytes; the bootstrap of a large
// static proxy a few megabytes.
inline constexpr size_t kMaxYamlBytes = 32 << 20;
// Deepest nesting of a document. Envoy's own configuration stays below 40.
inline constexpr int kMaxYamlDepth = 100;
// Nodes visited in one document, counting each use of an alias: what stops an alias bomb.
inline constexpr size_t kMaxYamlNodes = 1'000'000;

enum class UnknownFields {
  kReject,  // Files of users: a misspelt field is an error.
  kSkip,    // Kubernetes kinds, of which only a part is known here.
};

// Fills `message` from a YAML mapping. `path` is what error messages put before the first field
// ("spec"). On error the message is left partly filled.
//
// Accepted: names in snake_case and camelCase; enums by name in any case or by number; durations
// as "1.5s", "500ms", "1h30m"; wrappers, Struct, Value, ListValue and maps as in protobuf's JSON;
// bytes as base64; Any with "@type" among the types linked in. Null is the same as absent.
// Refused: a field set twice, two fields of a oneof, numbers out of range, and a plain number or
// boolean where a string belongs, as Kubernetes refuses it.
absl::Status YamlToMessage(const YAML::Node& node, UnknownFields unknown,
                           google::protobuf::Message* message, absl::string_view path = "");

// The same of JSON. Its errors have no lines.
absl::Status JsonToMessage(JsonValue value, UnknownFields unknown,
                           google::protobuf::Message* message, absl::string_view path = "");

// Splits a stream of documents, leaving out empty ones. The first broken document is the error,
// which names its line.
absl::StatusOr<std::vector<YAML::Node>> ParseYamlDocuments(absl::string_view text);

// The same for a text of which one broken document must not spoil the others.
struct YamlStream {
  std::vector<YAML::Node> documents;  // Marks count lines from the start of the text.
  std::vector<absl::Status> errors;   // One for each broken document, in order.
};
YamlStream ParseYamlStream(absl::string_view text);

enum class JsonNames {
  kCamelCase,  // As Kubernetes and Istio write them.
  kSnakeCase,  // As in the .proto: what Envoy's admin prints.
};

// A message that holds an Any of a type not linked in cannot be printed; the result is then
// {"error": "..."}.
std::string MessageToJson(const google::protobuf::Message& message, bool pretty,
                          JsonNames names = JsonNames::kCamelCase);

}  // namespace weft

#endif  // WEFT_API_YAML_YAML_TO_MESSAGE_H_
