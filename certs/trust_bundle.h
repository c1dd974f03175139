// Who may vouch for whom: per trust domain, the roots that sign its identities.
//
// Bundles of different domains are never merged: a peer's chain is verified against the roots of
// the one domain that its own URI SAN names, so domain A's root cannot vouch for an identity in
// domain B. Immutable once built and shared by pointer; rotation builds another. Any thread.
#ifndef WEFT_CERTS_TRUST_BUNDLE_H_
#define WEFT_CERTS_TRUST_BUNDLE_H_

#include <openssl/x509.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "certs/certificate.h"
#include "certs/spiffe_id.h"

namespace weft::certs {

class TrustBundles {
 public:
  TrustBundles() = default;
  TrustBundles(TrustBundles&&) = default;
  TrustBundles& operator=(TrustBundles&&) = default;

  // Sets the roots of `trust_domain`, replacing earlier ones. `roots_pem` holds one or more CA
  // certificates (two during a rollover), and maybe revocation lists that roots among them signed:
  // what is on one of these vouches for nobody. A list that none of them signed is an error.
  absl::Status Set(absl::string_view trust_domain, absl::string_view roots_pem);

  std::vector<std::string> TrustDomains() const;

  // The roots of a domain; empty if it is not known. Valid as long as this object.
  absl::Span<const Certificate> RootsOf(absl::string_view trust_domain) const;

  // What Set() was given; empty if the domain is not known.
  std::string PemOf(absl::string_view trust_domain) const;

  // Null if the domain is not known. Borrowed, valid as long as this object.
  X509_STORE* StoreOf(absl::string_view trust_domain) const;

  // Whether a list of its domain has taken the certificate back.
  bool Revoked(absl::string_view trust_domain, X509* certificate) const;

 private:
  struct Bundle {
    std::string pem;
    std::vector<Certificate> roots;
    std::vector<bssl::UniquePtr<X509_CRL>> revocations;
    bssl::UniquePtr<X509_STORE> store;
  };
  std::map<std::string, Bundle, std::less<>> bundles_;
};

// What the peer acts as in this connection; its certificate must allow it.
enum class PeerRole { kServer, kClient };

// The peer's identity, if `chain` (leaf first, as it came over the wire) proves it at `now`.
// Unauthenticated otherwise, saying which of these it was: no or several URI SANs, not a SPIFFE ID,
// NUL in a name, a CA certificate as leaf, not yet valid, expired, unknown trust domain, not signed
// by that domain's roots, wrong extended key usage, revoked.
absl::StatusOr<SpiffeId> VerifyPeer(absl::Span<const Certificate> chain,
                                    const TrustBundles& bundles, absl::Time now, PeerRole role);

// The path building under VerifyPeer, for chains that name hosts instead of SPIFFE IDs: `chain`
// must lead to one of `roots` at `now`. Says nothing about names.
absl::Status VerifyChain(absl::Span<const Certificate> chain, X509_STORE* roots, absl::Time now,
                         PeerRole role);

// A store for VerifyChain from PEM roots.
absl::StatusOr<bssl::UniquePtr<X509_STORE>> MakeStore(absl::Span<const Certificate> roots);

}  // namespace weft::certs

#endif  // WEFT_CERTS_TRUST_BUNDLE_H_
