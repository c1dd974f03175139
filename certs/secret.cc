#include "certs/secret.h"

#include <openssl/mem.h>
#include <openssl/rand.h>

#include <cstdint>

namespace weft::certs {

std::string RandomBytes(size_t size) {
  std::string bytes(size, '\0');
  RAND_bytes(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size());
  return bytes;
}

bool SameSecret(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace weft::certs
