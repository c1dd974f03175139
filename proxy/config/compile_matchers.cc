#include "proxy/config/compile_matchers.h"

#include <re2/re2.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace matcher = envoy::type::matcher::v3;
namespace route = envoy::config::route::v3;

// A compiled program above this would cost a worker more than a route is worth.
constexpr int64_t kMaxRegexMemory = 1 << 20;

StringMatch Literal(StringMatch::Kind kind, std::string value) {
  StringMatch match;
  match.kind = kind;
  match.value = std::move(value);
  return match;
}

absl::StatusOr<StringMatch> RegexMatch(const matcher::RegexMatcher& from) {
  absl::StatusOr<std::shared_ptr<const re2::RE2>> pattern = CompileRegex(from.regex());
  if (!pattern.ok()) return Under("safe_regex", pattern.status());
  StringMatch match = Literal(StringMatch::Kind::kRegex, from.regex());
  match.pattern = *std::move(pattern);
  return match;
}

// The string test of a header matcher, in the new spelling or in one of the deprecated ones that
// control planes still send.
absl::StatusOr<StringMatch> HeaderString(const route::HeaderMatcher& from) {
  switch (from.header_match_specifier_case()) {
    case route::HeaderMatcher::kExactMatch:
      return Literal(StringMatch::Kind::kExact, from.exact_match());
    case route::HeaderMatcher::kPrefixMatch:
      return Literal(StringMatch::Kind::kPrefix, from.prefix_match());
    case route::HeaderMatcher::kSuffixMatch:
      return Literal(StringMatch::Kind::kSuffix, from.suffix_match());
    case route::HeaderMatcher::kContainsMatch:
      return Literal(StringMatch::Kind::kContains, from.contains_match());
    case route::HeaderMatcher::kSafeRegexMatch:
      return RegexMatch(from.safe_regex_match());
    default: {
      absl::StatusOr<StringMatch> match = CompileStringMatch(from.string_match());
      if (!match.ok()) return Under("string_match", match.status());
      return match;
    }
  }
}

}  // namespace

absl::StatusOr<std::shared_ptr<const re2::RE2>> CompileRegex(absl::string_view regex) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxRegexMemory);
  auto pattern = std::make_shared<re2::RE2>(re2::StringPiece(regex.data(), regex.size()), options);
  if (!pattern->ok()) {
    return Invalid("regex", absl::StrCat("'", regex, "' does not compile: ", pattern->error()));
  }
  return pattern;
}

absl::StatusOr<StringMatch> CompileStringMatch(const matcher::StringMatcher& from) {
  StringMatch match;
  switch (from.match_pattern_case()) {
    case matcher::StringMatcher::kExact:
      match = Literal(StringMatch::Kind::kExact, from.exact());
      break;
    case matcher::StringMatcher::kPrefix:
      match = Literal(StringMatch::Kind::kPrefix, from.prefix());
      break;
    case matcher::StringMatcher::kSuffix:
      match = Literal(StringMatch::Kind::kSuffix, from.suffix());
      break;
    case matcher::StringMatcher::kContains:
      match = Literal(StringMatch::Kind::kContains, from.contains());
      break;
    case matcher::StringMatcher::kSafeRegex:
      return RegexMatch(from.safe_regex());
    case matcher::StringMatcher::MATCH_PATTERN_NOT_SET:
      return Invalid("", "needs one of exact, prefix, suffix, contains, safe_regex");
  }
  match.ignore_case = from.ignore_case();
  return match;
}

absl::StatusOr<HeaderMatch> CompileHeaderMatch(const route::HeaderMatcher& from) {
  if (from.name().empty()) return Invalid("name", "must not be empty");
  HeaderMatch match;
  match.name = absl::AsciiStrToLower(from.name());
  match.invert = from.invert_match();
  match.treat_missing_as_empty = from.treat_missing_header_as_empty();
  switch (from.header_match_specifier_case()) {
    case route::HeaderMatcher::HEADER_MATCH_SPECIFIER_NOT_SET:
      return match;
    case route::HeaderMatcher::kPresentMatch:
      match.present = from.present_match();
      return match;
    case route::HeaderMatcher::kRangeMatch:
      match.kind = HeaderMatch::Kind::kRange;
      match.range_start = from.range_match().start();
      match.range_end = from.range_match().end();
      return match;
    default:
      break;
  }
  match.kind = HeaderMatch::Kind::kString;
  absl::StatusOr<StringMatch> string = HeaderString(from);
  if (!string.ok()) return string.status();
  match.string = *std::move(string);
  return match;
}

absl::StatusOr<QueryMatch> CompileQueryMatch(const route::QueryParameterMatcher& from) {
  if (from.name().empty()) return Invalid("name", "must not be empty");
  QueryMatch match;
  match.name = from.name();
  if (from.has_string_match()) {
    absl::StatusOr<StringMatch> string = CompileStringMatch(from.string_match());
    if (!string.ok()) return Under("string_match", string.status());
    match.string = *std::move(string);
  } else if (from.query_parameter_match_specifier_case() ==
             route::QueryParameterMatcher::kPresentMatch) {
    match.present = from.present_match();
  }
  return match;
}

absl::StatusOr<RegexRewrite> CompileRegexRewrite(const matcher::RegexMatchAndSubstitute& from) {
  absl::StatusOr<std::shared_ptr<const re2::RE2>> pattern = CompileRegex(from.pattern().regex());
  if (!pattern.ok()) return Under("pattern", pattern.status());
  std::string error;
  if (!(*pattern)->CheckRewriteString(from.substitution(), &error)) {
    return Invalid("substitution", absl::StrCat("'", from.substitution(), "': ", error));
  }
  return RegexRewrite{*std::move(pattern), from.substitution()};
}

Fraction CompileFraction(const envoy::type::v3::FractionalPercent& from) {
  switch (from.denominator()) {
    case envoy::type::v3::FractionalPercent::TEN_THOUSAND:
      return {from.numerator(), 10'000};
    case envoy::type::v3::FractionalPercent::MILLION:
      return {from.numerator(), 1'000'000};
    default:
      return {from.numerator(), 100};
  }
}

Fraction CompileFraction(const envoy::config::core::v3::RuntimeFractionalPercent& from,
                         const RuntimeValues& runtime) {
  return runtime.Share(from.runtime_key()).value_or(CompileFraction(from.default_value()));
}

}  // namespace weft
