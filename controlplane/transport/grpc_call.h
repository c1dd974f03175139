// GrpcCall: one call at the server of it: messages in, messages out, and a status at the end.
//
// It pulls and never waits, but for Receive(). A handler that has more to wait for than messages
// asks, and then waits for all of it:
//
//   for (;;) {
//     switch (call.Next(&message)) { case kMessage: …; continue; case kEnd: co_return
//     call.status(); } if (call.Flush() && more to say) { call.Send(…); continue; } co_await
//     Wait(loop, {&call.readable(), &call.writable(), &more});
//   }
//
// Belongs to the loop's thread.
#ifndef WEFT_CONTROLPLANE_TRANSPORT_GRPC_CALL_H_
#define WEFT_CONTROLPLANE_TRANSPORT_GRPC_CALL_H_

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "certs/spiffe_id.h"
#include "proxy/base/buffer.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"
#include "proxy/stream/http_stream.h"

namespace weft {

// Who is at the other end of a connection.
struct GrpcPeer {
  std::string address;                      // "10.0.0.1:40000"
  bool secure = false;                      // over TLS
  std::optional<certs::SpiffeId> identity;  // nothing if no certificate was shown
  std::string issuer_key_id;                // of that certificate (certs/certificate.h)
};

// An encoded message that is made while it is written: what a client has not taken yet is not there
// yet, and what is the same for a thousand of them is in memory once.
class GrpcPayload {
 public:
  virtual ~GrpcPayload() = default;
  // Of all pieces.
  virtual size_t size() const = 0;
  // The next piece, valid until the next call; empty: that was all.
  virtual absl::string_view Next() = 0;
};

class GrpcCall {
 public:
  // `stream` is a request whose head was looked at: POST, application/grpc. Everything given must
  // outlive the call.
  GrpcCall(EventLoop& loop, HttpStream& stream, const GrpcPeer& peer, size_t max_message)
      : loop_(loop), stream_(stream), peer_(peer), max_message_(max_message) {}
  GrpcCall(const GrpcCall&) = delete;
  GrpcCall& operator=(const GrpcCall&) = delete;

  const GrpcPeer& peer() const { return peer_; }
  // The one value of a field of the request's metadata; "" if there is none, or more than one.
  std::string Metadata(absl::string_view name) const;

  enum class Event {
    kNothing,  // yet: wait for readable()
    kMessage,
    kEnd,  // nothing more comes: status() says why
  };
  Event Next(std::string* message);
  // The same, and waits until there is something; meanwhile what was sent goes out.
  Task<Event> Receive(std::string* message);
  // After kEnd: OK if the client has said all; else what to end the call with.
  const absl::Status& status() const { return status_; }

  void Send(std::unique_ptr<GrpcPayload> message);
  void Send(std::string message);
  // Hands on what the connection takes; true if there is nothing left, else wait for writable().
  bool Flush();

  // Says how the call ended, after what was sent; then waits until all of it is on its way, or the
  // client has gone. By the server, when the handler is done.
  Task<> Finish(const absl::Status& status);

  Signal& readable() { return stream_.readable(); }
  Signal& writable() { return stream_.writable(); }

 private:
  bool TakeMessage(std::string* message);
  Event End(absl::Status status);
  void BeginMessage();
  void WriteHead();

  EventLoop& loop_;
  HttpStream& stream_;
  const GrpcPeer& peer_;
  const size_t max_message_;
  Buffer in_;  // of a message that is not complete yet
  std::deque<std::unique_ptr<GrpcPayload>> out_;
  std::string prefix_;       // of the first message of `out_`
  absl::string_view piece_;  // of it, what is not written yet
  bool head_written_ = false;
  bool ended_ = false;
  absl::Status status_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSPORT_GRPC_CALL_H_
