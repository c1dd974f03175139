#include "controlplane/model/problem.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace weft {
std::string ToString(const Problem& p) {
  std::string line = p.origin;
  const auto append = [&line](const std::string& part) {
    if (!part.empty()) absl::StrAppend(&line, line.empty() ? "" : ": ", part);
  };
  if (p.severity == Severity::kWarning) append("warning");
  if (p.severity == Severity::kInfo) append("info");
  if (!p.key.kind.empty()) append(ToString(p.key));
  append(p.field);
  append(p.message);
  if (!p.code.empty()) absl::StrAppend(&line, " [", p.code, "]");
  return line;
}

bool HasErrors(const std::vector<Problem>& problems) {
  return std::any_of(problems.begin(), problems.end(),
                     [](const Problem& p) { return p.severity == Severity::kError; });
}

}  // namespace weft
