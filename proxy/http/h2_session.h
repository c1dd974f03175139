// H2Session: one HTTP/2 connection as bytes (RFC 9113): bytes in, news of streams out; heads and
// pieces of bodies in, frames out. A thin layer over nghttp2, for both roles. No sockets, no clock.
//
//   if (!session.Receive(bytes, now)) the connection is over: Fill() what is left, then close;
//   while (H2StreamState* stream = session.TakeChanged()) wake who holds it;
//   session.Fill(out, most) gathers the frames of every stream into one buffer.
//
// nghttp2 calls back while it reads and writes; all that does is note what came. Whoever holds a
// stream finds the news in its H2StreamState.
//
// Streams belong to the session and are used again by later ones of the thread. The holder of one
// gives it back by Release(); what was written to its end is still sent then, and one that is not
// complete is reset.
//
// Defence: everything a peer can make us hold or do without work of its own is bounded, by nghttp2
// or here, and what exceeds the bound ends the connection with a reason() and a count. The bounds
// are in Http2Options.
#ifndef WEFT_PROXY_HTTP_H2_SESSION_H_
#define WEFT_PROXY_HTTP_H2_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proxy/base/buffer.h"
#include "proxy/config/http2_options.h"
#include "proxy/http/h2_fields.h"
#include "proxy/http/head.h"
#include "proxy/telemetry/counters.h"

struct nghttp2_session;

namespace weft {

class H2Session;
struct H2StreamState;

// How a stream ended before its time. The same kinds as StreamFailure's.
struct H2Failure {
  enum class Kind : uint8_t { kNone, kReset, kRefused, kProtocol };
  Kind kind = Kind::kNone;
  int status = 0;
  const char* reason = "";

  bool ok() const { return kind == Kind::kNone; }
};

// How far a stream is; what a new one starts with.
struct H2StreamProgress {
  // --- What came.
  BodyLength incoming;
  bool head_done = false;  // the request, or the final response
  bool in_ended = false;   // and so are the trailers
  H2Failure failure;

  // --- What goes.
  bool answered = false;   // the final response's head was written, on the server's side
  bool out_ended = false;  // nothing more will be written
  bool closed = false;     // no frame will be sent any more

  void* holder = nullptr;  // the holder's own

  // --- The session's.
  H2Session* session = nullptr;  // null once it is gone: the holder then owns this
  int32_t id = 0;                // 0: a request not written yet
  H2Asked asked = H2Asked::kOther;
  bool held = false;
  bool queued = false;     // waits for TakeRequest()
  bool changed = false;    // is in the list of TakeChanged()
  bool head_sent = false;  // its frame is on the way
  bool end_sent = false;
  bool deferred = false;   // nghttp2 waits for Write()
  bool throttled = false;  // Write() took less than it was given
  bool flushing = false;   // its holder waits for `out` to be sent
  bool reset_by_us = false;
  bool provoked = false;  // into being reset: by what the peer sent on it
  bool reset_by_peer = false;
  H2StreamState* previous = nullptr;  // of all streams of the session
  H2StreamState* next = nullptr;
  H2StreamState* next_changed = nullptr;
  H2StreamState* next_request = nullptr;
};

// One stream. Its holder reads it, and changes the heads; the rest is the session's.
struct H2StreamState : H2StreamProgress {
  RequestHead request;
  // Interim responses that came before `response`, in order.
  std::vector<ResponseHead> interim;
  ResponseHead response;
  Headers trailers;
  Buffer in;  // give it back by Take()
  Buffer out;
  Headers out_trailers;
  std::string protocol;  // of an extended CONNECT that we sent
};

class H2Session {
 public:
  enum class Role : uint8_t { kServer, kClient };

  // Bytes of one stream that wait for the peer's window, above which Write() takes no more, and
  // below which it takes some again.
  static constexpr size_t kHighWater = 64 * 1024;
  static constexpr size_t kLowWater = 32 * 1024;
  // 1xx responses before the final one.
  static constexpr size_t kMaxInterimResponses = 16;
  // Streams that a peer may reset, or make us reset, at once; every one it sees to its end earns
  // one, and time some more. A page left, or a backend that hangs, resets many at once.
  static constexpr double kResetBurst = 1000;
  static constexpr double kResetsPerSecond = 33;

  // `counters` must outlive the session. `secure` is for the scheme of requests that name none.
  H2Session(Role role, const Http2Options& options, bool secure, H2Counters* counters);
  // What is held outlives it: failed, and its holder's own.
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  // --- The connection.
  // False if it is of no more use: Fill() may still say why to the peer. `now` is any clock that
  // only goes forward.
  bool Receive(absl::string_view bytes, absl::Duration now);
  // Appends frames until `out` holds `most` bytes, or a frame more. False as for Receive().
  bool Fill(Buffer& out, size_t most);
  bool wants_write() const;
  // There is nothing more to come or to send.
  bool over() const;
  // Why the connection broke: stable, or "".
  const char* reason() const { return reason_; }
  // Fails all streams, as the connection is gone.
  void Fail(const char* reason);
  void Ping();
  // Tells the peer to open no more streams. A server keeps taking those that are on their way for
  // one round trip, or until FinishDrain(). The connection is over() when the last stream is.
  void Drain();
  void FinishDrain();
  // Counts the heads that come; 0 unless the last one has begun but not ended. Nothing else can
  // come before its end.
  uint64_t head_under_way() const { return amid_head_ ? heads_ : 0; }

  // --- News.
  H2StreamState* TakeChanged();
  // A request whose head has come, or null. The caller holds it from now on.
  H2StreamState* TakeRequest();
  bool has_requests() const { return first_request_ != nullptr; }
  // Settings came, or a stream closed, since the last call.
  bool TakeSlotsChanged();

  template <typename Call>  // void(H2StreamState&)
  void ForEachHeld(Call call) {
    for (H2StreamState* stream = streams_; stream != nullptr; stream = stream->next) {
      if (stream->held) call(*stream);
    }
  }

  size_t open_streams() const { return open_; }
  // A head has begun that more CONTINUATION frames are to complete: until then nothing else comes.
  bool amid_head() const { return amid_head_; }
  bool going_away() const { return draining_ || goaway_received_; }

  // --- Client: whether a stream may be opened, and a new one; the caller holds it.
  bool CanOpen() const;
  H2StreamState* Open();

  // --- Streams.
  void WriteRequest(H2StreamState& stream, const RequestHead& head, BodyLength body);
  void WriteResponse(H2StreamState& stream, const ResponseHead& head, BodyLength body);
  size_t Write(H2StreamState& stream, absl::string_view piece);
  void WriteEnd(H2StreamState& stream, const Headers& trailers);
  // Whether all that was written will be sent without the peer's doing; else news come when it was.
  bool Flush(H2StreamState& stream);
  void Take(H2StreamState& stream, size_t bytes);
  void Reset(H2StreamState& stream);
  void Release(H2StreamState& stream);
  // Of a stream whose session is gone.
  static void Discard(H2StreamState* stream);

  const Http2Options& options() const { return options_; }

 private:
  struct Callbacks;  // what nghttp2 calls; h2_session.cc

  void Start();
  void SubmitSettings();
  H2StreamState* Add();
  void FreeIfDone(H2StreamState& stream);
  void Changed(H2StreamState& stream);
  void FailStream(H2StreamState& stream, H2Failure failure);
  void Refuse(H2StreamState& stream, H1Error error);
  void ResetStream(H2StreamState& stream, uint32_t code);
  void Resume(H2StreamState& stream);
  bool IsUnsent(const H2StreamState& stream) const;
  void DropInput(H2StreamState& stream);
  void DropOutput(H2StreamState& stream);

  void OnGoaway(uint32_t code);
  void OnHead(H2StreamState& stream, bool ends);
  void OnRequest(H2StreamState& stream, bool ends);
  void OnResponse(H2StreamState& stream, bool ends);
  void OnTrailers(H2StreamState& stream);
  void OnInputEnd(H2StreamState& stream);
  void OnData(H2StreamState& stream, absl::string_view bytes);
  void OnEndSent(H2StreamState& stream);
  void OnClosed(H2StreamState& stream, uint32_t code);
  H2Failure FailureOf(const H2StreamState& stream, uint32_t code) const;
  H2StreamState* Find(int32_t id) const;

  bool FitsWindow(const H2StreamState& stream) const;
  void OnBytesSent(H2StreamState& stream, size_t bytes);
  void CountEmpty(bool empty);
  void CountPriority();
  void CountWindowUpdate();
  void Refill(absl::Duration now);
  void CountReset();
  void CountStray(int32_t id);
  // Ends the connection for what the peer did.
  void Kill(uint32_t code, const char* reason, uint64_t& counter);
  int StopIfKilled() const;

  const Role role_;
  const Http2Options options_;
  const absl::string_view scheme_;
  H2Counters* const counters_;
  nghttp2_session* session_ = nullptr;
  const char* reason_ = "";
  bool failed_ = false;
  bool killed_ = false;
  uint32_t kill_code_ = 0;
  bool receiving_ = false;

  H2FieldReader reader_;
  Buffer* filling_ = nullptr;

  H2StreamState* streams_ = nullptr;
  H2StreamState* first_changed_ = nullptr;
  H2StreamState* last_changed_ = nullptr;
  H2StreamState* first_request_ = nullptr;
  H2StreamState* last_request_ = nullptr;
  size_t open_ = 0;
  size_t unsent_ = 0;  // bytes in the streams' `out`
  bool slots_changed_ = false;
  bool settings_received_ = false;
  uint64_t heads_ = 0;
  bool amid_head_ = false;
  bool draining_ = false;
  bool drained_ = false;  // the last GOAWAY was given out
  bool goaway_received_ = false;

  // Against floods.
  uint64_t streams_seen_ = 0;
  uint64_t data_frames_sent_ = 0;
  uint64_t priority_frames_ = 0;
  uint64_t window_updates_ = 0;
  uint32_t empty_frames_ = 0;  // in a row
  uint64_t resets_sent_ = 0;
  uint64_t strays_ = 0;
  int32_t last_id_ = 0;  // the highest the peer opened
  double resets_left_ = kResetBurst;
  absl::Duration refilled_ = absl::ZeroDuration();
};

}  // namespace weft

#endif  // WEFT_PROXY_HTTP_H2_SESSION_H_
