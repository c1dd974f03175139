// The certificate authority of one cluster: which certificate a caller may have, and the key it
// signs with. Decisions are pure over bytes and an explicit time; LoadOrCreateRoot is the edge to
// disk. Authority is immutable, any thread.
#ifndef WEFT_CONTROLPLANE_CA_AUTHORITY_H_
#define WEFT_CONTROLPLANE_CA_AUTHORITY_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certs/issuer.h"

namespace weft {

// Who asks for a certificate, as its token proved (ca/authenticator.h).
struct Caller {
  std::string namespace_;
  std::string service_account;
  std::string pod;  // for messages; empty if the token names none

  friend bool operator==(const Caller&, const Caller&) = default;
};

class Authority {
 public:
  explicit Authority(certs::Issuer issuer);

  // The chain for the key in `csr_pem`: leaf first, then intermediates, the root last. The CSR must
  // ask for exactly the identity of `caller`. `validity` is capped at 24 hours, which is also what
  // zero or less means. PermissionDenied: another's name; InvalidArgument: bad CSR.
  absl::StatusOr<std::vector<std::string>> CreateCertificate(const Caller& caller,
                                                             absl::string_view csr_pem,
                                                             absl::Duration validity,
                                                             absl::Time now) const;

  const certs::Issuer& issuer() const { return issuer_; }

 private:
  certs::Issuer issuer_;
};

// FailedPrecondition if the root cannot be this trust domain's now: it is another's, or expired.
absl::Status CheckRoot(const certs::Issuer& root, absl::string_view trust_domain, absl::Time now);

// The root kept in `folder` as root-cert.pem and root-key.pem (0600), made on the first start.
// A crash in between leaves either nothing usable (and the next start begins anew) or both files.
// An error, never a new root, if what is there does not parse, has expired, or names another trust
// domain: replacing a root cuts every workload off.
absl::StatusOr<certs::Issuer> LoadOrCreateRoot(const std::string& folder,
                                               absl::string_view trust_domain, absl::Time now);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CA_AUTHORITY_H_
