// ByteStream: an ordered flow of bytes in both directions: a connection, or TLS over one.
//
// Reads and writes never wait. One that can make no progress answers kBlocked; then wait on
// readable() or writable() (proxy/runtime/event_loop.h) and try again. Backpressure is not asking
// for more. At most one coroutine waits on each signal.
//
//   IoResult got = stream.Read(buffer, Buffer::kBlockSize);
//   if (got.status == IoStatus::kBlocked) co_await Wait(loop, {&stream.readable()}, deadline);
#ifndef WEFT_PROXY_NET_BYTE_STREAM_H_
#define WEFT_PROXY_NET_BYTE_STREAM_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proxy/base/buffer.h"
#include "proxy/net/address.h"
#include "proxy/runtime/event_loop.h"

namespace weft {

enum class IoStatus {
  kOk,       // `bytes` > 0 were moved
  kBlocked,  // nothing now; wait for the signal
  kEof,      // the peer closed its side in an orderly way (FIN, close_notify); reads only
  kError,    // the connection is broken: reset, or cut without close_notify; error() says why
};

struct IoResult {
  IoStatus status = IoStatus::kBlocked;
  size_t bytes = 0;

  bool ok() const { return status == IoStatus::kOk; }
};

class ByteStream {
 public:
  virtual ~ByteStream() = default;

  // Appends up to `at_most` bytes to `into`. May reserve more room in it than it fills. Who can use
  // more than a block at once offers Buffer::kLargeBlockSize: a socket begins with a block all the
  // same, and takes more at once only where more than that comes at once.
  virtual IoResult Read(Buffer& into, size_t at_most) = 0;
  // Writes from the front of `parts`, in order; kOk may mean a part of them.
  virtual IoResult Write(absl::Span<const absl::string_view> parts) = 0;
  // Ends our side (FIN, after close_notify for TLS); reading goes on. Idempotent.
  virtual void CloseWrite() = 0;
  // Makes the destruction a reset rather than an orderly end, to pass on that the other side was
  // cut.
  virtual void ResetOnClose() = 0;

  virtual Signal& readable() = 0;
  virtual Signal& writable() = 0;
  // What broke the connection, for logs and for classifying failures: "connection reset by peer".
  virtual std::string error() const = 0;

  // The peer has asked for no more to be begun on it: a gateway that goes. What is under way may
  // come to its end.
  virtual bool draining() const { return false; }

  virtual const Address& local_address() const = 0;
  virtual const Address& peer_address() const = 0;

  IoResult Write(absl::string_view bytes) {
    return Write(absl::Span<const absl::string_view>(&bytes, 1));
  }
};

}  // namespace weft

#endif  // WEFT_PROXY_NET_BYTE_STREAM_H_
