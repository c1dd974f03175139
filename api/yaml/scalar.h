// What the text of a YAML scalar means as a number or boolean: see YamlNode::Kind.
#ifndef WEFT_API_YAML_SCALAR_H_
#define WEFT_API_YAML_SCALAR_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "api/yaml/document.h"

namespace weft {

struct Integer {
  bool negative = false;
  uint64_t magnitude = 0;
  bool overflow = false;  // The magnitude does not fit.
};

// Decimal, 0x1f, 0o17, 017, or a float without a fraction ("1e3").
std::optional<Integer> ParseInteger(absl::string_view text);

// Finite numbers only.
std::optional<double> ParseNumber(absl::string_view text);

// Infinite ones, too.
bool IsNumber(absl::string_view text);

std::optional<bool> ParseBool(absl::string_view text);

bool IsValidUtf8(absl::string_view text);

// For error messages: "number 5", "string 'abc'", "a list", "a mapping", "null".
std::string Describe(const YamlNode& node);

}  // namespace weft

#endif  // WEFT_API_YAML_SCALAR_H_
