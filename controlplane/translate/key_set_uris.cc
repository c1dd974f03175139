#include "controlplane/translate/key_set_uris.h"

#include <algorithm>

#include "api/istio/security.pb.h"
#include "controlplane/translate/parts.h"

namespace weft {
namespace {

constexpr absl::Duration kUsualTimeout = absl::Seconds(5);  // Istio's

}  // namespace

std::map<std::string, absl::Duration> KeySetUris(const World& world) {
  std::map<std::string, absl::Duration> uris;
  for (const auto& [key, config] : world.request_authentications) {
    for (const auto& rule : config.spec->jwt_rules()) {
      if (rule.jwks_uri().empty()) continue;
      absl::Duration& timeout = uris[rule.jwks_uri()];
      timeout = std::max(timeout, DurationOr(rule.timeout(), kUsualTimeout));
    }
  }
  return uris;
}

}  // namespace weft
