// Chains of CA certificates as others hand them in: in any order, with or without the root.
// Pure; says nothing about time and purpose, which the verifier does (trust_bundle.h).
#ifndef WEFT_CERTS_CERTIFICATE_CHAIN_H_
#define WEFT_CERTS_CERTIFICATE_CHAIN_H_

#include <vector>

#include "absl/status/statusor.h"
#include "certs/certificate.h"

namespace weft::certs {

// Whether it may sign others: basic constraints and key usage say so.
bool IsCa(const Certificate& certificate);

// Whether `issuer` signed it; names and key identifiers have to fit as well.
bool IsSignedBy(const Certificate& certificate, const Certificate& issuer);

// `signer`, then those of `others` that lead from it to the root, then the root. Each is in it
// once. NotFound names the certificate that is missing.
absl::StatusOr<std::vector<Certificate>> ChainTo(const Certificate& root, const Certificate& signer,
                                                 std::vector<Certificate> others);

}  // namespace weft::certs

#endif  // WEFT_CERTS_CERTIFICATE_CHAIN_H_
