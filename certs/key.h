// Keys of workloads and issuers: ECDSA P-256 throughout, which every TLS stack verifies fast and
// which leaves no size to negotiate; but for those of CAs that others made (SigningKey). Cheap to
// copy (a counted reference), immutable, any thread.
#ifndef WEFT_CERTS_KEY_H_
#define WEFT_CERTS_KEY_H_

#include <openssl/evp.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft::certs {

// A verified P-256 public key; also how a CSR's key reaches the issuer.
class PublicKey {
 public:
  // Refuses anything but P-256: a giant RSA key would cost the verifier whatever its sender likes.
  static absl::StatusOr<PublicKey> FromEvp(bssl::UniquePtr<EVP_PKEY> key);

  PublicKey(const PublicKey& other);
  PublicKey& operator=(PublicKey other);

  EVP_PKEY* evp() const { return key_.get(); }

 private:
  explicit PublicKey(bssl::UniquePtr<EVP_PKEY> key) : key_(std::move(key)) {}

  bssl::UniquePtr<EVP_PKEY> key_;
};

class PrivateKey {
 public:
  static PrivateKey Generate();

  // One unencrypted PEM block, PKCS#8 or SEC 1; P-256 only.
  static absl::StatusOr<PrivateKey> FromPem(absl::string_view pem);

  PrivateKey(const PrivateKey& other);
  PrivateKey& operator=(PrivateKey other);

  // PKCS#8 PEM. The caller keeps it secret: files 0600, never logged.
  std::string ToPem() const;

  PublicKey public_key() const;
  EVP_PKEY* evp() const { return key_.get(); }

 private:
  explicit PrivateKey(bssl::UniquePtr<EVP_PKEY> key) : key_(std::move(key)) {}

  bssl::UniquePtr<EVP_PKEY> key_;
};

// What a CA signs certificates with: a key of ours, or one that others chose.
class SigningKey {
 public:
  explicit SigningKey(PrivateKey key) : key_(bssl::UpRef(key.evp())) {}

  // As PrivateKey::FromPem, and also PKCS#1: ECDSA P-256 or P-384, or RSA of 2048 to 4096 bits,
  // beyond which a signature costs more than 10 ms.
  static absl::StatusOr<SigningKey> FromPem(absl::string_view pem);

  SigningKey(const SigningKey& other);
  SigningKey& operator=(SigningKey other);

  // As PrivateKey::ToPem.
  std::string ToPem() const;

  EVP_PKEY* evp() const { return key_.get(); }

 private:
  explicit SigningKey(bssl::UniquePtr<EVP_PKEY> key) : key_(std::move(key)) {}

  bssl::UniquePtr<EVP_PKEY> key_;
};

}  // namespace weft::certs

#endif  // WEFT_CERTS_KEY_H_
