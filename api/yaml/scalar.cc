#include "api/yaml/scalar.h"

#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace weft {
namespace {

// Longest piece of a value that an error message repeats.
constexpr size_t kMaxQuoted = 60;

int DigitOf(char c) {
  if (absl::ascii_isdigit(c)) return c - '0';
  if (absl::ascii_isxdigit(c)) return absl::ascii_tolower(c) - 'a' + 10;
  return 99;
}

bool AllDigits(absl::string_view digits, int base) {
  for (char c : digits) {
    if (DigitOf(c) >= base) return false;
  }
  return !digits.empty();
}

// Takes the prefix that states the base off `digits`.
int TakeBase(absl::string_view* digits) {
  if (absl::ConsumePrefix(digits, "0x") || absl::ConsumePrefix(digits, "0X")) return 16;
  if (absl::ConsumePrefix(digits, "0o")) return 8;
  return digits->size() > 1 && digits->front() == '0' && AllDigits(*digits, 8) ? 8 : 10;
}

// Digits, at most one point, and an exponent: what SimpleAtod would take beyond that (spaces,
// hex floats, "inf") is not a YAML number.
bool HasFloatSyntax(absl::string_view text) {
  size_t i = 0;
  const auto skip_digits = [&] {
    const size_t from = i;
    while (i < text.size() && absl::ascii_isdigit(text[i])) ++i;
    return i - from;
  };
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  size_t digits = skip_digits();
  if (i < text.size() && text[i] == '.') {
    ++i;
    digits += skip_digits();
  }
  if (digits == 0) return false;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    if (skip_digits() == 0) return false;
  }
  return i == text.size();
}

std::optional<double> ParseFloat(absl::string_view text) {
  double value = 0;
  if (!HasFloatSyntax(text)) return std::nullopt;
  absl::ConsumePrefix(&text, "+");
  if (!absl::SimpleAtod(text, &value) || !std::isfinite(value)) return std::nullopt;
  return value;
}

bool IsNonFinite(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, "-")) absl::ConsumePrefix(&text, "+");
  return absl::EqualsIgnoreCase(text, ".inf") || absl::EqualsIgnoreCase(text, ".nan");
}

}  // namespace

std::optional<Integer> ParseInteger(absl::string_view text) {
  Integer result;
  absl::string_view digits = text;
  result.negative = absl::ConsumePrefix(&digits, "-");
  if (!result.negative) absl::ConsumePrefix(&digits, "+");
  const int base = TakeBase(&digits);
  if (AllDigits(digits, base)) {
    for (char c : digits) {
      const uint64_t digit = DigitOf(c);
      if (result.magnitude > (std::numeric_limits<uint64_t>::max() - digit) / base) {
        result.overflow = true;
        return result;
      }
      result.magnitude = result.magnitude * base + digit;
    }
    return result;
  }
  const std::optional<double> value = ParseFloat(text);
  // Up to 2^53 a double holds every integer.
  if (!value || std::trunc(*value) != *value || std::fabs(*value) > 9007199254740992.0) {
    return std::nullopt;
  }
  result.magnitude = static_cast<uint64_t>(std::fabs(*value));
  return result;
}

std::optional<double> ParseNumber(absl::string_view text) {
  // Leading zeros and 0x mean the same here as in an integer field.
  const std::optional<Integer> integer = ParseInteger(text);
  if (integer && !integer->overflow) {
    const double magnitude = static_cast<double>(integer->magnitude);
    return integer->negative ? -magnitude : magnitude;
  }
  return ParseFloat(text);
}

bool IsNumber(absl::string_view text) { return ParseNumber(text) || IsNonFinite(text); }

std::optional<bool> ParseBool(absl::string_view text) {
  for (absl::string_view yes : {"true", "yes", "on"}) {
    if (absl::EqualsIgnoreCase(text, yes)) return true;
  }
  for (absl::string_view no : {"false", "no", "off"}) {
    if (absl::EqualsIgnoreCase(text, no)) return false;
  }
  return std::nullopt;
}

bool IsValidUtf8(absl::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const unsigned char lead = text[i];
    const size_t length = lead < 0x80   ? 1
                          : lead < 0xC2 ? 0
                          : lead < 0xE0 ? 2
                          : lead < 0xF0 ? 3
                          : lead < 0xF5 ? 4
                                        : 0;
    if (length == 0 || text.size() - i < length) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    }
    // Overlong forms, surrogates, and beyond U+10FFFF.
    const unsigned char second = length > 1 ? text[i + 1] : 0;
    if (lead == 0xE0 && second < 0xA0) return false;
    if (lead == 0xED && second > 0x9F) return false;
    if (lead == 0xF0 && second < 0x90) return false;
    if (lead == 0xF4 && second > 0x8F) return false;
    i += length;
  }
  return true;
}

std::string Describe(const YamlNode& node) {
  if (node.IsMap()) return "a mapping";
  if (node.IsSequence()) return "a list";
  if (!node.IsScalar()) return "null";
  const absl::string_view text = node.Scalar();
  const std::string shown = text.size() <= kMaxQuoted
                                ? std::string(text)
                                : absl::StrCat(text.substr(0, kMaxQuoted), "...");
  switch (node.kind()) {
    case YamlNode::Kind::kNumber:
      return absl::StrCat("number ", shown);
    case YamlNode::Kind::kBool:
      return absl::StrCat("boolean ", shown);
    default:
      return absl::StrCat("string '", shown, "'");
  }
}

}  // namespace weft
