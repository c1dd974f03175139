// Whom a TLS connection accepts as its peer: roots, then names. Pure over certificates and time;
// immutable once built, shared by all workers.
#ifndef WEFT_PROXY_TLS_PEER_POLICY_H_
#define WEFT_PROXY_TLS_PEER_POLICY_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "certs/certificate.h"
#include "certs/spiffe_id.h"
#include "certs/trust_bundle.h"

namespace weft {

// One required subject alternative name.
struct SanMatch {
  enum class Type { kAny, kUri, kDns, kIp };
  enum class Kind { kExact, kPrefix, kSuffix };
  Type type = Type::kAny;
  Kind kind = Kind::kExact;
  std::string value;
};

// What is trusted. Set `bundles` (mesh: SPIFFE identities) or `ca_pem` (plain PKI), not both.
struct PeerTrust {
  std::shared_ptr<const certs::TrustBundles> bundles;
  std::string ca_pem;
  // At least one must match one of the peer's names; empty: any verified peer.
  std::vector<SanMatch> sans;
  // Plain PKI: a DNS name or IP address that the certificate must be for, wildcards as in RFC 6125.
  std::string verify_host;
  // Skips all checks. Has to be asked for: nothing else means "anyone".
  bool accept_anyone = false;
};

// What was proven of the peer, kept for authorization and for x-forwarded-client-cert.
struct PeerCertificate {
  std::optional<certs::SpiffeId> id;  // only where `bundles` vouched for it
  certs::SubjectAltNames names;
  std::string subject;  // RFC 2253
  std::string sha256;   // lower-case hex of the DER form
};

class PeerPolicy {
 public:
  // InvalidArgument if nothing or too much is set, or the roots do not parse.
  static absl::StatusOr<PeerPolicy> Create(PeerTrust trust, certs::PeerRole peer_role);

  // `chain` as it came over the wire, leaf first.
  absl::StatusOr<PeerCertificate> Verify(absl::Span<const certs::Certificate> chain,
                                         absl::Time now) const;

 private:
  PeerPolicy() = default;
  absl::StatusOr<std::optional<certs::SpiffeId>> VerifyTrust(
      absl::Span<const certs::Certificate> chain, absl::Time now) const;
  absl::Status VerifyNames(const certs::Certificate& leaf,
                           const certs::SubjectAltNames& names) const;

  PeerTrust trust_;
  certs::PeerRole peer_role_ = certs::PeerRole::kClient;
  std::shared_ptr<X509_STORE> roots_;  // of ca_pem
};

}  // namespace weft

#endif  // WEFT_PROXY_TLS_PEER_POLICY_H_
