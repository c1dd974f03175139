// Matchers of strings, headers and query parameters, compiled from Envoy's matcher messages.
// Immutable once compiled; any thread. Evaluation is pure and does not allocate for the usual
// kinds.
#ifndef WEFT_PROXY_CONFIG_MATCHERS_H_
#define WEFT_PROXY_CONFIG_MATCHERS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace re2 {
class RE2;
}

namespace weft {

class Headers;

struct StringMatch {
  enum class Kind { kExact, kPrefix, kSuffix, kContains, kRegex };
  Kind kind = Kind::kExact;
  std::string value;                        // what is compared with; the pattern of kRegex
  bool ignore_case = false;                 // no effect on kRegex, as in Envoy
  std::shared_ptr<const re2::RE2> pattern;  // kRegex; must match the whole text

  bool Matches(absl::string_view text) const;
};

// What is asked of one header. A header that comes several times is joined by ',' as Envoy does,
// so that every value is seen (a forbidden value cannot hide behind a harmless first one).
struct HeaderMatch {
  enum class Kind { kPresent, kString, kRange };
  std::string name;  // lower case; ":method", ":authority", ":path", ":scheme" mean those
  Kind kind = Kind::kPresent;
  bool present = true;  // kPresent: whether it has to be there
  StringMatch string;
  int64_t range_start = 0;  // kRange: [start, end)
  int64_t range_end = 0;
  bool invert = false;
  bool treat_missing_as_empty = false;

  // nullopt: the header is not there. That fails kString and kRange whether inverted or not, unless
  // treat_missing_as_empty is set (as Envoy has it).
  bool Matches(std::optional<absl::string_view> value) const;
};

struct QueryMatch {
  std::string name;
  std::optional<StringMatch> string;  // nullopt: only whether it is there
  bool present = true;

  bool Matches(std::optional<absl::string_view> value) const;
};

// Envoy's regex_rewrite: every match of `pattern` in the text gives way to `substitution`
// (\0 to \9 name the capture groups).
struct RegexRewrite {
  std::shared_ptr<const re2::RE2> pattern;
  std::string substitution;

  std::string Apply(absl::string_view text) const;
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_MATCHERS_H_
