#include "proxy/decide/shadow_verdict.h"

#include "absl/strings/strip.h"

namespace weft {

std::optional<absl::string_view> ShadowMetadata(absl::Span<const ShadowVerdict> verdicts,
                                                absl::string_view key) {
  std::optional<absl::string_view> value;
  for (const ShadowVerdict& one : verdicts) {
    absl::string_view rest = key;
    if (!absl::ConsumePrefix(&rest, one.prefix)) continue;
    if (rest == kShadowResult) value = one.result();
    if (rest == kShadowPolicy && one.verdict.policy != nullptr) value = one.verdict.policy->name;
  }
  return value;
}

}  // namespace weft
