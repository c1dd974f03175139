// Fuzzes what reads tokens and key sets: no bytes crash it, what is accepted is within its limits,
// and no token verifies with a key that the fuzzer cannot know.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "absl/strings/string_view.h"
#include "certs/jose.h"
#include "certs/jwks.h"
#include "certs/jwt.h"
#include "certs/test_jwt.h"

namespace {

const weft::certs::Jwks& SecretKeys() {
  static const auto* keys = new std::shared_ptr<const weft::certs::Jwks>(
      *weft::certs::Jwks::Parse(weft::certs::TestJwtKey("ES256").KeySet()));
  return **keys;
}

}  // namespace

// The first byte chooses what the others are.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft::certs;
  if (size == 0) return 0;
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] & 1) {
    const auto keys = Jwks::Parse(bytes);
    if (keys.ok() && ((*keys)->size() == 0 || (*keys)->size() > Jwks::kMaxKeys)) std::abort();
    return 0;
  }
  if (const auto decoded = DecodeBase64Url(bytes)) {
    if (EncodeBase64Url(*decoded) != bytes) std::abort();
  }
  Jwt jwt;
  if (ParseJwt(bytes, jwt) != JwtStatus::kOk) return 0;
  if (VerifyJwt(jwt, SecretKeys()) == JwtStatus::kOk) std::abort();
  return 0;
}
