// What the first bytes of a connection say, before anything is decided about it: is it TLS, for
// which server name, speaking what? A pure parser over the bytes peeked so far; it consumes
// nothing, so the same bytes then go to a handshake or, untouched, to wherever they pass through
// to.
#ifndef WEFT_PROXY_TLS_CLIENT_HELLO_H_
#define WEFT_PROXY_TLS_CLIENT_HELLO_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace weft {

enum class ClientHelloState {
  kNeedMore,     // may become a ClientHello; read on, under a deadline
  kNotTls,       // some other protocol
  kInvalid,      // TLS, but broken or hostile: close. Never to be taken for plaintext.
  kClientHello,  // complete
};

struct ClientHello {
  ClientHelloState state = ClientHelloState::kNeedMore;
  // Lower case. Empty if none was sent, or if it was an IP literal (which RFC 6066 section 3
  // forbids, but clients send; it names no host, so it matches nothing).
  std::string server_name;
  std::vector<std::string> alpn;  // in the client's order
  const char* error = "";         // for kInvalid: what was wrong
};

// A hello larger than this is refused (browsers send under 2 KiB).
inline constexpr size_t kMaxClientHello = 16 << 10;
// Bytes to hold while sniffing: a full hello in records of 16 bytes or more. Given this many, the
// answer is never kNeedMore.
inline constexpr size_t kMaxSniffedBytes = 24 << 10;

ClientHello ParseClientHello(absl::string_view bytes);

}  // namespace weft

#endif  // WEFT_PROXY_TLS_CLIENT_HELLO_H_
