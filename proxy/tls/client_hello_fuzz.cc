// Whatever comes, the parser stays within its bounds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "proxy/tls/client_hello.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using weft::ClientHelloState;
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const weft::ClientHello hello = weft::ParseClientHello(bytes);
  if (size >= weft::kMaxSniffedBytes && hello.state == ClientHelloState::kNeedMore) std::abort();
  if (hello.server_name.size() > 255) std::abort();
  // An answer is final: more bytes do not change it, and fewer only delay it.
  if (size > 0) {
    const weft::ClientHello shorter = weft::ParseClientHello(bytes.substr(0, size - 1));
    if (shorter.state != ClientHelloState::kNeedMore && size < weft::kMaxSniffedBytes &&
        shorter.state != hello.state) {
      std::abort();
    }
  }
  return 0;
}
