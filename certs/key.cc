#include "certs/key.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>

#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "certs/crypto_error.h"
#include "certs/pem.h"

namespace weft::certs {
namespace {

bool IsP256(const EVP_PKEY* key) {
  if (EVP_PKEY_id(key) != EVP_PKEY_EC) return false;
  const EC_KEY* ec = EVP_PKEY_get0_EC_KEY(key);
  return EC_GROUP_get_curve_name(EC_KEY_get0_group(ec)) == NID_X9_62_prime256v1;
}

}  // namespace

absl::StatusOr<PublicKey> PublicKey::FromEvp(bssl::UniquePtr<EVP_PKEY> key) {
  if (key == nullptr) return CryptoError("public key");
  if (!IsP256(key.get())) return absl::InvalidArgumentError("public key: must be ECDSA P-256");
  return PublicKey(std::move(key));
}

PublicKey::PublicKey(const PublicKey& other) : key_(bssl::UpRef(other.key_)) {}

PublicKey& PublicKey::operator=(PublicKey other) {
  key_ = std::move(other.key_);
  return *this;
}

PrivateKey PrivateKey::Generate() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  // Fails only without memory or randomness; neither leaves anything sensible to do.
  if (!ec || !key || !EC_KEY_generate_key(ec.get()) || !EVP_PKEY_set1_EC_KEY(key.get(), ec.get())) {
    std::abort();
  }
  return PrivateKey(std::move(key));
}

absl::StatusOr<PrivateKey> PrivateKey::FromPem(absl::string_view pem) {
  bssl::UniquePtr<BIO> bio = ReadBio(pem);
  bssl::UniquePtr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, RefusePassword, nullptr));
  if (key == nullptr) return CryptoError("private key (PEM)");
  if (!IsP256(key.get())) return absl::InvalidArgumentError("private key: must be ECDSA P-256");
  return PrivateKey(std::move(key));
}

PrivateKey::PrivateKey(const PrivateKey& other) : key_(bssl::UpRef(other.key_)) {}

PrivateKey& PrivateKey::operator=(PrivateKey other) {
  key_ = std::move(other.key_);
  return *this;
}

std::string PrivateKey::ToPem() const {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return TakeText(bio.get());
}

PublicKey PrivateKey::public_key() const {
  uint8_t* der = nullptr;
  const int size = i2d_PUBKEY(key_.get(), &der);
  bssl::UniquePtr<uint8_t> owned(der);
  const uint8_t* at = der;
  // The key is P-256 by construction, so this cannot fail.
  return *PublicKey::FromEvp(bssl::UniquePtr<EVP_PKEY>(d2i_PUBKEY(nullptr, &at, size)));
}

}  // namespace weft::certs
