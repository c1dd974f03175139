// HttpStream: one exchange at one end of the proxy: a message that comes in and one that goes out,
// the same for HTTP/1.1 and HTTP/2. On the client's side a request comes in and a response goes
// out; on the endpoint's side it is the other way round. What a protocol does differently ends
// here: the request path and Forward see heads, pieces of bodies, trailers and ends.
//
// It pulls and never waits. What can make no progress says so; then wait on readable() or
// writable() (proxy/runtime/event_loop.h) and ask again. Backpressure is not asking for more. Small
// writes are gathered: Flush() when there is nothing more to write for now.
//
//   switch (from.Next()) {
//     case kBody: from.Take(to.Write(from.body()));  break;
//     case kEnd:  to.WriteEnd(from.trailers());      break;
//     case kBlocked: to.Flush(); co_await Wait(loop, {&from.readable(), &to.writable()}, …);
//   }
//
// Upgrades look the same over both protocols: a request with Connection: Upgrade and Upgrade (over
// HTTP/2 the extended CONNECT of RFC 8441), a response of 101; CONNECT and a 2xx. Once such a
// response's head was taken from, or written to, a stream, its two directions are a tunnel: body()
// is raw bytes, kEnd is the end of that direction (half-close), and WriteEnd() ends the other.
//
// One worker's. At most one coroutine waits on each signal.
#ifndef WEFT_PROXY_STREAM_HTTP_STREAM_H_
#define WEFT_PROXY_STREAM_HTTP_STREAM_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "proxy/http/head.h"
#include "proxy/runtime/event_loop.h"

namespace weft {

// Why a stream broke.
struct StreamFailure {
  enum class Kind : uint8_t {
    kNone,
    kReset,     // cut by the peer or the network
    kRefused,   // certainly not processed: REFUSED_STREAM, or beyond the last id of a GOAWAY
    kProtocol,  // what came is malformed; on the client's side answer `status`
  };
  Kind kind = Kind::kNone;
  int status = 0;           // kProtocol of a request: 400, 413, 431, 501, 505
  const char* reason = "";  // stable, for counters, logs and tests
};

class HttpStream {
 public:
  enum class Event : uint8_t {
    kBlocked,  // nothing now; wait for readable()
    kHead,     // request() or response(). A response of 1xx but 101 is an interim one: the next
               // event is another head. On the client's side the head is here from the start
    kBody,     // body() is not empty; Take() some of it, then ask again
    kEnd,      // the message is complete: trailers()
    kBroken,   // failure(); nothing more comes
  };

  virtual ~HttpStream() = default;

  // --- What comes in.
  // At most one system call. After kEnd and kBroken the same again.
  virtual Event Next() = 0;
  // Of the last kBody; valid until the next call that is not const, but for writes to other
  // streams.
  virtual absl::string_view body() const = 0;
  virtual void Take(size_t bytes) = 0;  // at most body().size()
  // The head that came; the caller may change it. Of the client's side, and of the endpoint's.
  virtual RequestHead& request() = 0;
  virtual ResponseHead& response() = 0;
  // How long the message that comes in is, as far as its head says. kChunked also stands for a body
  // of unknown length over HTTP/2; kTunnel for a CONNECT or Upgrade.
  virtual BodyLength incoming() const = 0;
  virtual Headers& trailers() = 0;
  virtual const StreamFailure& failure() const = 0;
  // On the client's side, while it waits for its response: whether it went away. At most one system
  // call.
  virtual bool PeerGone() = 0;
  // Some byte of an answer has come: trying again elsewhere could repeat what was done. Of the
  // endpoint's side.
  virtual bool heard() const = 0;

  // Of the endpoint's side: the connection takes no more requests, though this one may go on.
  virtual bool draining() const { return false; }

  // --- What goes out. The heads are written as they are; RemoveHopByHop first. What Upgrade and
  // Connection fields an accepted upgrade has are the caller's.
  // kNone ends the message with its head, unless it asks for or accepts a tunnel. Interim responses
  // may precede the final one.
  virtual void WriteHead(const RequestHead& head, BodyLength body) = 0;
  virtual void WriteHead(const ResponseHead& head, BodyLength body) = 0;
  // Takes bytes off the front of `piece`; returns how many, 0 when blocked or broken.
  virtual size_t Write(absl::string_view piece) = 0;
  virtual void WriteEnd(const Headers& trailers) = 0;
  enum class Flushed : uint8_t {
    kDone,     // all that was written is on its way
    kBlocked,  // wait for writable()
    kBroken,   // the peer takes no more; what it said before may still come
  };
  virtual Flushed Flush() = 0;
  // Gives the exchange up: HTTP/2 resets the stream, HTTP/1 the connection (or at least does not
  // use it again). For a message that cannot be completed; must not be followed by writes.
  virtual void Abort() = 0;

  virtual Signal& readable() = 0;
  virtual Signal& writable() = 0;
};

}  // namespace weft

#endif  // WEFT_PROXY_STREAM_HTTP_STREAM_H_
