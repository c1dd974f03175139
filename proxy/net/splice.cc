#include "proxy/net/splice.h"

#include <utility>

namespace weft {
namespace {

// Pieces moved in one direction before the other connections of this loop get their turn: two fast
// peers would otherwise keep it for themselves.
constexpr int kMostMoves = 32;
constexpr int kBusyTurns = 4;

// One direction. Reads only when all it read before has been written: that is the backpressure.
class Direction {
 public:
  Direction(ByteStream& from, ByteStream& to, Buffer held)
      : from_(from), to_(to), held_(std::move(held)) {}

  // Moves what can be moved now; true if anything happened.
  bool Step() {
    bool moved = false;
    for (int moves = 0; moves < kMostMoves && !finished_ && !read_broke_ && !write_broke_;
         ++moves) {
      if (held_.empty() && !eof_ && !Fill()) break;
      if (!held_.empty() && !Drain()) break;
      if (held_.empty() && eof_) {
        to_.CloseWrite();
        finished_ = true;
      }
      moved = true;
    }
    return moved;
  }

  bool finished() const { return finished_; }
  bool read_broke() const { return read_broke_; }
  bool write_broke() const { return write_broke_; }
  uint64_t written() const { return written_; }

 private:
  bool Fill() {
    const IoResult got = from_.Read(held_, Buffer::kLargeBlockSize);
    if (got.status == IoStatus::kEof) eof_ = true;
    if (got.status == IoStatus::kError) read_broke_ = true;
    return got.status != IoStatus::kBlocked;
  }

  bool Drain() {
    const IoResult sent = to_.Write(held_.view());
    if (sent.status == IoStatus::kError) write_broke_ = true;
    if (!sent.ok()) return false;
    held_.Consume(sent.bytes);
    written_ += sent.bytes;
    return true;
  }

  ByteStream& from_;
  ByteStream& to_;
  Buffer held_;
  bool eof_ = false;
  bool finished_ = false;
  bool read_broke_ = false;
  bool write_broke_ = false;
  uint64_t written_ = 0;
};

}  // namespace

Task<SpliceResult> Splice(EventLoop& loop, ByteStream& first, Buffer from_first, ByteStream& second,
                          Buffer from_second, absl::Duration idle) {
  Direction forth(first, second, std::move(from_first));
  Direction back(second, first, std::move(from_second));
  SpliceResult result;
  int busy_turns = 0;
  while (true) {
    const bool moved_forth = forth.Step();
    const bool moved_back = back.Step();
    result.to_first = back.written();
    result.to_second = forth.written();
    if (forth.read_broke() || back.write_broke()) {
      result.end = SpliceEnd::kFirstBroke;
      co_return result;
    }
    if (back.read_broke() || forth.write_broke()) {
      result.end = SpliceEnd::kSecondBroke;
      co_return result;
    }
    if (forth.finished() && back.finished()) co_return result;
    if (moved_forth || moved_back) {
      if (++busy_turns % kBusyTurns == 0) co_await Sleep(loop, absl::ZeroDuration());
      continue;
    }
    busy_turns = 0;
    const bool notified = co_await Wait(
        loop, {&first.readable(), &first.writable(), &second.readable(), &second.writable()},
        loop.Now() + idle);
    if (!notified) {
      result.end = SpliceEnd::kIdle;
      co_return result;
    }
  }
}

}  // namespace weft
