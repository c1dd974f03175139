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

constexpr int kFewestRsaBits = 2048;
constexpr int kMostRsaBits = 4096;

// NID_undef if the key is on no curve.
int CurveOf(const EVP_PKEY* key) {
  if (EVP_PKEY_id(key) != EVP_PKEY_EC) return NID_undef;
  return EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key)));
}

bool IsP256(const EVP_PKEY* key) { return CurveOf(key) == NID_X9_62_prime256v1; }

bool MaySign(const EVP_PKEY* key) {
  if (EVP_PKEY_id(key) != EVP_PKEY_RSA) return IsP256(key) || CurveOf(key) == NID_secp384r1;
  return EVP_PKEY_bits(key) >= kFewestRsaBits && EVP_PKEY_bits(key) <= kMostRsaBits;
}

absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> ParsePrivateKey(absl::string_view pem) {
  bssl::UniquePtr<BIO> bio = ReadBio(pem);
  bssl::UniquePtr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, RefusePassword, nullptr));
  if (key == nullptr) return CryptoError("private key (PEM)");
  return key;
}

std::string PrivateKeyPem(EVP_PKEY* key) {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return TakeText(bio.get());
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
  absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> key = ParsePrivateKey(pem);
  if (!key.ok()) return key.status();
  if (!IsP256(key->get())) return absl::InvalidArgumentError("private key: must be ECDSA P-256");
  return PrivateKey(*std::move(key));
}

PrivateKey::PrivateKey(const PrivateKey& other) : key_(bssl::UpRef(other.key_)) {}

PrivateKey& PrivateKey::operator=(PrivateKey other) {
  key_ = std::move(other.key_);
  return *this;
}

std::string PrivateKey::ToPem() const { return PrivateKeyPem(key_.get()); }

PublicKey PrivateKey::public_key() const {
  uint8_t* der = nullptr;
  const int size = i2d_PUBKEY(key_.get(), &der);
  bssl::UniquePtr<uint8_t> owned(der);
  const uint8_t* at = der;
  // The key is P-256 by construction, so this cannot fail.
  return *PublicKey::FromEvp(bssl::UniquePtr<EVP_PKEY>(d2i_PUBKEY(nullptr, &at, size)));
}

absl::StatusOr<SigningKey> SigningKey::FromPem(absl::string_view pem) {
  absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> key = ParsePrivateKey(pem);
  if (!key.ok()) return key.status();
  if (!MaySign(key->get())) {
    return absl::InvalidArgumentError(
        "private key: must be ECDSA P-256 or P-384, or RSA of 2048 to 4096 bits");
  }
  return SigningKey(*std::move(key));
}

SigningKey::SigningKey(const SigningKey& other) : key_(bssl::UpRef(other.key_)) {}

SigningKey& SigningKey::operator=(SigningKey other) {
  key_ = std::move(other.key_);
  return *this;
}

std::string SigningKey::ToPem() const { return PrivateKeyPem(key_.get()); }

}  // namespace weft::certs
