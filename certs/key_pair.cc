#include "certs/key_pair.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "certs/certificate.h"
#include "certs/crypto_error.h"
#include "certs/pem.h"

namespace weft::certs {

absl::Status CheckKeyPair(absl::string_view chain_pem, absl::string_view key_pem) {
  absl::StatusOr<std::vector<Certificate>> chain = ParseCertificates(chain_pem);
  if (!chain.ok()) return chain.status();
  bssl::UniquePtr<BIO> bio = ReadBio(key_pem);
  const bssl::UniquePtr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, RefusePassword, nullptr));
  if (key == nullptr) return CryptoError("private key (PEM, not encrypted)");
  if (X509_check_private_key(chain->front().x509(), key.get()) != 1) {
    TakeCryptoReason();
    return absl::InvalidArgumentError("the private key is not the certificate's");
  }
  return absl::OkStatus();
}

}  // namespace weft::certs
