#include "proxy/base/buffer.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace weft {
namespace {

std::string Pattern(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>('a' + i % 23);
  return bytes;
}

TEST(Buffer, KeepsWhatItHoldsWhileItGrows) {
  for (size_t first : {size_t{1}, Buffer::kBlockSize, Buffer::kLargeBlockSize}) {
    const std::string all = Pattern(3 * Buffer::kLargeBlockSize);
    Buffer buffer;
    buffer.Append(absl::string_view(all).substr(0, first));
    for (size_t at = first; at < all.size(); at += 1000) {
      buffer.Append(absl::string_view(all).substr(at, 1000));
    }
    EXPECT_TRUE(buffer.view() == all) << first;
  }
}

TEST(Buffer, MakesRoomByMovingToTheFront) {
  Buffer buffer;
  buffer.Append(Pattern(Buffer::kBlockSize));
  const char* block = buffer.data();
  buffer.Consume(Buffer::kBlockSize - 10);
  EXPECT_EQ(buffer.Reserve(1000), block + 10);
  EXPECT_EQ(buffer.view(),
            absl::string_view(Pattern(Buffer::kBlockSize)).substr(Buffer::kBlockSize - 10));
}

TEST(Buffer, MovesABlockWithoutACopy) {
  Buffer from, to;
  from.Append("hello");
  const char* block = from.data();
  to.MoveFrom(from, 5);
  EXPECT_EQ(to.data(), block);
  EXPECT_TRUE(from.empty());
  from.Append("more");
  to.MoveFrom(from, 2);
  EXPECT_EQ(to.view(), "hellomo");
  EXPECT_EQ(from.view(), "re");
}

// The blocks of a thread that ended, and what is given back after its free blocks went, are freed:
// a leak checker tells.
TEST(Buffer, MayOutliveItsThreadsFreeBlocks) {
  std::thread([] {
    thread_local std::vector<Buffer> late;  // destroyed after what is constructed after it
    late.emplace_back();
    Buffer early;
    for (size_t size : {Buffer::kBlockSize, Buffer::kLargeBlockSize}) {
      early.Append(Pattern(size));
      early.Clear();
    }
    late.back().Append("still here");
  }).join();
  Buffer moved;
  std::thread([&] { moved.Append(Pattern(10)); }).join();
  EXPECT_EQ(moved.view(), Pattern(10));
}

}  // namespace
}  // namespace weft
