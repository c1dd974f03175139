#include "proxy/http/sniff.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace weft {
namespace {

constexpr absl::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kMaxMethod = 32;  // longer than any that is registered

// RFC 9110 section 5.6.2.
bool IsTokenChar(char c) {
  return absl::ascii_isalnum(c) || absl::StrContains("!#$%&'*+-.^_`|~", absl::string_view(&c, 1));
}

}  // namespace

SniffedHttp SniffHttp(absl::string_view bytes) {
  if (absl::StartsWith(bytes, kPreface)) return SniffedHttp::kHttp2;
  if (absl::StartsWith(kPreface, bytes)) return SniffedHttp::kNeedMore;
  size_t method = 0;
  while (method < bytes.size() && IsTokenChar(bytes[method])) ++method;
  if (method > kMaxMethod) return SniffedHttp::kNotHttp;
  if (method == bytes.size()) return SniffedHttp::kNeedMore;
  if (method == 0 || bytes[method] != ' ') return SniffedHttp::kNotHttp;
  const size_t end = bytes.find('\n');
  if (end == absl::string_view::npos || end > kMaxSniffedLine) {
    return bytes.size() < kMaxSniffedLine ? SniffedHttp::kNeedMore : SniffedHttp::kNotHttp;
  }
  const absl::string_view line = bytes.substr(0, end);
  if (absl::EndsWith(line, " HTTP/1.1\r")) return SniffedHttp::kHttp11;
  if (absl::EndsWith(line, " HTTP/1.0\r")) return SniffedHttp::kHttp10;
  return SniffedHttp::kNotHttp;
}

}  // namespace weft
