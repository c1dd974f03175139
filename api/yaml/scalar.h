// What a YAML scalar means: its kind where it is unquoted, and its value as a number or boolean.
// Follows the core schema of YAML 1.2, plus the two forms that Kubernetes' reader takes from
// YAML 1.1: yes/no/on/off as booleans, and a leading 0 for octal numbers (file modes).
#ifndef WEFT_API_YAML_SCALAR_H_
#define WEFT_API_YAML_SCALAR_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "api/yaml/json_value.h"
#include "yaml-cpp/yaml.h"

namespace weft {

enum class ScalarKind { kString, kNumber, kBool };

// `node` is a scalar. Quoted and block scalars are strings whatever they hold.
ScalarKind KindOf(const YAML::Node& node);
ScalarKind KindOf(const JsonValue& value);

struct Integer {
  bool negative = false;
  uint64_t magnitude = 0;
  bool overflow = false;  // The magnitude does not fit.
};

// Decimal, 0x1f, 0o17, 017, or a float without a fraction ("1e3").
std::optional<Integer> ParseInteger(absl::string_view text);

// Finite numbers only.
std::optional<double> ParseNumber(absl::string_view text);

std::optional<bool> ParseBool(absl::string_view text);

bool IsValidUtf8(absl::string_view text);

// For error messages: "number 5", "string 'abc'", "a list", "a mapping", "null".
std::string Describe(const YAML::Node& node);
std::string Describe(const JsonValue& value);

}  // namespace weft

#endif  // WEFT_API_YAML_SCALAR_H_
