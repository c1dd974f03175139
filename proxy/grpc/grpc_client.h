// GrpcConnection and GrpcStream: a gRPC client on our own loop and byte streams: HTTP/2 by
// nghttp2, then messages with a 5-byte prefix. libgrpc itself would bring threads and some 10 MB.
//
//   GrpcConnection connection(loop, std::move(bytes), {});
//   auto stream = connection.Open("/package.Service/Method", {});
//   co_await stream->Send(request);
//   auto message = co_await stream->Receive();
//
// The connection runs its own reading, writing and keep-alive in a Scope, so it must not be
// destroyed from a task of its own (it starts none that call out). Streams may outlive it: they end
// with kUnavailable. Everything belongs to the loop's thread.
#ifndef WEFT_PROXY_GRPC_GRPC_CLIENT_H_
#define WEFT_PROXY_GRPC_GRPC_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proxy/base/buffer.h"
#include "proxy/net/byte_stream.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

struct nghttp2_session;

namespace weft {

class GrpcConnection;
struct GrpcSession;  // the callbacks of nghttp2; grpc_client.cc

// Names in lower case, as HTTP/2 wants them.
using GrpcMetadata = std::vector<std::pair<std::string, std::string>>;

// The largest message taken unless another limit is given; a mesh of 10,000 services has been seen
// to need 20 MB.
inline constexpr size_t kMaxGrpcMessage = 64 * 1024 * 1024;
// How much a server may send ahead of us, for a stream and for the connection.
inline constexpr int32_t kGrpcWindow = 4 * 1024 * 1024;
// How much may wait to be sent before Send() waits.
inline constexpr size_t kGrpcSendQueue = 1024 * 1024;

class GrpcStream {
 public:
  // Tells the server that nobody listens any more, if the call is still open.
  ~GrpcStream();
  GrpcStream(const GrpcStream&) = delete;
  GrpcStream& operator=(const GrpcStream&) = delete;

  // Queues a message; waits while much is queued. Fails with the call's status once it is over.
  Task<absl::Status> Send(std::string message);
  // The same without waiting, for who asks full() first; sent() is notified when it may have
  // changed.
  absl::Status Queue(std::string message);
  bool full() const { return !end_.has_value() && out_.size() > kGrpcSendQueue; }
  Signal& sent() { return sent_; }
  // No more messages from us.
  void CloseSend();

  // The next message; nothing when the server ended the call with OK; else the call's status, or
  // kDeadlineExceeded.
  using Received = absl::StatusOr<std::optional<std::string>>;
  Task<Received> Receive(MonotonicTime deadline = kNever);
  // The same without waiting: nothing if there is neither a message nor an end yet.
  std::optional<Received> TryReceive();
  // Notified when TryReceive() may have something.
  Signal& received() { return received_; }

 private:
  friend class GrpcConnection;
  friend struct GrpcSession;
  GrpcStream() = default;

  void OnData(absl::string_view bytes);
  void TakeMessages();
  // The call is over; the first status stays.
  void End(absl::Status status);
  void Reset(uint32_t http2_error);
  absl::Status StatusOfTrailers(uint32_t http2_error) const;
  absl::Status StatusOfSend() const;

  GrpcConnection* connection_ = nullptr;  // null once the call is over
  int32_t id_ = 0;
  Buffer out_;
  bool send_closed_ = false;
  Buffer in_;  // bytes of an unfinished message
  std::deque<std::string> messages_;
  size_t unacknowledged_ = 0;  // bytes taken in for which the server got no new window yet
  int http_status_ = 0;
  std::optional<int> grpc_status_;
  std::string grpc_message_;
  std::optional<absl::Status> end_;
  Signal received_;
  Signal sent_;
};

class GrpcConnection {
 public:
  struct Options {
    std::string authority = "weftd";
    std::string scheme = "http";  // "https" over TLS
    size_t max_message = kMaxGrpcMessage;
    // A peer that vanished without a word is noticed within the sum of the two.
    absl::Duration ping_interval = absl::Seconds(10);
    absl::Duration ping_timeout = absl::Seconds(5);
  };

  // `bytes` is connected, and to a server that speaks HTTP/2 from the first byte.
  GrpcConnection(EventLoop& loop, std::unique_ptr<ByteStream> bytes, Options options);
  ~GrpcConnection();
  GrpcConnection(const GrpcConnection&) = delete;
  GrpcConnection& operator=(const GrpcConnection&) = delete;

  // Starts a call: `path` is "/package.Service/Method". Never null; on a broken connection the
  // stream has ended already.
  std::unique_ptr<GrpcStream> Open(absl::string_view path, const GrpcMetadata& metadata);

  // Why the connection is of no more use; OK while it is.
  const absl::Status& status() const { return status_; }
  // The server closed because pings came too often: reconnect with a longer interval.
  bool told_to_ping_less() const { return told_to_ping_less_; }
  ByteStream& bytes() { return *bytes_; }

 private:
  friend class GrpcStream;
  friend struct GrpcSession;

  Task<> ReadBytes();
  Task<> WriteBytes();
  Task<> KeepAlive();
  bool Give(absl::string_view bytes);
  bool FillOut();
  void Fail(absl::Status status);
  void WantWrite() { want_write_.Notify(); }

  EventLoop& loop_;
  std::unique_ptr<ByteStream> bytes_;
  const Options options_;
  nghttp2_session* session_ = nullptr;
  std::vector<GrpcStream*> streams_;
  Buffer out_;
  MonotonicTime last_received_;
  bool told_to_ping_less_ = false;
  std::string goaway_;
  absl::Status status_;
  Signal want_write_;
  Scope tasks_;  // last: ends before what its tasks use
};

// One request, one response. `deadline` also limits the wait for the answer.
Task<absl::StatusOr<std::string>> UnaryCall(GrpcConnection& connection, std::string path,
                                            GrpcMetadata metadata, std::string request,
                                            MonotonicTime deadline);

// Undoes the escaping of grpc-message: "a%20b" is "a b"; what is no escape stays.
std::string DecodeGrpcMessage(absl::string_view text);

}  // namespace weft

#endif  // WEFT_PROXY_GRPC_GRPC_CLIENT_H_
