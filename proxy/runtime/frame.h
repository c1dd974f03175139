// Where coroutine frames live: in blocks that the thread keeps for its next frames, by size. A
// request starts and ends a dozen coroutines, so in steady state none of them reaches the heap.
#ifndef WEFT_PROXY_RUNTIME_FRAME_H_
#define WEFT_PROXY_RUNTIME_FRAME_H_

#include <cstddef>

namespace weft {

void* TakeFrame(size_t size);
void GiveFrame(void* frame, size_t size) noexcept;

// A promise type that inherits this has its coroutines' frames there.
struct InFrame {
  static void* operator new(size_t size) { return TakeFrame(size); }
  static void operator delete(void* frame, size_t size) noexcept { GiveFrame(frame, size); }
};

}  // namespace weft

#endif  // WEFT_PROXY_RUNTIME_FRAME_H_
