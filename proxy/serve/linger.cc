#include "proxy/serve/linger.h"

#include "proxy/base/buffer.h"

namespace weft {
namespace {

// Long enough for what was written to cross continents and back.
constexpr absl::Duration kLinger = absl::Seconds(2);
// Reads thrown away before other connections get their turn.
constexpr int kBusyTurns = 32;

}  // namespace

Task<> Linger(EventLoop& loop, ByteStream& stream) {
  const MonotonicTime deadline = loop.Now() + kLinger;
  Buffer unwanted;
  int reads = 0;
  while (loop.Now() < deadline) {
    const IoResult read = stream.Read(unwanted, Buffer::kBlockSize);
    unwanted.Clear();
    if (read.status == IoStatus::kEof || read.status == IoStatus::kError) co_return;
    if (read.status == IoStatus::kBlocked) {
      const bool notified = co_await Wait(loop, {&stream.readable()}, deadline);
      if (!notified) co_return;
    } else if (++reads % kBusyTurns == 0) {
      co_await Sleep(loop, absl::ZeroDuration());
    }
  }
}

}  // namespace weft
