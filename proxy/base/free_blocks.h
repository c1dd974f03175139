// FreeBlocks: heap blocks of one size that a thread keeps for its next need of them, up to a bound,
// and gives back to the heap when it ends. A block may be given to another thread than it was taken
// from.
//
//   using ReadBlocks = FreeBlocks<16384, 64>;
//   char* block = static_cast<char*>(ReadBlocks::Take());
//   ReadBlocks::Give(block);
//
// Under AddressSanitizer nothing is kept, so that it sees each use of a block that was given back.
#ifndef WEFT_PROXY_BASE_FREE_BLOCKS_H_
#define WEFT_PROXY_BASE_FREE_BLOCKS_H_

#include <cstddef>
#include <cstdlib>
#include <new>

namespace weft {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
inline constexpr bool kKeepFreeBlocks = false;
#else
inline constexpr bool kKeepFreeBlocks = true;
#endif
#else
inline constexpr bool kKeepFreeBlocks = true;
#endif

template <size_t kSize, size_t kMostKept>
class FreeBlocks {
 public:
  static void* Take() {
    List& list = list_;
    if (list.first == nullptr) return Allocate();
    Block* block = list.first;
    list.first = block->next;
    --list.kept;
    return block;
  }

  static void Give(void* block) noexcept {
    List& list = list_;
    if (!kKeepFreeBlocks || list.kept == kMostKept || list.thread_ends) {
      std::free(block);
      return;
    }
    if (list.kept == 0) FreeWhenThreadEnds();
    list.first = new (block) Block{list.first};
    ++list.kept;
  }

 private:
  struct Block {
    Block* next;
  };
  // Needs no destructor, so that what a thread destroys last can still give its blocks.
  struct List {
    Block* first;
    size_t kept;
    bool thread_ends;
  };
  struct AtThreadEnd {
    ~AtThreadEnd() {
      list_.thread_ends = true;
      for (Block* block = list_.first; block != nullptr;) {
        Block* next = block->next;
        std::free(block);
        block = next;
      }
      list_.first = nullptr;
      list_.kept = 0;
    }
    void Touch() {}
  };

  static_assert(kSize >= sizeof(Block));

  static void* Allocate() {
    void* block = std::malloc(kSize);
    if (block == nullptr) std::abort();
    return block;
  }
  static void FreeWhenThreadEnds() {
    thread_local AtThreadEnd at_thread_end;
    at_thread_end.Touch();
  }

  static constinit inline thread_local List list_ = {nullptr, 0, false};
};

}  // namespace weft

#endif  // WEFT_PROXY_BASE_FREE_BLOCKS_H_
