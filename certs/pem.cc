#include "certs/pem.h"

#include <openssl/bio.h>

namespace weft::certs {

bssl::UniquePtr<BIO> ReadBio(absl::string_view bytes) {
  return bssl::UniquePtr<BIO>(
      BIO_new_mem_buf(bytes.data() == nullptr ? "" : bytes.data(), static_cast<int>(bytes.size())));
}

std::string TakeText(BIO* bio) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  if (!BIO_mem_contents(bio, &data, &size)) return "";
  return std::string(reinterpret_cast<const char*>(data), size);
}

int RefusePassword(char*, int, int, void*) { return -1; }

}  // namespace weft::certs
