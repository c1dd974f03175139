// How names of hosts cover each other: "*.example.com" all below example.com, "*" all there are.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_HOSTS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_HOSTS_H_

#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace weft {

// Whether all that `host` stands for is covered; both may be wildcards.
inline bool Covers(absl::string_view pattern, absl::string_view host) {
  if (pattern == "*" || pattern == host) return true;
  return absl::StartsWith(pattern, "*") && absl::EndsWith(host, pattern.substr(1));
}

// What both stand for; nullopt if nothing.
inline std::optional<std::string> Intersection(absl::string_view a, absl::string_view b) {
  if (Covers(a, b)) return std::string(b);
  if (Covers(b, a)) return std::string(a);
  return std::nullopt;
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_HOSTS_H_
