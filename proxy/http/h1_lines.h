// The lines of an HTTP/1 head: start line and field lines, parsed strictly (RFC 9112, sections
// 2-5). Every leniency that two parsers could read differently is an error with a stable reason.
// Pure functions over bytes; part of the HTTP/1 decoder.
#ifndef WEFT_PROXY_HTTP_H1_LINES_H_
#define WEFT_PROXY_HTTP_H1_LINES_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "proxy/http/head.h"

namespace weft {

// What is wrong with a message. `reason` is stable, for counters, logs and tests.
struct H1Error {
  int status = 0;  // what to answer a client: 400, 431, 501, 505; 0: nothing is wrong
  const char* reason = "";

  bool ok() const { return status == 0; }
};

// The most a head may hold: start line, fields and line ends; and fields in it. (Istio's and
// Envoy's defaults.)
inline constexpr size_t kMaxHeadBytes = 60 * 1024;
inline constexpr size_t kMaxHeaderCount = 100;

struct HeadLimits {
  size_t bytes = kMaxHeadBytes;
  size_t fields = kMaxHeaderCount;
};

// Without the CRLF. The target fills scheme, authority and path.
H1Error ParseRequestLine(absl::string_view line, RequestHead& head);
H1Error ParseStatusLine(absl::string_view line, ResponseHead& head);
// A host with an optional port, as Host has it (RFC 9110, section 7.2); no user information.
bool IsAuthority(absl::string_view text);

// Whether a field may bear that name or value: for what is made from config.
bool IsFieldName(absl::string_view name);
bool IsFieldValue(absl::string_view value);

// Finds the ends of lines in bytes that arrive in any pieces, looking at each byte once.
class LineFinder {
 public:
  enum class Result { kNeedMore, kLine, kTooLong, kBareLf };
  // Looks for the line that begins at `start` of `bytes`, which keeps its front between calls. At
  // most `limit` bytes of `bytes` may be used up to the line's end. On kLine, next() is where the
  // line after it starts, and the line is [start, next() - 2).
  Result Find(absl::string_view bytes, size_t start, size_t limit);
  size_t next() const { return scanned_; }
  void Restart() { scanned_ = 0; }

 private:
  size_t scanned_ = 0;
};

// Reads field lines up to the empty line into Headers. The bytes are copied once, as one block,
// when they are complete.
class FieldLineParser {
 public:
  enum class Result { kNeedMore, kDone, kError };

  // Prepares to fill `headers`, which is cleared, within `limits`.
  void Start(Headers* headers, HeadLimits limits);
  // `block` begins at the first field line and keeps its front between calls.
  Result Next(absl::string_view block);

  size_t size() const { return line_start_; }  // after kDone: bytes used, with the empty line
  H1Error error() const { return error_; }
  // Host is kept out of the headers (see head.h). How many there were, and the last one's value.
  int host_count() const { return host_count_; }
  absl::string_view host(absl::string_view block) const {
    return block.substr(host_offset_, host_length_);
  }

 private:
  H1Error AddLine(absl::string_view block, size_t start, size_t end);
  Result Fail(H1Error error);

  Headers* headers_ = nullptr;
  HeadLimits limits_;
  size_t line_start_ = 0;
  LineFinder lines_;
  H1Error error_;
  int host_count_ = 0;
  size_t host_offset_ = 0;
  size_t host_length_ = 0;
};

}  // namespace weft

#endif  // WEFT_PROXY_HTTP_H1_LINES_H_
