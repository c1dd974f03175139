#include "controlplane/own_certificate.h"

#include "absl/strings/str_join.h"
#include "certs/key.h"
#include "controlplane/federation/control_plane_id.h"

namespace weft {

absl::StatusOr<std::unique_ptr<OwnCertificate>> OwnCertificate::Create(
    std::shared_ptr<const Authority> authority, std::vector<std::string> dns_names,
    absl::Time now) {
  std::unique_ptr<OwnCertificate> made(
      new OwnCertificate(std::move(authority), std::move(dns_names)));
  absl::Status issued = made->Renew(now);
  if (!issued.ok()) return issued;
  return made;
}

TlsCertificate OwnCertificate::Get() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return certificate_;
}

absl::StatusOr<bool> OwnCertificate::RenewIfDue(absl::Time now) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (now < due_) return false;
  }
  absl::Status renewed = Renew(now);
  if (!renewed.ok()) return renewed;
  return true;
}

absl::Status OwnCertificate::Reissue(std::shared_ptr<const Authority> authority, absl::Time now) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    authority_ = std::move(authority);
  }
  return Renew(now);
}

absl::Status OwnCertificate::Renew(absl::Time now) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  std::shared_ptr<const Authority> authority;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    authority = authority_;
  }
  const certs::Issuer& issuer = authority->issuer();
  auto chain = dns_names_.empty()
                   ? issuer.Issue(key.public_key(), ControlPlaneId(issuer.trust_domain()),
                                  certs::kLeafValidity, now)
                   : issuer.IssueForNames(key.public_key(), dns_names_, certs::kLeafValidity, now);
  if (!chain.ok()) return chain.status();
  TlsCertificate certificate;
  certificate.chain_pem = absl::StrJoin(*chain, "");
  certificate.key_pem = key.ToPem();
  std::lock_guard<std::mutex> lock(mutex_);
  certificate_ = std::move(certificate);
  due_ = now + certs::kLeafValidity / 2;
  return absl::OkStatus();
}

}  // namespace weft
