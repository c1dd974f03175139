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

namespace re2 {
class RE2;
}

namespace weft {

using re2::RE2;

// One required subject alternative name.
struct SanMatch {
  enum class Type { kAny, kUri, kDns, kIp };
  enum class Kind { kExact, kPrefix, kSuffix, kContains, kRegex };
  Type type = Type::kAny;
  Kind kind = Kind::kExact;  // of a DNS name, wildcards in the certificate count (RFC 6125)
  std::string value;
  bool ignore_case = false;          // not with kRegex
  std::shared_ptr<const RE2> regex;  // kRegex: must match the whole name
};

// What is trusted. Set `bundles` (mesh: SPIFFE identities) or `ca_pem` (plain PKI), not both.
struct PeerTrust {
  std::shared_ptr<const certs::TrustBundles> bundles;
  std::string ca_pem;
  // At least one must match one of the peer's names; empty: any verified peer.
  std::vector<SanMatch> sans;
  // Plain PKI: a DNS name or IP address that the certificate must be for, wildcards as in RFC 6125.
  std::string verify_host;
  // The leaf must be one of these, if there are any: lower-case hex of the SHA-256 of the
  // certificate, or base64 of that of its public key. Pins alone, without roots, are enough.
  std::vector<std::string> certificate_hashes;
  std::vector<std::string> key_hashes;
  // Plain PKI: revocation lists; then each certificate of a chain (or the leaf alone) needs one.
  std::string crl_pem;
  bool crl_of_leaf_only = false;
  // Skips all checks. Has to be asked for: nothing else means "anyone".
  bool accept_anyone = false;
};

// What was proven of the peer, kept for authorization and for x-forwarded-client-cert.
struct PeerCertificate {
  std::optional<certs::SpiffeId> id;  // only where `bundles` vouched for it
  certs::SubjectAltNames names;
  std::string subject;        // RFC 2253
  std::string sha256;         // lower-case hex of the DER form
  std::string issuer_key_id;  // as it is; empty if the certificate states none
};

class PeerPolicy {
 public:
  // InvalidArgument if nothing or too much is set, or the roots do not parse.
  static absl::StatusOr<PeerPolicy> Create(PeerTrust trust, certs::PeerRole peer_role);

  // `chain` as it came over the wire, leaf first. `host`: a name that the certificate must be for
  // beside all else, or "".
  absl::StatusOr<PeerCertificate> Verify(absl::Span<const certs::Certificate> chain, absl::Time now,
                                         absl::string_view host = "") const;

  // Stands for all that is asked of a peer: equal policies accept the same peers.
  const std::string& digest() const { return digest_; }

 private:
  PeerPolicy() = default;
  absl::StatusOr<std::optional<certs::SpiffeId>> VerifyTrust(
      absl::Span<const certs::Certificate> chain, absl::Time now) const;
  absl::Status VerifyNames(const certs::Certificate& leaf, const certs::SubjectAltNames& names,
                           absl::string_view host) const;
  absl::Status VerifyPins(const certs::Certificate& leaf) const;
  std::string MakeDigest() const;

  PeerTrust trust_;
  certs::PeerRole peer_role_ = certs::PeerRole::kClient;
  std::shared_ptr<X509_STORE> roots_;  // of ca_pem
  std::string digest_;
};

}  // namespace weft

#endif  // WEFT_PROXY_TLS_PEER_POLICY_H_
