#include "certs/jwks.h"

#include <openssl/bn.h>
#include <openssl/curve25519.h>
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "certs/jose.h"

namespace weft::certs {
namespace {

using Json = nlohmann::json;

// RFC 7518, section 3.3: 2048 bits or more. Above 8192 a single verification takes a millisecond.
constexpr unsigned kMinRsaBits = 2048;
constexpr unsigned kMaxRsaBits = 8192;
constexpr size_t kMaxRsaExponentBytes = 4;
// Keys tried for one token that names none: each costs a verification to whoever sends garbage.
constexpr int kMaxKeysTried = 16;

enum class Family { kHmac, kRsa, kRsaPss, kEcdsa, kEd25519 };

struct Algorithm {
  absl::string_view name;
  Family family;
  const EVP_MD* (*digest)();
  int curve;                // of kEcdsa
  size_t coordinate_bytes;  // of kEcdsa: each half of the signature
};

// In the order of JwtAlgorithm.
constexpr Algorithm kAlgorithms[] = {
    {"HS256", Family::kHmac, EVP_sha256, NID_undef, 0},
    {"HS384", Family::kHmac, EVP_sha384, NID_undef, 0},
    {"HS512", Family::kHmac, EVP_sha512, NID_undef, 0},
    {"RS256", Family::kRsa, EVP_sha256, NID_undef, 0},
    {"RS384", Family::kRsa, EVP_sha384, NID_undef, 0},
    {"RS512", Family::kRsa, EVP_sha512, NID_undef, 0},
    {"PS256", Family::kRsaPss, EVP_sha256, NID_undef, 0},
    {"PS384", Family::kRsaPss, EVP_sha384, NID_undef, 0},
    {"PS512", Family::kRsaPss, EVP_sha512, NID_undef, 0},
    {"ES256", Family::kEcdsa, EVP_sha256, NID_X9_62_prime256v1, 32},
    {"ES384", Family::kEcdsa, EVP_sha384, NID_secp384r1, 48},
    {"ES512", Family::kEcdsa, EVP_sha512, NID_secp521r1, 66},
    {"EdDSA", Family::kEd25519, nullptr, NID_undef, 0},
};

const Algorithm& Of(JwtAlgorithm algorithm) { return kAlgorithms[static_cast<size_t>(algorithm)]; }

const uint8_t* Bytes(absl::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

// A string member; nullopt if it is missing or something else.
std::optional<absl::string_view> Text(const Json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_string()) return std::nullopt;
  return it->get_ref<const std::string&>();
}

std::optional<std::string> BytesAt(const Json& key, const char* name) {
  const std::optional<absl::string_view> text = Text(key, name);
  return text ? DecodeBase64Url(*text) : std::nullopt;
}

bool MeantForVerifying(const Json& key) {
  if (key.contains("use") && Text(key, "use") != "sig") return false;
  const auto operations = key.find("key_ops");
  return operations == key.end() ||
         (operations->is_array() &&
          std::find(operations->begin(), operations->end(), "verify") != operations->end());
}

bssl::UniquePtr<BIGNUM> Number(absl::string_view bytes) {
  return bssl::UniquePtr<BIGNUM>(BN_bin2bn(Bytes(bytes), bytes.size(), nullptr));
}

bssl::UniquePtr<RSA> ReadRsa(const Json& key) {
  const std::optional<std::string> modulus = BytesAt(key, "n");
  const std::optional<std::string> exponent = BytesAt(key, "e");
  if (!modulus || !exponent || exponent->size() > kMaxRsaExponentBytes) return nullptr;
  if (modulus->size() * 8 > kMaxRsaBits) return nullptr;
  bssl::UniquePtr<RSA> rsa(RSA_new());
  bssl::UniquePtr<BIGNUM> n = Number(*modulus);
  bssl::UniquePtr<BIGNUM> e = Number(*exponent);
  if (!rsa || !n || !e || !BN_is_odd(n.get()) || !BN_is_odd(e.get()) || BN_is_one(e.get())) {
    return nullptr;
  }
  if (!RSA_set0_key(rsa.get(), n.get(), e.get(), nullptr)) return nullptr;
  (void)n.release();
  (void)e.release();
  return RSA_bits(rsa.get()) < kMinRsaBits ? nullptr : std::move(rsa);
}

int CurveNamed(absl::string_view name) {
  if (name == "P-256") return NID_X9_62_prime256v1;
  if (name == "P-384") return NID_secp384r1;
  if (name == "P-521") return NID_secp521r1;
  return NID_undef;
}

bssl::UniquePtr<EC_KEY> ReadEc(const Json& key) {
  const int curve = CurveNamed(Text(key, "crv").value_or(""));
  const std::optional<std::string> x = BytesAt(key, "x");
  const std::optional<std::string> y = BytesAt(key, "y");
  if (curve == NID_undef || !x || !y || x->size() > 66 || y->size() > 66) return nullptr;
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(curve));
  bssl::UniquePtr<BIGNUM> x_number = Number(*x);
  bssl::UniquePtr<BIGNUM> y_number = Number(*y);
  // Also checks that the point is on the curve.
  if (!ec || !x_number || !y_number ||
      !EC_KEY_set_public_key_affine_coordinates(ec.get(), x_number.get(), y_number.get())) {
    return nullptr;
  }
  return ec;
}

}  // namespace

std::optional<JwtAlgorithm> FindJwtAlgorithm(absl::string_view name) {
  for (size_t i = 0; i < std::size(kAlgorithms); ++i) {
    if (kAlgorithms[i].name == name) return static_cast<JwtAlgorithm>(i);
  }
  return std::nullopt;
}

class Jwks::Key {
 public:
  // Null if it cannot be used here.
  static std::unique_ptr<const Key> Read(const Json& from);

  bool GoesWith(JwtAlgorithm algorithm, absl::string_view key_id) const {
    if (!key_id.empty() && !id_.empty() && key_id != id_) return false;
    return (!algorithm_ || algorithm_ == algorithm) && CanVerify(Of(algorithm));
  }
  bool Verify(const Algorithm& algorithm, absl::string_view text,
              absl::string_view signature) const;

 private:
  bool ReadMaterial(absl::string_view type, const Json& from);
  bool CanVerify(const Algorithm& algorithm) const;
  bool VerifyHmac(const Algorithm& algorithm, absl::string_view text,
                  absl::string_view signature) const;
  bool VerifyRsa(const Algorithm& algorithm, const uint8_t* digest, unsigned size,
                 absl::string_view signature) const;
  bool VerifyEcdsa(const Algorithm& algorithm, const uint8_t* digest, unsigned size,
                   absl::string_view signature) const;

  std::string id_;
  std::optional<JwtAlgorithm> algorithm_;
  // Exactly one of them.
  bssl::UniquePtr<RSA> rsa_;
  bssl::UniquePtr<EC_KEY> ec_;
  std::string ed25519_;
  std::string secret_;
};

std::unique_ptr<const Jwks::Key> Jwks::Key::Read(const Json& from) {
  if (!from.is_object() || !MeantForVerifying(from)) return nullptr;
  auto key = std::make_unique<Key>();
  key->id_ = std::string(Text(from, "kid").value_or(""));
  if (const std::optional<absl::string_view> name = Text(from, "alg")) {
    key->algorithm_ = FindJwtAlgorithm(*name);
    if (!key->algorithm_) return nullptr;
  }
  if (!key->ReadMaterial(Text(from, "kty").value_or(""), from)) return nullptr;
  return key;
}

bool Jwks::Key::ReadMaterial(absl::string_view type, const Json& from) {
  if (type == "RSA") {
    rsa_ = ReadRsa(from);
    return rsa_ != nullptr;
  }
  if (type == "EC") {
    ec_ = ReadEc(from);
    return ec_ != nullptr;
  }
  if (type == "OKP") {
    if (Text(from, "crv") != "Ed25519") return false;
    ed25519_ = BytesAt(from, "x").value_or("");
    return ed25519_.size() == ED25519_PUBLIC_KEY_LEN;
  }
  if (type == "oct") secret_ = BytesAt(from, "k").value_or("");
  return !secret_.empty();
}

bool Jwks::Key::CanVerify(const Algorithm& algorithm) const {
  switch (algorithm.family) {
    case Family::kHmac:
      // RFC 7518, section 3.2: no shorter than the hash.
      return secret_.size() >= EVP_MD_size(algorithm.digest());
    case Family::kRsa:
    case Family::kRsaPss:
      return rsa_ != nullptr;
    case Family::kEcdsa:
      return ec_ != nullptr &&
             EC_GROUP_get_curve_name(EC_KEY_get0_group(ec_.get())) == algorithm.curve;
    case Family::kEd25519:
      return !ed25519_.empty();
  }
  return false;
}

bool Jwks::Key::VerifyHmac(const Algorithm& algorithm, absl::string_view text,
                           absl::string_view signature) const {
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  return HMAC(algorithm.digest(), secret_.data(), secret_.size(), Bytes(text), text.size(), mac,
              &size) != nullptr &&
         signature.size() == size && CRYPTO_memcmp(mac, signature.data(), size) == 0;
}

bool Jwks::Key::VerifyRsa(const Algorithm& algorithm, const uint8_t* digest, unsigned size,
                          absl::string_view signature) const {
  const EVP_MD* hash = algorithm.digest();
  if (algorithm.family == Family::kRsa) {
    return RSA_verify(EVP_MD_type(hash), digest, size, Bytes(signature), signature.size(),
                      rsa_.get()) == 1;
  }
  // RFC 7518, section 3.5: the salt is as long as the hash, which is what -1 says.
  return RSA_verify_pss_mgf1(rsa_.get(), digest, size, hash, hash, /*salt_len=*/-1,
                             Bytes(signature), signature.size()) == 1;
}

bool Jwks::Key::VerifyEcdsa(const Algorithm& algorithm, const uint8_t* digest, unsigned size,
                            absl::string_view signature) const {
  const size_t half = algorithm.coordinate_bytes;
  if (signature.size() != 2 * half) return false;
  bssl::UniquePtr<ECDSA_SIG> numbers(ECDSA_SIG_new());
  bssl::UniquePtr<BIGNUM> r = Number(signature.substr(0, half));
  bssl::UniquePtr<BIGNUM> s = Number(signature.substr(half));
  if (!numbers || !r || !s || !ECDSA_SIG_set0(numbers.get(), r.get(), s.get())) return false;
  (void)r.release();
  (void)s.release();
  return ECDSA_do_verify(digest, size, numbers.get(), ec_.get()) == 1;
}

bool Jwks::Key::Verify(const Algorithm& algorithm, absl::string_view text,
                       absl::string_view signature) const {
  if (algorithm.family == Family::kHmac) return VerifyHmac(algorithm, text, signature);
  if (algorithm.family == Family::kEd25519) {
    return signature.size() == ED25519_SIGNATURE_LEN &&
           ED25519_verify(Bytes(text), text.size(), Bytes(signature), Bytes(ed25519_)) == 1;
  }
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!EVP_Digest(text.data(), text.size(), digest, &size, algorithm.digest(), nullptr)) {
    return false;
  }
  return algorithm.family == Family::kEcdsa ? VerifyEcdsa(algorithm, digest, size, signature)
                                            : VerifyRsa(algorithm, digest, size, signature);
}

Jwks::Jwks() = default;
Jwks::~Jwks() = default;

absl::StatusOr<std::shared_ptr<const Jwks>> Jwks::Parse(absl::string_view text) {
  if (text.size() > kMaxBytes) return absl::InvalidArgumentError("key set: larger than 1 MiB");
  const std::optional<Json> json = ParseJsonObject(text);
  if (!json || !json->contains("keys") || !(*json)["keys"].is_array()) {
    return absl::InvalidArgumentError("key set: not a JSON object with an array \"keys\"");
  }
  const Json& keys = (*json)["keys"];
  if (keys.size() > kMaxKeys) return absl::InvalidArgumentError("key set: more than 100 keys");
  std::shared_ptr<Jwks> jwks(new Jwks());
  for (const Json& key : keys) {
    std::unique_ptr<const Key> read = Key::Read(key);
    if (read != nullptr) jwks->keys_.push_back(std::move(read));
  }
  ERR_clear_error();  // of keys that were skipped
  if (jwks->keys_.empty()) return absl::InvalidArgumentError("key set: no usable key");
  return jwks;
}

Jwks::Result Jwks::Verify(JwtAlgorithm algorithm, absl::string_view key_id, absl::string_view text,
                          absl::string_view signature) const {
  int tried = 0;
  for (const std::unique_ptr<const Key>& key : keys_) {
    if (!key->GoesWith(algorithm, key_id)) continue;
    if (++tried > kMaxKeysTried) break;
    if (key->Verify(Of(algorithm), text, signature)) return Result::kVerified;
  }
  ERR_clear_error();
  return tried == 0 ? Result::kNoKey : Result::kFailed;
}

}  // namespace weft::certs
