#include "controlplane/translate/key_set_uris.h"

#include <algorithm>

#include "api/istio/security.pb.h"
#include "controlplane/model/jwks_uri.h"
#include "controlplane/translate/parts.h"

namespace weft {
namespace {

constexpr absl::Duration kUsualTimeout = absl::Seconds(5);  // Istio's

}  // namespace

std::string KeySetUriOf(const istio::security::v1beta1::JWTRule& rule) {
  if (!rule.jwks().empty()) return "";
  return rule.jwks_uri().empty() ? DiscoveryUriOf(rule.issuer()) : rule.jwks_uri();
}

std::map<std::string, absl::Duration> KeySetUris(const World& world) {
  std::map<std::string, absl::Duration> uris;
  for (const auto& [key, config] : world.request_authentications) {
    for (const auto& rule : config.spec->jwt_rules()) {
      const std::string uri = KeySetUriOf(rule);
      if (!ParseJwksUri(uri).ok()) continue;  // an issuer that is no URL
      absl::Duration& timeout = uris[uri];
      timeout = std::max(timeout, DurationOr(rule.timeout(), kUsualTimeout));
    }
  }
  return uris;
}

}  // namespace weft
