#include "proxy/base/buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace weft {
namespace {

// Blocks kept for the next Buffer of this thread: enough for a burst of 64 connections in flight
// (1 MiB a worker), the rest goes back to the allocator.
constexpr size_t kKeptBlocks = 64;

struct FreeBlocks {
  ~FreeBlocks() {
    for (char* block : blocks) std::free(block);
  }
  std::vector<char*> blocks;
};

FreeBlocks& ThreadFreeBlocks() {
  thread_local FreeBlocks free_blocks;
  return free_blocks;
}

char* TakeBlock() {
  auto& blocks = ThreadFreeBlocks().blocks;
  if (blocks.empty()) return static_cast<char*>(std::malloc(Buffer::kBlockSize));
  char* block = blocks.back();
  blocks.pop_back();
  return block;
}

void GiveBlock(char* block, size_t capacity) {
  auto& blocks = ThreadFreeBlocks().blocks;
  if (capacity == Buffer::kBlockSize && blocks.size() < kKeptBlocks) {
    blocks.push_back(block);
  } else {
    std::free(block);
  }
}

}  // namespace

char* Buffer::Reserve(size_t bytes) {
  if (capacity_ - end_ >= bytes && block_ != nullptr) return block_ + end_;
  const size_t held = size();
  if (block_ != nullptr && held + bytes <= capacity_) {
    std::memmove(block_, block_ + begin_, held);
  } else {
    const size_t wanted = held + bytes;
    const bool pooled = wanted <= kBlockSize;
    const size_t capacity = pooled ? kBlockSize : std::max(wanted, capacity_ * 2);
    char* block = pooled ? TakeBlock() : static_cast<char*>(std::malloc(capacity));
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
