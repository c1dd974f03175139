#include "proxy/decide/request_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "proxy/decide/request_path.h"

namespace weft {
namespace {

std::optional<absl::string_view> Cookie(const Headers& headers, absl::string_view name) {
  for (absl::string_view line : headers.GetAll("cookie")) {
    for (absl::string_view pair : absl::StrSplit(line, ';')) {
      const std::pair<absl::string_view, absl::string_view> cookie =
          absl::StrSplit(pair, absl::MaxSplits('=', 1));
      if (absl::StripAsciiWhitespace(cookie.first) == name) {
        return absl::StripAsciiWhitespace(cookie.second);
      }
    }
  }
  return std::nullopt;
}

std::optional<absl::string_view> Subject(const HashPolicy& policy, const RequestHead& head,
                                         absl::string_view client_ip) {
  switch (policy.source) {
    case HashPolicy::Source::kHeader:
      return head.headers.Get(policy.name);
    case HashPolicy::Source::kCookie:
      return Cookie(head.headers, policy.name);
    case HashPolicy::Source::kQueryParameter:
      return QueryParameter(Split(head.path).query, policy.name);
    case HashPolicy::Source::kSourceIp:
      return client_ip;
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> RequestHash(absl::Span<const HashPolicy> policies, const RequestHead& head,
                                    absl::string_view client_ip) {
  std::optional<uint64_t> hash;
  for (const HashPolicy& policy : policies) {
    const std::optional<absl::string_view> subject = Subject(policy, head, client_ip);
    if (!subject.has_value()) continue;
    // Each policy's hash seeds the next one's, so their order matters and none is lost.
    hash = XXH64(subject->data(), subject->size(), hash.value_or(0));
    if (policy.terminal) break;
  }
  return hash;
}

}  // namespace weft
