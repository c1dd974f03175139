// Keys and tokens for tests: real keys made at run time, tokens signed with them.
#ifndef WEFT_CERTS_TEST_JWT_H_
#define WEFT_CERTS_TEST_JWT_H_

#include <openssl/evp.h>

#include <string>

#include "absl/strings/string_view.h"

namespace weft::certs {

// A key that signs with one algorithm of JWA. Making an RSA key takes a moment: share it.
class TestJwtKey {
 public:
  // "RS256", "PS384", "ES512", "EdDSA", "HS256", …
  explicit TestJwtKey(const std::string& algorithm);

  // The public half as a JWK (of HS*, the secret itself); `more` is further members:
  // R"("kid":"a")".
  std::string Jwk(const std::string& more = "") const;
  // {"keys":[Jwk(more)]}
  std::string KeySet(const std::string& more = "") const;

  // The signature over `text` as JWS has it, raw bytes.
  std::string Sign(absl::string_view text) const;
  // A token of this payload; `more` is further members of the header.
  std::string Token(const std::string& payload, const std::string& more = "") const;
  // A token of exactly this header.
  std::string TokenWithHeader(const std::string& header, const std::string& payload) const;

 private:
  std::string algorithm_;
  bssl::UniquePtr<EVP_PKEY> key_;
  std::string secret_;  // of HS*
};

}  // namespace weft::certs

#endif  // WEFT_CERTS_TEST_JWT_H_
