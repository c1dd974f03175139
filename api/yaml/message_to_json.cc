#include "absl/strings/str_cat.h"
#include "api/yaml/yaml_to_message.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"

namespace weft {

std::string MessageToJson(const google::protobuf::Message& message, bool pretty, JsonNames names) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = pretty;
  options.preserve_proto_field_names = names == JsonNames::kSnakeCase;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (status.ok()) return json;
  // Printed as a message too, so that the reason is escaped as JSON wants it.
  google::protobuf::Struct error;
  (*error.mutable_fields())["error"].set_string_value(status.ToString());
  json.clear();
  const auto ignored = google::protobuf::util::MessageToJsonString(error, &json, options);
  static_cast<void>(ignored);
  return json;
}

}  // namespace weft
