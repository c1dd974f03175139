#include "proxy/config/ext_authz_config.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace weft {

bool HeaderNames::Has(absl::string_view name) const {
  const std::string lower = absl::AsciiStrToLower(name);
  return std::any_of(matches.begin(), matches.end(),
                     [&lower](const StringMatch& match) { return match.Matches(lower); });
}

}  // namespace weft
