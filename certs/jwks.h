// Jwks: the keys that tokens of one issuer may be signed with (RFC 7517). Immutable, any thread.
//
// A key is bound to what it may verify: its type decides the algorithms (an RSA key can never be
// taken for the secret of an HMAC), "alg" narrows them to one, and a key that is not meant for
// verifying ("use", "key_ops") is not there at all.
#ifndef WEFT_CERTS_JWKS_H_
#define WEFT_CERTS_JWKS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft::certs {

// "alg" (RFC 7518, section 3.1; RFC 8037). "none" is not among them.
enum class JwtAlgorithm : uint8_t {
  kHs256,
  kHs384,
  kHs512,
  kRs256,
  kRs384,
  kRs512,
  kPs256,
  kPs384,
  kPs512,
  kEs256,
  kEs384,
  kEs512,
  kEdDsa,
};
std::optional<JwtAlgorithm> FindJwtAlgorithm(absl::string_view name);

class Jwks {
 public:
  // What a server may answer, and the keys in it: no issuer has a tenth of either.
  static constexpr size_t kMaxBytes = 1 << 20;
  static constexpr size_t kMaxKeys = 100;

  // {"keys": […]}. Keys that cannot be used here are skipped (RFC 7517, section 5); none left is an
  // error, as is text that is no key set.
  static absl::StatusOr<std::shared_ptr<const Jwks>> Parse(absl::string_view json);
  ~Jwks();

  size_t size() const { return keys_.size(); }

  enum class Result : uint8_t {
    kVerified,
    kNoKey,  // none that goes with the algorithm and the key id
    kFailed,
  };
  // `key_id` may be empty: any key will do; a key without an id goes with any. `signature` is raw,
  // as JWS has it (RFC 7518, section 3.4 for ECDSA).
  Result Verify(JwtAlgorithm algorithm, absl::string_view key_id, absl::string_view text,
                absl::string_view signature) const;

 private:
  class Key;

  Jwks();

  std::vector<std::unique_ptr<const Key>> keys_;
};

}  // namespace weft::certs

#endif  // WEFT_CERTS_JWKS_H_
