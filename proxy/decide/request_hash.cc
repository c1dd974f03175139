#include "proxy/decide/request_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
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

std::string CookieToSet(const HashPolicy& policy, absl::string_view value) {
  std::string cookie = absl::StrCat(policy.name, "=\"", value, "\"");
  if (*policy.cookie_ttl > absl::ZeroDuration()) {
    absl::StrAppend(&cookie, "; Max-Age=", absl::ToInt64Seconds(*policy.cookie_ttl));
  }
  if (!policy.cookie_path.empty()) absl::StrAppend(&cookie, "; Path=", policy.cookie_path);
  absl::StrAppend(&cookie, "; HttpOnly", policy.cookie_attributes);
  return cookie;
}

std::optional<std::string> Subject(const HashPolicy& policy, const RequestHead& head,
                                   absl::string_view client_ip, uint64_t random,
                                   std::string* set_cookie) {
  const auto text = [](std::optional<absl::string_view> value) {
    return value.has_value() ? std::optional<std::string>(*value) : std::nullopt;
  };
  switch (policy.source) {
    case HashPolicy::Source::kHeader: {
      std::optional<std::string> value = text(head.headers.Get(policy.name));
      if (value.has_value() && policy.regex_rewrite) *value = policy.regex_rewrite->Apply(*value);
      return value;
    }
    case HashPolicy::Source::kCookie: {
      std::optional<std::string> value = text(Cookie(head.headers, policy.name));
      if (value.has_value() || !policy.cookie_ttl.has_value() || set_cookie == nullptr) {
        // As it is sent back: without the quotes.
        if (value.has_value() && value->size() >= 2 && value->front() == '"') {
          *value = value->substr(1, value->size() - 2);
        }
        return value;
      }
      value = absl::StrCat(absl::Hex(random, absl::kZeroPad16));
      *set_cookie = CookieToSet(policy, *value);
      return value;
    }
    case HashPolicy::Source::kQueryParameter:
      return text(QueryParameter(Split(head.path).query, policy.name));
    case HashPolicy::Source::kSourceIp:
      return std::string(client_ip);
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> RequestHash(absl::Span<const HashPolicy> policies, const RequestHead& head,
                                    absl::string_view client_ip, uint64_t random,
                                    std::string* set_cookie) {
  std::optional<uint64_t> hash;
  for (const HashPolicy& policy : policies) {
    const std::optional<std::string> subject = Subject(policy, head, client_ip, random, set_cookie);
    if (!subject.has_value()) continue;
    // Each policy's hash seeds the next one's, so their order matters and none is lost.
    hash = XXH64(subject->data(), subject->size(), hash.value_or(0));
    if (policy.terminal) break;
  }
  return hash;
}

}  // namespace weft
