// What JWTs and JWKS are written in: base64url without padding (RFC 7515, section 2) and JSON.
//
// Both are read more strictly than most readers do, since two readers that understand the same
// token differently are an attack: every byte string has exactly one spelling, and an object that
// has a name twice is refused (RFC 7515, section 4 allows either).
#ifndef WEFT_CERTS_JOSE_H_
#define WEFT_CERTS_JOSE_H_

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace weft::certs {

// Deeper than any token or key set is.
inline constexpr size_t kMaxJsonDepth = 16;

// nullopt: padding, white space, a character of another alphabet, a length that no byte string has,
// or bits behind the last byte that are not zero.
std::optional<std::string> DecodeBase64Url(absl::string_view text);
std::string EncodeBase64Url(absl::string_view bytes);

// nullopt: not JSON (RFC 8259), not an object, a repeated name, or nested deeper than
// kMaxJsonDepth.
std::optional<nlohmann::json> ParseJsonObject(absl::string_view text);

}  // namespace weft::certs

#endif  // WEFT_CERTS_JOSE_H_
