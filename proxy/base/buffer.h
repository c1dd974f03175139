// Buffer: a run of bytes that is filled at the back and consumed at the front.
//
// One contiguous heap block, so that a codec can look at a head without copying. The block is
// taken when the first byte is reserved and given back to the thread's free blocks (free_blocks.h)
// when the last is consumed: an idle connection holds no memory. Moving a Buffer moves the block,
// so bytes pass from a reader to a writer without a copy.
//
// Not thread-safe; a Buffer belongs to one worker.
#ifndef WEFT_PROXY_BASE_BUFFER_H_
#define WEFT_PROXY_BASE_BUFFER_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace weft {

class Buffer {
 public:
  // The size of a block: one read of a socket, and one TLS record with its overhead.
  static constexpr size_t kBlockSize = 16 * 1024 + 512;
  // Of the larger one, for what comes faster than it is read: four records.
  static constexpr size_t kLargeBlockSize = 4 * kBlockSize;

  Buffer() = default;
  ~Buffer() { Release(); }
  Buffer(Buffer&& other) noexcept { Swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Release();
    Swap(other);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  bool empty() const { return begin_ == end_; }
  size_t size() const { return end_ - begin_; }
  const char* data() const { return block_ + begin_; }
  // Valid until the next call that is not const.
  absl::string_view view() const { return {data(), size()}; }

  // Room for at least `bytes` more at the back; returns where to write. Follow with Commit().
  char* Reserve(size_t bytes);
  // Bytes that can be written at the back without growing; at least what was last reserved.
  size_t writable() const { return capacity_ - end_; }
  void Commit(size_t bytes) { end_ += bytes; }

  void Append(absl::string_view bytes);
  void Consume(size_t bytes);
  void Clear() { Consume(size()); }
  // Appends the first `bytes` of `from` here and consumes them there; no copy when all of `from`
  // moves into an empty Buffer.
  void MoveFrom(Buffer& from, size_t bytes);

  void Swap(Buffer& other) noexcept;

 private:
  void Release();

  char* block_ = nullptr;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace weft

#endif  // WEFT_PROXY_BASE_BUFFER_H_
