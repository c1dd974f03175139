// H2Connection: HTTP/2 over a ByteStream, in either role: an H2Session with a socket. It reads,
// writes and keeps alive in tasks of its own; its streams are H2Streams.
//
// A server takes requests as they come, one task for each:
//   for (;;) {
//     while (auto stream = connection.TakeRequest()) tasks.Spawn(Serve(std::move(stream)));
//     if (connection.ended()) break;
//     co_await Wait(loop, {&connection.arrived(), &connection.changed()}, …);
//   }
// A client opens streams while CanOpen(), and writes the request's head to them at once.
//
// Writing is gathered: streams only mark the connection, and the writer runs behind the tasks that
// are ready in the same turn of the loop, so the frames of many streams leave in one write. Reading
// goes on whoever waits; a peer stays within its windows, which open as streams are Take()n from.
//
// One worker's. Must not be destroyed from inside its own tasks, which call nobody.
#ifndef WEFT_PROXY_STREAM_H2_CONNECTION_H_
#define WEFT_PROXY_STREAM_H2_CONNECTION_H_

#include <cstddef>
#include <memory>

#include "absl/strings/string_view.h"
#include "proxy/base/buffer.h"
#include "proxy/config/http2_options.h"
#include "proxy/http/h2_session.h"
#include "proxy/net/byte_stream.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"
#include "proxy/stream/h2_stream.h"

namespace weft {

class H2Connection {
 public:
  using Role = H2Session::Role;

  // What one write takes at most, and what is read before the other tasks of the loop run: a few
  // TLS records.
  static constexpr size_t kGather = 64 * 1024;

  struct Setup {
    Role role = Role::kServer;
    Http2Options options;
    bool secure = false;             // over TLS: the scheme of requests that name none
    H2Counters* counters = nullptr;  // must outlive the connection; null: not counted
    Buffer already_read;             // taken from `bytes` before, to know that it is HTTP/2
    // From the begin of a head to its end; one that takes longer ends the connection.
    absl::Duration head_timeout = absl::InfiniteDuration();
  };

  // `bytes` is connected, and must outlive the connection.
  H2Connection(EventLoop& loop, ByteStream& bytes, Setup setup);
  // Streams that are still held break.
  ~H2Connection();
  H2Connection(const H2Connection&) = delete;
  H2Connection& operator=(const H2Connection&) = delete;

  // --- Server: the next request that has come, or null. Its head is there.
  std::unique_ptr<HttpStream> TakeRequest();
  // Notified when TakeRequest() may have one.
  Signal& arrived() { return arrived_; }

  // --- Client.
  bool CanOpen() const { return !ended_ && session_.CanOpen(); }
  // Takes a slot at once. Only if CanOpen().
  std::unique_ptr<HttpStream> Open();

  // Notified when a stream has ended, settings came, GOAWAY came, or the connection ended.
  Signal& changed() { return changed_; }
  // Opened by either side, and not over yet.
  size_t open_streams() const { return session_.open_streams(); }
  bool idle() const { return open_streams() == 0 && !session_.has_requests(); }
  // No stream will be opened any more: drained by either side.
  bool going_away() const { return ended_ || session_.going_away(); }
  // Of no more use: it broke, or all was said after going away. Destroy it.
  bool ended() const { return ended_; }
  bool broken() const { return ended_ && *reason() != 0; }
  // Why it broke: stable, for counters, logs and tests; "" if it did not.
  const char* reason() const { return session_.reason(); }

  // Tells the peer to open no more streams; ends when the last one is over. Those that are on their
  // way are still taken until the peer has certainly heard of it, and for `at_most` if it does not
  // say so (RFC 9113, section 6.8).
  void Drain(absl::Duration at_most = absl::InfiniteDuration());
  // Lets those who wait for one of its streams look again, at what its holder knows.
  void WakeAll();
  // The reason() of a head that took too long.
  static constexpr char kHeadTimeout[] = "h2_head_timeout";

 private:
  friend class H2Stream;

  Task<> ReadBytes();
  Task<> WriteBytes();
  Task<> KeepAlive();
  Task<> FinishDrain(absl::Duration wait);
  bool Give(absl::string_view bytes);
  void Announce();
  void End(const char* reason);
  void OnReleased();
  void WantWrite() { want_write_.Notify(); }
  bool write_blocked() const { return write_blocked_; }

  EventLoop& loop_;
  ByteStream& bytes_;
  H2Counters own_counters_;
  H2Session session_;
  const absl::Duration ping_interval_;
  const absl::Duration ping_timeout_;
  const absl::Duration head_timeout_;
  H2Counters& counters_;
  Buffer in_;
  Buffer out_;
  bool write_blocked_ = false;
  bool ended_ = false;
  bool draining_ = false;
  MonotonicTime last_received_;
  Signal received_;  // for KeepAlive
  Signal arrived_;
  Signal changed_;
  Signal want_write_;
  Scope tasks_;  // last: ends before what its tasks use
};

}  // namespace weft

#endif  // WEFT_PROXY_STREAM_H2_CONNECTION_H_
