#include "controlplane/transport/pump.h"

#include "proxy/base/buffer.h"
#include "proxy/runtime/scope.h"

namespace weft {
namespace {

struct End {
  bool reached = false;
  Signal signal;
};

Task<bool> WriteAll(EventLoop& loop, Buffer& buffer, ByteStream& to) {
  while (!buffer.empty()) {
    const IoResult written = to.Write(buffer.view());
    if (written.ok()) {
      buffer.Consume(written.bytes);
    } else if (written.status == IoStatus::kBlocked) {
      co_await Wait(loop, {&to.writable()});
    } else {
      co_return false;
    }
  }
  co_return true;
}

Task<> OneWay(EventLoop& loop, ByteStream& from, ByteStream& to, End& end) {
  Buffer buffer;
  while (true) {
    const IoResult got = from.Read(buffer, Buffer::kBlockSize);
    if (got.status == IoStatus::kBlocked) {
      co_await Wait(loop, {&from.readable()});
      continue;
    }
    if (!got.ok()) {
      if (got.status == IoStatus::kEof) to.CloseWrite();
      break;
    }
    const bool written = co_await WriteAll(loop, buffer, to);
    if (!written) break;
  }
  end.reached = true;
  end.signal.Notify();
}

}  // namespace

Task<> Pump(EventLoop& loop, ByteStream& a, ByteStream& b) {
  End end;
  Scope directions;
  directions.Spawn(OneWay(loop, a, b, end));
  directions.Spawn(OneWay(loop, b, a, end));
  while (!end.reached) co_await Wait(loop, {&end.signal});
}

}  // namespace weft
