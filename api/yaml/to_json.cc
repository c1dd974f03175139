#include "api/yaml/to_json.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "api/yaml/scalar.h"

namespace weft {
namespace {

using Json = nlohmann::json;

absl::Status ErrorAt(const YamlNode& node, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", node.line(), ": ", what));
}

Json NumberToJson(absl::string_view text) {
  const std::optional<Integer> integer = ParseInteger(text);
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
  if (integer && !integer->overflow && integer->magnitude <= kMax) {
    const auto magnitude = static_cast<int64_t>(integer->magnitude);
    return integer->negative ? -magnitude : magnitude;
  }
  const std::optional<double> number = ParseNumber(text);
  return number ? Json(*number) : Json(std::string(text));  // JSON has no infinity
}

class Conversion {
 public:
  absl::Status Convert(const YamlNode& node, int depth, Json* json) {
    if (depth > kMaxYamlDepth) {
      return ErrorAt(node, absl::StrCat("nested deeper than ", kMaxYamlDepth, " levels"));
    }
    if (++values_ > kMaxYamlNodes) {
      return ErrorAt(node, absl::StrCat("more than ", kMaxYamlNodes, " values"));
    }
    switch (node.kind()) {
      case YamlNode::Kind::kUndefined:
      case YamlNode::Kind::kNull:
        *json = nullptr;
        return absl::OkStatus();
      case YamlNode::Kind::kBool:
        *json = *ParseBool(node.Scalar());
        return absl::OkStatus();
      case YamlNode::Kind::kNumber:
        *json = NumberToJson(node.Scalar());
        return absl::OkStatus();
      case YamlNode::Kind::kString:
        *json = std::string(node.Scalar());
        return absl::OkStatus();
      case YamlNode::Kind::kSequence:
        *json = Json::array();
        for (const YamlNode& item : node) {
          if (absl::Status status = Convert(item, depth + 1, &json->emplace_back()); !status.ok()) {
            return status;
          }
        }
        return absl::OkStatus();
      case YamlNode::Kind::kMap:
        break;
    }
    *json = Json::object();
    for (const YamlItem& entry : node) {
      if (!entry.first.IsScalar()) return ErrorAt(entry.first, "a name must be a string");
      Json* member = &(*json)[std::string(entry.first.Scalar())];
      if (absl::Status status = Convert(entry.second, depth + 1, member); !status.ok()) {
        return status;
      }
    }
    return absl::OkStatus();
  }

 private:
  size_t values_ = 0;
};

}  // namespace

absl::StatusOr<Json> ToJson(const YamlNode& node) {
  Json json;
  if (absl::Status status = Conversion().Convert(node, 0, &json); !status.ok()) return status;
  return json;
}

}  // namespace weft
