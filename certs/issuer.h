// Signs workload certificates for one trust domain.
//
// An Issuer is a signing key and its own chain up to a self-signed root: a root, or an intermediate
// that a root made; our own, or one that others made for us. Immutable after construction, any
// thread.
#ifndef WEFT_CERTS_ISSUER_H_
#define WEFT_CERTS_ISSUER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certs/certificate.h"
#include "certs/key.h"
#include "certs/spiffe_id.h"

namespace weft::certs {

// Clocks of two clusters differ; a certificate issued by the faster one must work at once in the
// slower one.
inline constexpr absl::Duration kBackdate = absl::Minutes(5);
inline constexpr absl::Duration kLeafValidity = absl::Hours(24);
inline constexpr absl::Duration kRootValidity = absl::Hours(24 * 3650);
inline constexpr absl::Duration kIntermediateValidity = absl::Hours(24 * 365);

class Issuer {
 public:
  // A new key and a root certificate of its own, valid ten years.
  static absl::StatusOr<Issuer> CreateRoot(absl::string_view trust_domain, absl::Time now);

  // `chain_pem`: the signing certificate first, the self-signed root last. Checks that the key
  // belongs to the first, that it is a CA, and that the root names a trust domain.
  static absl::StatusOr<Issuer> FromPem(absl::string_view chain_pem, absl::string_view key_pem);
  // The same of a CA that others made, whose root names no trust domain.
  static absl::StatusOr<Issuer> FromPem(absl::string_view chain_pem, absl::string_view key_pem,
                                        absl::string_view trust_domain);

  // One that this one vouches for, with a new key, for leaves alone; valid a year, and no longer
  // than this one is. FailedPrecondition if this one has expired, or may not vouch for others.
  absl::StatusOr<Issuer> CreateIntermediate(absl::Time now) const;

  // A leaf for `id` on `key`, then the intermediates up to but without the root; PEM each.
  // Backdated by kBackdate, ends at now + validity but never after the issuer's own chain.
  // PermissionDenied for an id of another trust domain; FailedPrecondition if the issuer has
  // expired.
  absl::StatusOr<std::vector<std::string>> Issue(const PublicKey& key, const SpiffeId& id,
                                                 absl::Duration validity, absl::Time now) const;
  // The same for a TLS server that is known by DNS names. It has no SPIFFE id, so nobody in the
  // mesh takes it for a workload, and it is no client's.
  absl::StatusOr<std::vector<std::string>> IssueForNames(const PublicKey& key,
                                                         const std::vector<std::string>& dns_names,
                                                         absl::Duration validity,
                                                         absl::Time now) const;

  // The PEM revocation list (RFC 5280, section 5) that takes back what this one signed, by their
  // serial numbers. Whoever trusts this issuer's root reads it beside the root
  // (certs/trust_bundle.h).
  absl::StatusOr<std::string> Revoke(const std::vector<Certificate>& revoked, absl::Time now) const;

  const std::string& trust_domain() const { return trust_domain_; }
  const Certificate& signer() const { return chain_.front(); }
  const Certificate& root() const { return chain_.back(); }
  // Of the first of its chain to end, and with it of all that it signs.
  absl::Time End() const;
  std::string ChainPem() const;
  std::string KeyPem() const { return key_.ToPem(); }

 private:
  Issuer(std::string trust_domain, std::vector<Certificate> chain, SigningKey key);
  absl::StatusOr<std::vector<std::string>> Sign(const PublicKey& key, const char* usage,
                                                bssl::UniquePtr<X509_EXTENSION> names,
                                                absl::Duration validity, absl::Time now) const;

  std::string trust_domain_;
  std::vector<Certificate> chain_;  // signing certificate first, root last; never empty
  SigningKey key_;
};

}  // namespace weft::certs

#endif  // WEFT_CERTS_ISSUER_H_
