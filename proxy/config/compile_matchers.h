// From Envoy's matcher messages to proxy/config/matchers.h. Only compile_*.cc include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_MATCHERS_H_
#define WEFT_PROXY_CONFIG_COMPILE_MATCHERS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "api/envoy/matcher.pb.h"
#include "api/envoy/route.pb.h"
#include "proxy/config/fraction.h"
#include "proxy/config/matchers.h"
#include "proxy/config/runtime_values.h"

namespace weft {

absl::StatusOr<std::shared_ptr<const re2::RE2>> CompileRegex(absl::string_view regex);
absl::StatusOr<StringMatch> CompileStringMatch(const envoy::type::matcher::v3::StringMatcher& from);
absl::StatusOr<HeaderMatch> CompileHeaderMatch(const envoy::config::route::v3::HeaderMatcher& from);
absl::StatusOr<QueryMatch> CompileQueryMatch(
    const envoy::config::route::v3::QueryParameterMatcher& from);
absl::StatusOr<RegexRewrite> CompileRegexRewrite(
    const envoy::type::matcher::v3::RegexMatchAndSubstitute& from);

Fraction CompileFraction(const envoy::type::v3::FractionalPercent& from);
// What the runtime says of its key, else its default.
Fraction CompileFraction(const envoy::config::core::v3::RuntimeFractionalPercent& from,
                         const RuntimeValues& runtime);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_MATCHERS_H_
