#include "proxy/config/metadata_match.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace weft {
namespace {

using Json = nlohmann::json;

bool ListHas(const ValueMatch& match, const Json& value) {
  return value.is_array() && std::any_of(value.begin(), value.end(), [&](const Json& element) {
           return match.Matches(&element);
         });
}

}  // namespace

bool ValueMatch::Matches(const Json* value) const {
  if (kind == Kind::kOr) {
    return std::any_of(of.begin(), of.end(),
                       [&](const ValueMatch& one) { return one.Matches(value); });
  }
  if (kind == Kind::kPresent) return (value != nullptr) == flag;
  if (value == nullptr) return false;
  switch (kind) {
    case Kind::kNull:
      return value->is_null();
    case Kind::kNumber:
      return value->is_number() && value->get<double>() == start;
    case Kind::kNumberRange:
      return value->is_number() && value->get<double>() >= start && value->get<double>() < end;
    case Kind::kString:
      return value->is_string() && string.Matches(value->get_ref<const std::string&>());
    case Kind::kBool:
      return value->is_boolean() && value->get<bool>() == flag;
    case Kind::kListHas:
      return ListHas(of.front(), *value);
    case Kind::kPresent:
    case Kind::kOr:
      break;
  }
  return false;
}

bool ValueMatch::MatchesText(absl::string_view text) const {
  switch (kind) {
    case Kind::kString:
      return string.Matches(text);
    case Kind::kPresent:
      return flag;
    case Kind::kOr:
      return std::any_of(of.begin(), of.end(),
                         [&](const ValueMatch& one) { return one.MatchesText(text); });
    default:
      return false;
  }
}

}  // namespace weft
