// OwnCertificate: weftd's own certificate, from its own authority: what it serves with, and what it
// shows to peers. Renewed at half its life. Thread-safe.
#ifndef WEFT_CONTROLPLANE_OWN_CERTIFICATE_H_
#define WEFT_CONTROLPLANE_OWN_CERTIFICATE_H_

#include <memory>
#include <mutex>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/ca/authority.h"
#include "proxy/tls/tls_context.h"

namespace weft {

class OwnCertificate {
 public:
  static absl::StatusOr<std::unique_ptr<OwnCertificate>> Create(
      std::shared_ptr<const Authority> authority, absl::Time now);

  TlsCertificate Get() const;
  // Whether a new one was made, since the old one is past half its life.
  absl::StatusOr<bool> RenewIfDue(absl::Time now);

 private:
  explicit OwnCertificate(std::shared_ptr<const Authority> authority)
      : authority_(std::move(authority)) {}
  absl::Status Renew(absl::Time now);

  const std::shared_ptr<const Authority> authority_;
  mutable std::mutex mutex_;
  TlsCertificate certificate_;
  absl::Time due_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_OWN_CERTIFICATE_H_
