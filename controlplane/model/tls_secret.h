// A Secret as TLS needs it. Pure.
//
// Read are the forms that Istio documents: kubernetes.io/tls and Opaque with `tls.crt`, `tls.key`,
// `ca.crt` and `ca.crl`, or with `cert`, `key`, `cacert` and `crl`, which count first. A Secret of
// roots alone (`NAME-cacert`) has no certificate.
#ifndef WEFT_CONTROLPLANE_MODEL_TLS_SECRET_H_
#define WEFT_CONTROLPLANE_MODEL_TLS_SECRET_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controlplane/model/world.h"

namespace weft::kubernetes {
class Secret;
}  // namespace weft::kubernetes

namespace weft {

// NotFound: it is not for TLS. Any other error names what of it is broken, and shows none of it.
absl::StatusOr<TlsSecret> TlsSecretFrom(const kubernetes::Secret& object);

// In World::secrets.
std::string SecretKey(absl::string_view namespace_, absl::string_view name);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_TLS_SECRET_H_
