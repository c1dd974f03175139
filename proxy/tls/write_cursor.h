// Walks over the parts of a gathered write and cuts them into records.
#ifndef WEFT_PROXY_TLS_WRITE_CURSOR_H_
#define WEFT_PROXY_TLS_WRITE_CURSOR_H_

#include <algorithm>
#include <cstddef>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proxy/base/buffer.h"

namespace weft {

class WriteCursor {
 public:
  static constexpr size_t kMaxRecord = 16 << 10;  // RFC 8446 section 5.1

  explicit WriteCursor(absl::Span<const absl::string_view> parts) : parts_(parts) { SkipEmpty(); }

  bool done() const { return parts_.empty(); }

  // The next bytes, at most a record of them: in place if the front part is large or the last, else
  // several parts copied together, so that a head and a short body share a record. Valid until the
  // next call.
  absl::string_view Peek() {
    const absl::string_view front = parts_[0].substr(offset_);
    if (parts_.size() == 1 || front.size() >= kWorthItsOwnRecord) {
      return front.substr(0, kMaxRecord);
    }
    gathered_.Clear();
    gathered_.Append(front);
    for (absl::string_view part : parts_.subspan(1)) {
      if (gathered_.size() == kMaxRecord) break;
      gathered_.Append(part.substr(0, kMaxRecord - gathered_.size()));
    }
    return gathered_.view();
  }

  void Advance(size_t bytes) {
    while (bytes > 0) {
      const size_t step = std::min(bytes, parts_[0].size() - offset_);
      offset_ += step;
      bytes -= step;
      taken_ += step;
      SkipEmpty();
    }
  }

  size_t taken() const { return taken_; }

 private:
  // Above this, a copy costs more than the 22 bytes and the seal of another record.
  static constexpr size_t kWorthItsOwnRecord = 8 << 10;

  void SkipEmpty() {
    while (!parts_.empty() && parts_[0].size() == offset_) {
      parts_.remove_prefix(1);
      offset_ = 0;
    }
  }

  absl::Span<const absl::string_view> parts_;
  size_t offset_ = 0;
  size_t taken_ = 0;
  Buffer gathered_;
};

}  // namespace weft

#endif  // WEFT_PROXY_TLS_WRITE_CURSOR_H_
