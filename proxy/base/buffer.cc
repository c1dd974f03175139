#include "proxy/base/buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "proxy/base/free_blocks.h"

namespace weft {
namespace {

// Kept for the next Buffer of this thread: enough for a burst of 64 connections in flight, and for
// 16 that carry large bodies. 1 MiB a worker each.
using Blocks = FreeBlocks<Buffer::kBlockSize, 64>;
using LargeBlocks = FreeBlocks<Buffer::kLargeBlockSize, 16>;

char* TakeBlock(size_t capacity) {
  switch (capacity) {
    case Buffer::kBlockSize:
      return static_cast<char*>(Blocks::Take());
    case Buffer::kLargeBlockSize:
      return static_cast<char*>(LargeBlocks::Take());
    default:
      return static_cast<char*>(std::malloc(capacity));
  }
}

void GiveBlock(char* block, size_t capacity) {
  switch (capacity) {
    case Buffer::kBlockSize:
      return Blocks::Give(block);
    case Buffer::kLargeBlockSize:
      return LargeBlocks::Give(block);
    default:
      return std::free(block);
  }
}

// What to take for `wanted` bytes when `capacity` was too small.
size_t NextCapacity(size_t wanted, size_t capacity) {
  if (wanted <= Buffer::kBlockSize) return Buffer::kBlockSize;
  if (wanted <= Buffer::kLargeBlockSize) return Buffer::kLargeBlockSize;
  return std::max(wanted, capacity * 2);
}

}  // namespace

char* Buffer::Reserve(size_t bytes) {
  if (capacity_ - end_ >= bytes && block_ != nullptr) return block_ + end_;
  const size_t held = size();
  if (block_ != nullptr && held + bytes <= capacity_) {
    std::memmove(block_, block_ + begin_, held);
  } else {
    const size_t capacity = NextCapacity(held + bytes, capacity_);
    char* block = TakeBlock(capacity);
    if (held > 0) std::memcpy(block, block_ + begin_, held);
    if (block_ != nullptr) GiveBlock(block_, capacity_);
    block_ = block;
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = held;
  return block_ + end_;
}

void Buffer::Append(absl::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(Reserve(bytes.size()), bytes.data(), bytes.size());
  Commit(bytes.size());
}

void Buffer::Consume(size_t bytes) {
  begin_ += bytes;
  if (begin_ == end_) Release();
}

void Buffer::MoveFrom(Buffer& from, size_t bytes) {
  if (empty() && bytes == from.size()) {
    Swap(from);
    return;
  }
  Append(from.view().substr(0, bytes));
  from.Consume(bytes);
}

void Buffer::Swap(Buffer& other) noexcept {
  std::swap(block_, other.block_);
  std::swap(capacity_, other.capacity_);
  std::swap(begin_, other.begin_);
  std::swap(end_, other.end_);
}

void Buffer::Release() {
  if (block_ != nullptr) GiveBlock(block_, capacity_);
  block_ = nullptr;
  capacity_ = begin_ = end_ = 0;
}

}  // namespace weft
