#include "controlplane/ca/authority.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "certs/csr.h"
#include "certs/file.h"

namespace weft {
namespace {

absl::Duration Capped(absl::Duration validity) {
  if (validity <= absl::ZeroDuration()) return certs::kLeafValidity;
  return std::min(validity, certs::kLeafValidity);
}

absl::Status InFolder(const std::string& folder, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("CA root in ", folder, ": ", status.message()));
}

// The key goes first: a certificate on disk then always has its key, and a key without a
// certificate has signed nothing that anyone saw.
absl::Status Save(const certs::Issuer& root, const std::string& cert_path,
                  const std::string& key_path) {
  absl::Status status = certs::WriteFileAtomically(key_path, root.KeyPem(), 0600);
  if (!status.ok()) return status;
  return certs::WriteFileAtomically(cert_path, root.ChainPem(), 0644);
}

}  // namespace

Authority::Authority(certs::Issuer issuer) : issuer_(std::move(issuer)) {}

absl::StatusOr<std::vector<std::string>> Authority::CreateCertificate(const Caller& caller,
                                                                      absl::string_view csr_pem,
                                                                      absl::Duration validity,
                                                                      absl::Time now) const {
  absl::StatusOr<certs::SigningRequest> request = certs::ParseCsr(csr_pem);
  if (!request.ok()) return request.status();
  certs::SpiffeId allowed;
  allowed.trust_domain = issuer_.trust_domain();
  allowed.namespace_ = caller.namespace_;
  allowed.service_account = caller.service_account;
  if (request->id != allowed) {
    return absl::PermissionDeniedError(
        absl::StrCat("CSR asks for ", request->id.ToString(), ", the token",
                     caller.pod.empty() ? "" : absl::StrCat(" of pod ", caller.pod), " is for ",
                     allowed.ToString()));
  }
  absl::StatusOr<std::vector<std::string>> chain =
      issuer_.Issue(request->key, request->id, Capped(validity), now);
  if (chain.ok()) chain->push_back(issuer_.root().ToPem());
  return chain;
}

absl::Status CheckRoot(const certs::Issuer& root, absl::string_view trust_domain, absl::Time now) {
  if (root.trust_domain() != trust_domain) {
    return absl::FailedPreconditionError(absl::StrCat("is for trust domain ", root.trust_domain(),
                                                      ", not ", trust_domain,
                                                      "; use that name or another data directory"));
  }
  if (certs::NotAfter(root.root().x509()) <= now) {
    return absl::FailedPreconditionError("has expired; move it away to have a new one made");
  }
  return absl::OkStatus();
}

absl::StatusOr<certs::Issuer> LoadOrCreateRoot(const std::string& folder,
                                               absl::string_view trust_domain, absl::Time now) {
  const std::string cert_path = absl::StrCat(folder, "/root-cert.pem");
  const std::string key_path = absl::StrCat(folder, "/root-key.pem");
  absl::StatusOr<std::string> cert = certs::ReadFile(cert_path);
  if (absl::IsNotFound(cert.status())) {
    absl::StatusOr<certs::Issuer> root = certs::Issuer::CreateRoot(trust_domain, now);
    if (!root.ok()) return InFolder(folder, root.status());
    if (absl::Status saved = Save(*root, cert_path, key_path); !saved.ok()) {
      return InFolder(folder, saved);
    }
    return root;
  }
  if (!cert.ok()) return InFolder(folder, cert.status());
  absl::StatusOr<std::string> key = certs::ReadFile(key_path);
  if (!key.ok()) return InFolder(folder, key.status());
  absl::StatusOr<certs::Issuer> root = certs::Issuer::FromPem(*cert, *key);
  if (!root.ok()) return InFolder(folder, root.status());
  if (absl::Status ours = CheckRoot(*root, trust_domain, now); !ours.ok()) {
    return InFolder(folder, ours);
  }
  return root;
}

}  // namespace weft
