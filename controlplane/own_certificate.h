// OwnCertificate: a certificate of weftd's own, from its own authority: the one it serves with and
// shows to peers, or the one that its webhooks are called by. Renewed at half its life.
// Thread-safe.
#ifndef WEFT_CONTROLPLANE_OWN_CERTIFICATE_H_
#define WEFT_CONTROLPLANE_OWN_CERTIFICATE_H_

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/ca/authority.h"
#include "proxy/tls/tls_context.h"

namespace weft {

class OwnCertificate {
 public:
  // `dns_names`: what it is for; empty: weftd's identity in the mesh.
  static absl::StatusOr<std::unique_ptr<OwnCertificate>> Create(
      std::shared_ptr<const Authority> authority, std::vector<std::string> dns_names,
      absl::Time now);

  TlsCertificate Get() const;
  // Whether a new one was made, since the old one is past half its life.
  absl::StatusOr<bool> RenewIfDue(absl::Time now);
  // A new one by another authority.
  absl::Status Reissue(std::shared_ptr<const Authority> authority, absl::Time now);

 private:
  OwnCertificate(std::shared_ptr<const Authority> authority, std::vector<std::string> dns_names)
      : dns_names_(std::move(dns_names)), authority_(std::move(authority)) {}
  absl::Status Renew(absl::Time now);

  const std::vector<std::string> dns_names_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Authority> authority_;
  TlsCertificate certificate_;
  absl::Time due_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_OWN_CERTIFICATE_H_
