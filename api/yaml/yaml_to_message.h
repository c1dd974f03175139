// The one way from YAML or JSON text to protobuf messages, and back to JSON.
//
// The proxy reads its bootstrap file through this, the control plane its sources. It works by
// reflection, so a field exists here as soon as it is in a .proto.
//
// Text comes from users and from other systems: nothing in it crashes or loops, and every error
// names the place: "spec.http[0].route[1].weigth (line 12): unknown field; did you mean 'weight'?".
// All functions are pure and safe on any thread.
#ifndef WEFT_API_YAML_YAML_TO_MESSAGE_H_
#define WEFT_API_YAML_YAML_TO_MESSAGE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "api/yaml/document.h"
#include "google/protobuf/message.h"

namespace weft {

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
absl::Status YamlToMessage(const YamlNode& node, UnknownFields unknown,
                           google::protobuf::Message* message, absl::string_view path = "");

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
