// The PROXY protocol, versions 1 and 2: who the client of a connection is, said by the proxy before
// us in front of the first byte (www.haproxy.org/download/3.0/doc/proxy-protocol.txt). A parser and
// a writer, pure.
#ifndef WEFT_PROXY_NET_PROXY_PROTOCOL_H_
#define WEFT_PROXY_NET_PROXY_PROTOCOL_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "proxy/net/address.h"

namespace weft {

enum class ProxyHeaderState {
  kNeedMore,  // may become a header; read on, under a deadline
  kNone,      // the connection does not start with a header
  kInvalid,   // it does, but with a malformed one: close
  kComplete,
};

struct ProxyHeader {
  ProxyHeaderState state = ProxyHeaderState::kNeedMore;
  size_t size = 0;  // of the header, in bytes
  int version = 0;
  // Unspecified (AF_UNSPEC) where the header names none: UNKNOWN and LOCAL keep the connection's.
  Address source;
  Address destination;
  const char* error = "";  // for kInvalid: what was wrong
};

// The largest header that is taken: addresses and room for a few TLVs, which are skipped.
inline constexpr size_t kMaxProxyHeader = 4 << 10;

// Given kMaxProxyHeader bytes, the answer is never kNeedMore.
ProxyHeader ParseProxyHeader(absl::string_view bytes);

// The header to send; without two addresses of one IP family it says UNKNOWN (LOCAL in version 2).
std::string MakeProxyHeader(int version, const Address& source, const Address& destination);

}  // namespace weft

#endif  // WEFT_PROXY_NET_PROXY_PROTOCOL_H_
