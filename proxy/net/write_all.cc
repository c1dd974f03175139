#include "proxy/net/write_all.h"

namespace weft {

Task<bool> WriteAll(EventLoop& loop, ByteStream& stream, Buffer& out, MonotonicTime deadline) {
  while (!out.empty()) {
    const IoResult sent = stream.Write(out.view());
    if (sent.status == IoStatus::kError) co_return false;
    out.Consume(sent.bytes);
    if (sent.status != IoStatus::kBlocked) continue;
    const bool notified = co_await Wait(loop, {&stream.writable()}, deadline);
    if (!notified) co_return false;
  }
  co_return true;
}

}  // namespace weft
