// Which HTTP a connection in plain text starts with, if any. A pure parser over the first bytes.
#ifndef WEFT_PROXY_HTTP_SNIFF_H_
#define WEFT_PROXY_HTTP_SNIFF_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace weft {

enum class SniffedHttp {
  kNeedMore,  // may become one; read on, under a deadline
  kNotHttp,
  kHttp10,
  kHttp11,
  kHttp2,  // the preface of RFC 9113 section 3.4
};

// A first line longer than this is none. Given that many bytes, the answer is never kNeedMore.
inline constexpr size_t kMaxSniffedLine = 16 << 10;

SniffedHttp SniffHttp(absl::string_view bytes);

}  // namespace weft

#endif  // WEFT_PROXY_HTTP_SNIFF_H_
