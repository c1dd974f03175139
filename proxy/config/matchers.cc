#include "proxy/config/matchers.h"

#include <re2/re2.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace weft {
namespace {

re2::StringPiece Piece(absl::string_view text) { return {text.data(), text.size()}; }

bool InRange(absl::string_view text, int64_t start, int64_t end) {
  int64_t number;
  return absl::SimpleAtoi(text, &number) && number >= start && number < end;
}

}  // namespace

bool StringMatch::Matches(absl::string_view text) const {
  switch (kind) {
    case Kind::kExact:
      return ignore_case ? absl::EqualsIgnoreCase(text, value) : text == value;
    case Kind::kPrefix:
      return ignore_case ? absl::StartsWithIgnoreCase(text, value) : absl::StartsWith(text, value);
    case Kind::kSuffix:
      return ignore_case ? absl::EndsWithIgnoreCase(text, value) : absl::EndsWith(text, value);
    case Kind::kContains:
      return ignore_case
                 ? absl::StrContains(absl::AsciiStrToLower(text), absl::AsciiStrToLower(value))
                 : absl::StrContains(text, value);
    case Kind::kRegex:
      return re2::RE2::FullMatch(Piece(text), *pattern);
  }
  return false;
}

bool HeaderMatch::Matches(std::optional<absl::string_view> value) const {
  if (kind == Kind::kPresent) {
    return (value.has_value() == present) != invert;
  }
  if (!value && treat_missing_as_empty) value = "";
  if (!value) return false;
  const bool matched =
      kind == Kind::kRange ? InRange(*value, range_start, range_end) : string.Matches(*value);
  return matched != invert;
}

bool QueryMatch::Matches(std::optional<absl::string_view> value) const {
  if (!string) return value.has_value() == present;
  return value.has_value() && string->Matches(*value);
}

std::string RegexRewrite::Apply(absl::string_view text) const {
  std::string result(text);
  re2::RE2::GlobalReplace(&result, *pattern, substitution);
  return result;
}

}  // namespace weft
