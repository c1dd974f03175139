// /certs: the certificates in use as JSON, in Envoy's form (envoy.admin.v3.Certificates).
#ifndef WEFT_PROXY_ADMIN_CERTIFICATES_H_
#define WEFT_PROXY_ADMIN_CERTIFICATES_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proxy/config/config_state.h"

namespace weft {

// What does not parse is left out.
std::string CertificatesJson(const std::vector<CertificatePair>& pairs, absl::Time now);

}  // namespace weft

#endif  // WEFT_PROXY_ADMIN_CERTIFICATES_H_
