#include "certs/test_jwt.h"

#include <openssl/bn.h>
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/nid.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "certs/jose.h"

namespace weft::certs {
namespace {

constexpr int kRsaBits = 2048;
constexpr size_t kSecretBytes = 64;

void Require(bool ok) {
  if (!ok) std::abort();
}

const uint8_t* Bytes(absl::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

int CurveOf(const std::string& algorithm) {
  if (algorithm == "ES384") return NID_secp384r1;
  if (algorithm == "ES512") return NID_secp521r1;
  return NID_X9_62_prime256v1;
}

bssl::UniquePtr<EVP_PKEY> MakeRsa() {
  bssl::UniquePtr<RSA> rsa(RSA_new());
  bssl::UniquePtr<BIGNUM> exponent(BN_new());
  Require(BN_set_word(exponent.get(), RSA_F4));
  Require(RSA_generate_key_ex(rsa.get(), kRsaBits, exponent.get(), nullptr));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  Require(EVP_PKEY_set1_RSA(key.get(), rsa.get()));
  return key;
}

bssl::UniquePtr<EVP_PKEY> MakeEc(int curve) {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(curve));
  Require(EC_KEY_generate_key(ec.get()));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  Require(EVP_PKEY_set1_EC_KEY(key.get(), ec.get()));
  return key;
}

bssl::UniquePtr<EVP_PKEY> MakeEd25519() {
  uint8_t seed[32];
  RAND_bytes(seed, sizeof(seed));
  return bssl::UniquePtr<EVP_PKEY>(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed, sizeof(seed)));
}

std::string Number(const BIGNUM* number, size_t size) {
  std::string bytes(size, '\0');
  Require(BN_bn2bin_padded(reinterpret_cast<uint8_t*>(bytes.data()), size, number));
  return bytes;
}

const EVP_MD* DigestOf(const std::string& algorithm) {
  if (absl::EndsWith(algorithm, "384")) return EVP_sha384();
  if (absl::EndsWith(algorithm, "512")) return EVP_sha512();
  return algorithm == "EdDSA" ? nullptr : EVP_sha256();
}

size_t CoordinateBytes(const EC_KEY* key) {
  return (EC_GROUP_get_degree(EC_KEY_get0_group(key)) + 7) / 8;
}

// ECDSA's DER form into the two numbers that JWS wants.
std::string RawEcdsa(const EC_KEY* key, absl::string_view der) {
  bssl::UniquePtr<ECDSA_SIG> signature(ECDSA_SIG_from_bytes(Bytes(der), der.size()));
  Require(signature != nullptr);
  const size_t size = CoordinateBytes(key);
  return Number(ECDSA_SIG_get0_r(signature.get()), size) +
         Number(ECDSA_SIG_get0_s(signature.get()), size);
}

std::string RsaMembers(const EVP_PKEY* key) {
  const RSA* rsa = EVP_PKEY_get0_RSA(key);
  return absl::StrCat(R"("kty":"RSA","n":")",
                      EncodeBase64Url(Number(RSA_get0_n(rsa), RSA_size(rsa))), R"(","e":")",
                      EncodeBase64Url(Number(RSA_get0_e(rsa), 3)), "\"");
}

std::string EcMembers(const EVP_PKEY* key, const std::string& algorithm) {
  const EC_KEY* ec = EVP_PKEY_get0_EC_KEY(key);
  bssl::UniquePtr<BIGNUM> x(BN_new()), y(BN_new());
  Require(EC_POINT_get_affine_coordinates_GFp(EC_KEY_get0_group(ec), EC_KEY_get0_public_key(ec),
                                              x.get(), y.get(), nullptr));
  const char* curve = algorithm == "ES384" ? "P-384" : algorithm == "ES512" ? "P-521" : "P-256";
  const size_t size = CoordinateBytes(ec);
  return absl::StrCat(R"("kty":"EC","crv":")", curve, R"(","x":")",
                      EncodeBase64Url(Number(x.get(), size)), R"(","y":")",
                      EncodeBase64Url(Number(y.get(), size)), "\"");
}

std::string Ed25519Members(const EVP_PKEY* key) {
  std::string bytes(32, '\0');
  size_t size = bytes.size();
  Require(EVP_PKEY_get_raw_public_key(key, reinterpret_cast<uint8_t*>(bytes.data()), &size));
  return absl::StrCat(R"("kty":"OKP","crv":"Ed25519","x":")", EncodeBase64Url(bytes), "\"");
}

}  // namespace

TestJwtKey::TestJwtKey(const std::string& algorithm) : algorithm_(algorithm) {
  if (algorithm[0] == 'H') {
    secret_.resize(kSecretBytes);
    RAND_bytes(reinterpret_cast<uint8_t*>(secret_.data()), secret_.size());
  } else if (algorithm == "EdDSA") {
    key_ = MakeEd25519();
  } else {
    key_ = algorithm[0] == 'E' ? MakeEc(CurveOf(algorithm)) : MakeRsa();
  }
}

std::string TestJwtKey::Jwk(const std::string& more) const {
  std::string members;
  if (algorithm_[0] == 'H') {
    members = absl::StrCat(R"("kty":"oct","k":")", EncodeBase64Url(secret_), "\"");
  } else if (algorithm_ == "EdDSA") {
    members = Ed25519Members(key_.get());
  } else {
    members = algorithm_[0] == 'E' ? EcMembers(key_.get(), algorithm_) : RsaMembers(key_.get());
  }
  return absl::StrCat("{", members, more.empty() ? "" : ",", more, "}");
}

std::string TestJwtKey::KeySet(const std::string& more) const {
  return absl::StrCat(R"({"keys":[)", Jwk(more), "]}");
}

std::string TestJwtKey::Sign(absl::string_view text) const {
  if (!secret_.empty()) {
    std::string mac(EVP_MAX_MD_SIZE, '\0');
    unsigned size = 0;
    HMAC(DigestOf(algorithm_), secret_.data(), secret_.size(), Bytes(text), text.size(),
         reinterpret_cast<uint8_t*>(mac.data()), &size);
    return mac.substr(0, size);
  }
  bssl::ScopedEVP_MD_CTX context;
  EVP_PKEY_CTX* parameters = nullptr;
  Require(
      EVP_DigestSignInit(context.get(), &parameters, DigestOf(algorithm_), nullptr, key_.get()));
  if (algorithm_[0] == 'P') {
    Require(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING));
    Require(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, -1));
  }
  std::string signature(1024, '\0');
  size_t size = signature.size();
  Require(EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size,
                         Bytes(text), text.size()));
  signature.resize(size);
  const bool ecdsa = absl::StartsWith(algorithm_, "ES");
  return ecdsa ? RawEcdsa(EVP_PKEY_get0_EC_KEY(key_.get()), signature) : signature;
}

std::string TestJwtKey::Token(const std::string& payload, const std::string& more) const {
  return TokenWithHeader(
      absl::StrCat(R"({"alg":")", algorithm_, "\"", more.empty() ? "" : ",", more, "}"), payload);
}

std::string TestJwtKey::TokenWithHeader(const std::string& header,
                                        const std::string& payload) const {
  const std::string text = absl::StrCat(EncodeBase64Url(header), ".", EncodeBase64Url(payload));
  return absl::StrCat(text, ".", EncodeBase64Url(Sign(text)));
}

}  // namespace weft::certs
