#include "proxy/runtime/frame.h"

#include <array>
#include <new>
#include <utility>

#include "proxy/base/free_blocks.h"

namespace weft {
namespace {

// Frames are rounded up to a multiple of this. Nearly all of the proxy's are below 1 KiB, a
// request's is below 3; what is larger than the largest class belongs to something rare.
constexpr size_t kStep = 128;
constexpr size_t kClasses = 24;
// As many of a class as a burst of 256 connections lets go of at once: 9.8 MiB if that happened in
// all classes, some 300 KiB where the proxy's own frames are.
constexpr size_t kKeptOfClass = 256;

struct SizeClass {
  void* (*take)();
  void (*give)(void*) noexcept;
};

template <size_t... kIndex>
constexpr std::array<SizeClass, kClasses> MakeClasses(std::index_sequence<kIndex...>) {
  return {SizeClass{&FreeBlocks<(kIndex + 1) * kStep, kKeptOfClass>::Take,
                    &FreeBlocks<(kIndex + 1) * kStep, kKeptOfClass>::Give}...};
}

constexpr std::array<SizeClass, kClasses> kSizeClasses =
    MakeClasses(std::make_index_sequence<kClasses>());

constexpr size_t ClassOf(size_t size) { return (size - 1) / kStep; }

}  // namespace

void* TakeFrame(size_t size) {
  const size_t size_class = ClassOf(size);
  return size_class < kClasses ? kSizeClasses[size_class].take() : ::operator new(size);
}

void GiveFrame(void* frame, size_t size) noexcept {
  const size_t size_class = ClassOf(size);
  if (size_class < kClasses) {
    kSizeClasses[size_class].give(frame);
  } else {
    ::operator delete(frame);
  }
}

}  // namespace weft
