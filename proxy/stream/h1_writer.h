// H1Writer: an HTTP/1 message on its way into a ByteStream. Heads and small pieces of bodies are
// copied behind each other so that they leave in one system call; large pieces go straight from
// where they lie, gathered with what is queued before them.
//
// The queue is bounded by kMostQueued and one head. `stream` is borrowed. One worker's.
#ifndef WEFT_PROXY_STREAM_H1_WRITER_H_
#define WEFT_PROXY_STREAM_H1_WRITER_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "proxy/base/buffer.h"
#include "proxy/net/byte_stream.h"
#include "proxy/stream/http_stream.h"

namespace weft {

class H1Writer {
 public:
  // Copying this much costs less than a system call of its own.
  static constexpr size_t kMostCopied = 8 * 1024;
  // Copied pieces that wait together: what fits a block of the pool with a head before them.
  static constexpr size_t kMostQueued = 12 * 1024;

  explicit H1Writer(ByteStream& stream) : stream_(stream) {}

  // Where heads are appended to; then Begin() with how the body goes on.
  Buffer& queue() { return queue_; }
  void Begin(BodyFraming framing);
  // As of HttpStream.
  size_t Write(absl::string_view piece);
  void WriteEnd(const Headers& trailers);
  HttpStream::Flushed Flush();

  // The message was written to its end, though some of it may still be queued.
  bool ended() const { return ended_; }

 private:
  bool Copy(absl::string_view piece);
  // Returns what was taken of `piece`; `*progress` whether anything was written at all.
  size_t Gather(absl::string_view piece, bool* progress);

  ByteStream& stream_;
  Buffer queue_;
  BodyFraming framing_ = BodyFraming::kNone;
  uint64_t chunk_left_ = 0;  // of a chunk whose size is already on its way
  bool ended_ = false;
  bool broke_ = false;
};

}  // namespace weft

#endif  // WEFT_PROXY_STREAM_H1_WRITER_H_
