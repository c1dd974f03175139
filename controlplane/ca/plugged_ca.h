// A CA that others made for us, in the form in which Istio takes one: the data of a Secret, or a
// folder of files, by these names:
//   ca-cert.pem     signs the workloads' certificates (others that follow it count as chain)
//   ca-key.pem      its key
//   root-cert.pem   the one root, which everybody trusts; it may be ca-cert.pem itself
//   cert-chain.pem  what lies between, in any order; not needed if the root signed ca-cert.pem
// or, as in a Secret of type kubernetes.io/tls, which counts first: tls.crt, tls.key and ca.crt.
//
// What is taken is sure to work: a certificate signed by it would be believed by those who trust
// its root. Errors name the file, what is wrong and the way out, and show nothing of the key. Pure.
#ifndef WEFT_CONTROLPLANE_CA_PLUGGED_CA_H_
#define WEFT_CONTROLPLANE_CA_PLUGGED_CA_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "api/yaml/document.h"
#include "certs/issuer.h"

namespace weft {

// Text by file name, or by key of the Secret's data.
using CaFiles = std::map<std::string, std::string>;

// All that is read.
inline constexpr const char* kCaFileNames[] = {
    "ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem", "tls.crt", "tls.key", "ca.crt"};

// A key of the data that is not base64 is an error.
absl::StatusOr<CaFiles> CaFilesOf(const YamlNode& secret);

absl::StatusOr<certs::Issuer> ReadPluggedCa(const CaFiles& files, absl::string_view trust_domain,
                                            absl::Time now);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CA_PLUGGED_CA_H_
