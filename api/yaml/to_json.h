// From a YamlDocument to nlohmann::json, for tools that change objects and print them. weftd and the
// proxy read documents into messages (yaml_to_message.h).
#ifndef WEFT_API_YAML_TO_JSON_H_
#define WEFT_API_YAML_TO_JSON_H_

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "api/yaml/document.h"

namespace weft {

// What YamlNode::Kind says of each scalar. Refused, with the line: a name that is no scalar, more
// than kMaxYamlDepth levels, and more than kMaxYamlNodes values, counting each use of an alias.
absl::StatusOr<nlohmann::json> ToJson(const YamlNode& node);

}  // namespace weft

#endif  // WEFT_API_YAML_TO_JSON_H_
