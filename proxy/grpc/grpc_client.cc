#include "proxy/grpc/grpc_client.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

constexpr size_t kMessagePrefix = 5;  // compressed flag, length
// Bytes gathered for one write.
constexpr size_t kWriteAhead = 64 * 1024;
constexpr uint32_t kMaxHeaderList = 64 * 1024;

absl::string_view View(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

nghttp2_nv Field(absl::string_view name, absl::string_view value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

// What a response without grpc-status means, by its HTTP status (gRPC's "HTTP to gRPC status code
// mapping").
absl::StatusCode CodeOfHttpStatus(int status) {
  switch (status) {
    case 400:
      return absl::StatusCode::kInternal;
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kUnknown;
  }
}

// What a reset stream means (gRPC over HTTP/2, "Errors").
absl::StatusCode CodeOfReset(uint32_t http2_error) {
  switch (http2_error) {
    case NGHTTP2_REFUSED_STREAM:
      return absl::StatusCode::kUnavailable;
    case NGHTTP2_CANCEL:
      return absl::StatusCode::kCancelled;
    case NGHTTP2_ENHANCE_YOUR_CALM:
      return absl::StatusCode::kResourceExhausted;
    case NGHTTP2_INADEQUATE_SECURITY:
      return absl::StatusCode::kPermissionDenied;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

std::string DecodeGrpcMessage(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    int code = 0;
    if (text[i] == '%' && i + 2 < text.size() && absl::ascii_isxdigit(text[i + 1]) &&
        absl::ascii_isxdigit(text[i + 2])) {
      for (const char c : text.substr(i + 1, 2)) {
        code = code * 16 + (absl::ascii_isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
      }
      decoded.push_back(static_cast<char>(code));
      i += 2;
    } else {
      decoded.push_back(text[i]);
    }
  }
  return decoded;
}

// The callbacks of nghttp2. They only note what came; nothing is resumed from inside them.
struct GrpcSession {
  static GrpcConnection& Connection(void* user) { return *static_cast<GrpcConnection*>(user); }
  static GrpcStream* Stream(nghttp2_session* session, int32_t id) {
    return static_cast<GrpcStream*>(nghttp2_session_get_stream_user_data(session, id));
  }

  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name_at,
                      size_t name_size, const uint8_t* value_at, size_t value_size, uint8_t,
                      void*) {
    GrpcStream* stream = Stream(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    const absl::string_view name = View(name_at, name_size);
    const absl::string_view value = View(value_at, value_size);
    int number = 0;
    if (name == ":status" && absl::SimpleAtoi(value, &number)) stream->http_status_ = number;
    if (name == "grpc-status") stream->grpc_status_ = absl::SimpleAtoi(value, &number) ? number : 2;
    if (name == "grpc-message") stream->grpc_message_ = DecodeGrpcMessage(value);
    return 0;
  }

  static int OnData(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data, size_t size,
                    void*) {
    // The connection's window is no one stream's to hold.
    nghttp2_session_consume_connection(session, size);
    GrpcStream* stream = Stream(session, id);
    if (stream != nullptr) stream->OnData(View(data, size));
    return 0;
  }

  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    const bool ends_stream = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    const bool may_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (may_end && ends_stream) OnServerEnded(Stream(session, frame->hd.stream_id));
    if (frame->hd.type == NGHTTP2_GOAWAY) OnGoaway(frame, Connection(user));
    return 0;
  }

  // The call is over then, whether we are done sending or not.
  static void OnServerEnded(GrpcStream* stream) {
    if (stream == nullptr) return;
    const absl::Status status = stream->StatusOfTrailers(NGHTTP2_NO_ERROR);
    if (!stream->send_closed_ || !stream->out_.empty()) stream->Reset(NGHTTP2_NO_ERROR);
    stream->End(status);
  }

  static void OnGoaway(const nghttp2_frame* frame, GrpcConnection& connection) {
    const absl::string_view reason =
        View(frame->goaway.opaque_data, frame->goaway.opaque_data_len).substr(0, 256);
    connection.told_to_ping_less_ = frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM;
    connection.goaway_ = absl::StrCat("the server closes the connection (",
                                      nghttp2_http2_strerror(frame->goaway.error_code),
                                      reason.empty() ? "" : ": ", reason, ")");
  }

  static int OnStreamClose(nghttp2_session* session, int32_t id, uint32_t error, void*) {
    GrpcStream* stream = Stream(session, id);
    if (stream != nullptr) stream->End(stream->StatusOfTrailers(error));
    return 0;
  }

  static ssize_t ReadBody(nghttp2_session* session, int32_t id, uint8_t* to, size_t most,
                          uint32_t* flags, nghttp2_data_source*, void*) {
    GrpcStream* stream = Stream(session, id);
    if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    const size_t size = std::min(most, stream->out_.size());
    if (size > 0) {
      std::memcpy(to, stream->out_.data(), size);
      stream->out_.Consume(size);
      if (stream->out_.size() <= kGrpcSendQueue) stream->sent_.Notify();
    }
    if (stream->out_.empty() && stream->send_closed_) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      return size;
    }
    return size > 0 ? static_cast<ssize_t>(size) : ssize_t{NGHTTP2_ERR_DEFERRED};
  }

  static nghttp2_session* Start(GrpcConnection* connection) {
    nghttp2_session_callbacks* callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnStreamClose);
    nghttp2_option* option;
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_session* session = nullptr;
    nghttp2_session_client_new2(&session, callbacks, connection, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kGrpcWindow},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxHeaderList},
    };
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, std::size(settings));
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, kGrpcWindow);
    return session;
  }
};

GrpcStream::~GrpcStream() {
  if (connection_ == nullptr) return;
  Reset(NGHTTP2_CANCEL);
  End(absl::CancelledError("the call was given up"));
}

absl::Status GrpcStream::Queue(std::string message) {
  if (end_.has_value()) return StatusOfSend();
  if (send_closed_) return absl::FailedPreconditionError("Send() after CloseSend()");
  const uint32_t size = static_cast<uint32_t>(message.size());
  const char prefix[kMessagePrefix] = {0, static_cast<char>(size >> 24),
                                       static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                                       static_cast<char>(size)};
  out_.Reserve(kMessagePrefix + message.size());
  out_.Append({prefix, kMessagePrefix});
  out_.Append(message);
  nghttp2_session_resume_data(connection_->session_, id_);
  connection_->WantWrite();
  return absl::OkStatus();
}

Task<absl::Status> GrpcStream::Send(std::string message) {
  absl::Status queued = Queue(std::move(message));
  if (!queued.ok()) co_return queued;
  while (full()) co_await Wait(connection_->loop_, {&sent_});
  co_return end_.has_value() ? StatusOfSend() : absl::OkStatus();
}

absl::Status GrpcStream::StatusOfSend() const {
  return end_->ok() ? absl::CancelledError("the server ended the call") : *end_;
}

void GrpcStream::CloseSend() {
  if (send_closed_ || connection_ == nullptr) return;
  send_closed_ = true;
  nghttp2_session_resume_data(connection_->session_, id_);
  connection_->WantWrite();
}

std::optional<GrpcStream::Received> GrpcStream::TryReceive() {
  if (!messages_.empty()) {
    std::optional<std::string> message = std::move(messages_.front());
    messages_.pop_front();
    if (messages_.empty() && connection_ != nullptr && unacknowledged_ > 0) {
      nghttp2_session_consume_stream(connection_->session_, id_, unacknowledged_);
      unacknowledged_ = 0;
      connection_->WantWrite();
    }
    return Received(std::move(message));
  }
  if (!end_.has_value()) return std::nullopt;
  if (!end_->ok()) return Received(*end_);
  return Received(std::optional<std::string>());
}

Task<GrpcStream::Received> GrpcStream::Receive(MonotonicTime deadline) {
  for (;;) {
    std::optional<Received> received = TryReceive();
    if (received.has_value()) co_return *std::move(received);
    // No end yet, so the connection is there.
    const bool in_time = co_await Wait(connection_->loop_, {&received_}, deadline);
    if (!in_time) co_return absl::DeadlineExceededError("no answer in time");
  }
}

void GrpcStream::OnData(absl::string_view bytes) {
  unacknowledged_ += bytes.size();
  if (end_.has_value()) return;
  in_.Append(bytes);
  TakeMessages();
  // While the reader lags behind, the server stays within one window.
  if (!messages_.empty() || connection_ == nullptr) return;
  nghttp2_session_consume_stream(connection_->session_, id_, unacknowledged_);
  unacknowledged_ = 0;
}

void GrpcStream::TakeMessages() {
  const size_t most = connection_->options_.max_message;
  while (in_.size() >= kMessagePrefix) {
    const auto byte = [this](size_t i) { return static_cast<uint32_t>(uint8_t(in_.data()[i])); };
    const size_t size = byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4);
    if (byte(0) != 0) {
      Reset(NGHTTP2_PROTOCOL_ERROR);
      return End(absl::InternalError("the server sent a compressed message, unasked"));
    }
    if (size > most) {
      Reset(NGHTTP2_CANCEL);
      return End(absl::ResourceExhaustedError(
          absl::StrCat("a message of ", size, " bytes; the limit is ", most)));
    }
    if (in_.size() < kMessagePrefix + size) return;
    messages_.emplace_back(in_.data() + kMessagePrefix, size);
    in_.Consume(kMessagePrefix + size);
    received_.Notify();
  }
}

absl::Status GrpcStream::StatusOfTrailers(uint32_t http2_error) const {
  if (grpc_status_.has_value()) {
    const bool known = *grpc_status_ >= 0 && *grpc_status_ <= 16;
    const auto code =
        known ? static_cast<absl::StatusCode>(*grpc_status_) : absl::StatusCode::kUnknown;
    if (code == absl::StatusCode::kOk && !in_.empty()) {
      return absl::InternalError("the call ended within a message");
    }
    return absl::Status(code, grpc_message_);
  }
  if (http_status_ != 0 && http_status_ != 200) {
    return absl::Status(CodeOfHttpStatus(http_status_),
                        absl::StrCat("the server answered HTTP status ", http_status_));
  }
  if (http2_error != NGHTTP2_NO_ERROR) {
    return absl::Status(
        CodeOfReset(http2_error),
        absl::StrCat("the server reset the call: ", nghttp2_http2_strerror(http2_error)));
  }
  return absl::InternalError("the call ended without grpc-status");
}

void GrpcStream::Reset(uint32_t http2_error) {
  nghttp2_submit_rst_stream(connection_->session_, NGHTTP2_FLAG_NONE, id_, http2_error);
  connection_->WantWrite();
}

void GrpcStream::End(absl::Status status) {
  if (end_.has_value()) return;
  end_ = std::move(status);
  if (connection_ != nullptr) {
    nghttp2_session_set_stream_user_data(connection_->session_, id_, nullptr);
    auto& streams = connection_->streams_;
    streams.erase(std::remove(streams.begin(), streams.end(), this), streams.end());
    connection_ = nullptr;
  }
  received_.Notify();
  sent_.Notify();
}

GrpcConnection::GrpcConnection(EventLoop& loop, std::unique_ptr<ByteStream> bytes, Options options)
    : loop_(loop),
      bytes_(std::move(bytes)),
      options_(std::move(options)),
      last_received_(loop.Now()) {
  session_ = GrpcSession::Start(this);
  tasks_.Spawn(WriteBytes());
  tasks_.Spawn(ReadBytes());
  tasks_.Spawn(KeepAlive());
}

GrpcConnection::~GrpcConnection() {
  tasks_.Cancel();
  Fail(absl::UnavailableError("the connection was closed"));
  nghttp2_session_del(session_);
}

std::unique_ptr<GrpcStream> GrpcConnection::Open(absl::string_view path,
                                                 const GrpcMetadata& metadata) {
  std::unique_ptr<GrpcStream> stream(new GrpcStream);
  if (!status_.ok()) {
    stream->End(status_);
    return stream;
  }
  std::vector<nghttp2_nv> fields = {
      Field(":method", "POST"),    Field(":scheme", options_.scheme),
      Field(":path", path),        Field(":authority", options_.authority),
      Field("te", "trailers"),     Field("content-type", "application/grpc"),
      Field("user-agent", "weft"),
  };
  for (const auto& [name, value] : metadata) {
    fields.push_back(Field(name, value));
    if (name == "authorization") fields.back().flags |= NGHTTP2_NV_FLAG_NO_INDEX;
  }
  nghttp2_data_provider body;
  body.source.ptr = nullptr;  // found by the stream's id, as the GrpcStream may go first
  body.read_callback = GrpcSession::ReadBody;
  const int32_t id =
      nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(), &body, stream.get());
  if (id < 0) {
    stream->End(absl::UnavailableError(absl::StrCat("open a call: ", nghttp2_strerror(id))));
    return stream;
  }
  stream->id_ = id;
  stream->connection_ = this;
  streams_.push_back(stream.get());
  WantWrite();
  return stream;
}

void GrpcConnection::Fail(absl::Status status) {
  if (!status_.ok()) return;
  status_ = std::move(status);
  while (!streams_.empty()) streams_.back()->End(status_);
}

// False if the connection is of no more use.
bool GrpcConnection::Give(absl::string_view bytes) {
  last_received_ = loop_.Now();
  const ssize_t taken = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (taken < 0) {
    const bool not_http2 = taken == NGHTTP2_ERR_BAD_CLIENT_MAGIC || taken == NGHTTP2_ERR_PROTO;
    Fail(absl::UnavailableError(absl::StrCat("HTTP/2: ", nghttp2_strerror(static_cast<int>(taken)),
                                             not_http2 ? " (does the server speak HTTP/2?)" : "")));
    return false;
  }
  WantWrite();
  if (nghttp2_session_want_read(session_) || nghttp2_session_want_write(session_)) return true;
  Fail(absl::UnavailableError(goaway_.empty() ? "HTTP/2 ended" : goaway_));
  return false;
}

Task<> GrpcConnection::ReadBytes() {
  Buffer in;
  for (;;) {
    const IoResult got = bytes_->Read(in, Buffer::kBlockSize);
    switch (got.status) {
      case IoStatus::kOk:
        if (!Give(in.view())) co_return;
        in.Clear();
        break;
      case IoStatus::kBlocked:
        co_await Wait(loop_, {&bytes_->readable()});
        break;
      case IoStatus::kEof:
        Fail(
            absl::UnavailableError(goaway_.empty() ? "the server closed the connection" : goaway_));
        co_return;
      case IoStatus::kError:
        Fail(absl::UnavailableError(absl::StrCat("the connection broke: ", bytes_->error())));
        co_return;
    }
  }
}

// Gathers what HTTP/2 has to send; false if that failed.
bool GrpcConnection::FillOut() {
  while (out_.size() < kWriteAhead) {
    const uint8_t* data;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) {
      Fail(absl::InternalError(absl::StrCat("HTTP/2: ", nghttp2_strerror(static_cast<int>(size)))));
      return false;
    }
    if (size == 0) break;
    out_.Append(View(data, size));
  }
  return true;
}

Task<> GrpcConnection::WriteBytes() {
  while (status_.ok() && FillOut()) {
    if (out_.empty()) {
      co_await Wait(loop_, {&want_write_});
      continue;
    }
    const IoResult wrote = bytes_->Write(out_.view());
    if (wrote.ok()) {
      out_.Consume(wrote.bytes);
    } else if (wrote.status == IoStatus::kBlocked) {
      co_await Wait(loop_, {&bytes_->writable()});
    } else {
      Fail(absl::UnavailableError(absl::StrCat("the connection broke: ", bytes_->error())));
    }
  }
}

Task<> GrpcConnection::KeepAlive() {
  while (status_.ok()) {
    co_await Sleep(loop_, options_.ping_interval);
    const MonotonicTime asked = loop_.Now();
    nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
    WantWrite();
    co_await Sleep(loop_, options_.ping_timeout);
    if (last_received_ >= asked) continue;
    Fail(absl::UnavailableError(absl::StrCat("the server did not answer a ping in ",
                                             absl::FormatDuration(options_.ping_timeout))));
  }
}

Task<absl::StatusOr<std::string>> UnaryCall(GrpcConnection& connection, std::string path,
                                            GrpcMetadata metadata, std::string request,
                                            MonotonicTime deadline) {
  std::unique_ptr<GrpcStream> stream = connection.Open(path, metadata);
  // If it fails, the call's status says why.
  (void)co_await stream->Send(std::move(request));
  stream->CloseSend();
  GrpcStream::Received response = co_await stream->Receive(deadline);
  if (!response.ok()) co_return response.status();
  if (!response->has_value()) co_return absl::InternalError("the server answered nothing");
  const GrpcStream::Received end = co_await stream->Receive(deadline);
  if (!end.ok()) co_return end.status();
  if (end->has_value()) co_return absl::InternalError("the server answered twice");
  co_return **std::move(response);
}

}  // namespace weft
