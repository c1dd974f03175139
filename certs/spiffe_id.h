// The name of a workload: spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT.
//
// Everything that authorizes compares SpiffeIds, so a text has exactly one reading: Parse refuses
// whatever ToString would not print back byte for byte (no escapes, no case folding, no extra
// slashes). Immutable value, any thread.
#ifndef WEFT_CERTS_SPIFFE_ID_H_
#define WEFT_CERTS_SPIFFE_ID_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft::certs {

struct SpiffeId {
  std::string trust_domain;
  std::string namespace_;
  std::string service_account;

  // InvalidArgument, with the text escaped, unless `uri` is of the form above.
  static absl::StatusOr<SpiffeId> Parse(absl::string_view uri);

  std::string ToString() const;

  friend bool operator==(const SpiffeId&, const SpiffeId&) = default;
};

// The URI that a root certificate carries: spiffe://TRUST-DOMAIN.
std::string TrustDomainUri(absl::string_view trust_domain);

// Lower-case letters, digits, dots, dashes, underscores; at most 255 (SPIFFE-ID section 2.1).
absl::Status CheckTrustDomain(absl::string_view trust_domain);

}  // namespace weft::certs

#endif  // WEFT_CERTS_SPIFFE_ID_H_
