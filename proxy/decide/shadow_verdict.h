// ShadowVerdict: what RBAC's shadow rules say of a request, for the filters behind: what Envoy puts
// into dynamic metadata under "envoy.filters.http.rbac". So a filter can be asked of those requests
// alone that some rules select. Pure.
#ifndef WEFT_PROXY_DECIDE_SHADOW_VERDICT_H_
#define WEFT_PROXY_DECIDE_SHADOW_VERDICT_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proxy/decide/authorize.h"

namespace weft {

inline constexpr absl::string_view kRbacMetadata = "envoy.filters.http.rbac";
// Its keys, behind the stat_prefix of the rules.
inline constexpr absl::string_view kShadowPolicy = "shadow_effective_policy_id";
inline constexpr absl::string_view kShadowResult = "shadow_engine_result";

struct ShadowVerdict {
  absl::string_view prefix;  // RbacConfig::shadow_stat_prefix
  Verdict verdict;

  absl::string_view result() const { return verdict.allowed ? "allowed" : "denied"; }
};

// The value under a key; of several rules with one prefix the last counts. Nullopt: there is none.
std::optional<absl::string_view> ShadowMetadata(absl::Span<const ShadowVerdict> verdicts,
                                                absl::string_view key);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_SHADOW_VERDICT_H_
