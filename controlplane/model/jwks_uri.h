// Where the keys of a token issuer are fetched from, and where weftd must not be led to by what a
// user wrote into a policy: its own machine, the link, the metadata services that live there. Pure.
#ifndef WEFT_CONTROLPLANE_MODEL_JWKS_URI_H_
#define WEFT_CONTROLPLANE_MODEL_JWKS_URI_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft {

struct JwksUri {
  bool tls = true;
  std::string host;  // a name, or an IP without brackets
  uint16_t port = 443;
  std::string path;  // with its query; starts with '/'

  // What Host says: the port only where it is not the scheme's own.
  std::string authority() const;
};

// Of an http or https URL. The error says what is wrong with it, a host that is forbidden by itself
// included ("localhost", 127.0.0.1, 169.254.169.254 and their other spellings); what a name leads
// to is for IsForbiddenJwksAddress to say, once it is resolved.
absl::StatusOr<JwksUri> ParseJwksUri(absl::string_view uri);

// Where an issuer that is a URL says where its keys are (OpenID Connect Discovery 1.0, section 4):
// under this path of its own.
std::string DiscoveryUriOf(absl::string_view issuer);
// Whether what is there names the key set by `jwks_uri`, rather than being it.
bool IsDiscoveryUri(const JwksUri& uri);

// Loopback, link-local, unspecified, multicast and reserved addresses, also inside an IPv6 address
// that stands for an IPv4 one. `ip_bytes` are 4 or 16; anything else is forbidden.
bool IsForbiddenJwksAddress(absl::string_view ip_bytes);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_JWKS_URI_H_
