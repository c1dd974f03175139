#include "certs/certificate_chain.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace weft::certs {

bool IsCa(const Certificate& certificate) { return X509_check_ca(certificate.x509()) == 1; }

bool IsSignedBy(const Certificate& certificate, const Certificate& issuer) {
  if (X509_check_issued(issuer.x509(), certificate.x509()) != X509_V_OK) return false;
  bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(issuer.x509()));
  const bool verified = key != nullptr && X509_verify(certificate.x509(), key.get()) == 1;
  ERR_clear_error();
  return verified;
}

absl::StatusOr<std::vector<Certificate>> ChainTo(const Certificate& root, const Certificate& signer,
                                                 std::vector<Certificate> others) {
  std::vector<Certificate> chain = {signer};
  while (X509_cmp(chain.back().x509(), root.x509()) != 0) {
    const Certificate& last = chain.back();
    if (IsSignedBy(last, root)) {
      chain.push_back(root);
      continue;
    }
    const auto next = std::find_if(others.begin(), others.end(), [&](const Certificate& other) {
      return X509_cmp(other.x509(), last.x509()) != 0 && IsSignedBy(last, other);
    });
    if (next == others.end()) {
      return absl::NotFoundError(absl::StrCat("no certificate of the \"", IssuerOf(last.x509()),
                                              "\" that signed \"", SubjectOf(last.x509()), "\""));
    }
    // Taken out, so that two which signed each other end.
    const Certificate found = *next;
    others.erase(next);
    chain.push_back(found);
  }
  return chain;
}

}  // namespace weft::certs
