// Whatever comes, the parser stays within its bounds, and what it takes it can write again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "proxy/net/proxy_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const weft::ProxyHeader header = weft::ParseProxyHeader(bytes);
  if (header.state == weft::ProxyHeaderState::kNeedMore && size >= weft::kMaxProxyHeader) abort();
  if (header.state != weft::ProxyHeaderState::kComplete) return 0;
  if (header.size > size || header.size > weft::kMaxProxyHeader) abort();
  const weft::ProxyHeader again = weft::ParseProxyHeader(
      weft::MakeProxyHeader(header.version, header.source, header.destination));
  if (again.state != weft::ProxyHeaderState::kComplete) abort();
  if (!(again.source == header.source) || !(again.destination == header.destination)) abort();
  return 0;
}
