// TlsStream: a ByteStream that encrypts another.
//
// Accept and Connect do the handshake and hand out a stream that is ready; from then on it behaves
// as any ByteStream, with these meanings: kEof is the peer's close_notify; a connection that just
// ends is kError and truncated(), for a body that the end delimits may have been cut. Waiting on
// readable() and writable() waits for the inner stream.
//
// Writing: records are encrypted before it is known whether the inner stream takes them. When it
// does not, the last byte is reported as not yet written. So, as with TCP, whoever got kBlocked or
// a partial write goes on later with the very bytes that are left, and kOk for everything means
// that everything is with the kernel.
//
// One worker's, like its inner stream.
#ifndef WEFT_PROXY_TLS_TLS_STREAM_H_
#define WEFT_PROXY_TLS_TLS_STREAM_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proxy/net/byte_stream.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"
#include "proxy/tls/cipher_io.h"
#include "proxy/tls/tls_context.h"
#include "proxy/tls/verify_callback.h"

namespace weft {

class TlsStream final : public ByteStream {
 public:
  // Server side. `sniffed`: what was already read from `inner`. `loop` must outlive the stream.
  // Errors: DeadlineExceeded; Unauthenticated (the peer's certificate was refused, and why);
  // Unavailable (all else: not TLS, an alert from the peer, connection lost).
  static Task<absl::StatusOr<std::unique_ptr<TlsStream>>> Accept(
      EventLoop& loop, std::unique_ptr<ByteStream> inner,
      std::shared_ptr<const ServerTlsContext> context, Buffer sniffed, MonotonicTime deadline);

  // Client side; errors as above. `host`: the endpoint's name, "" if it has none; it becomes the
  // server name where the context says so. `alpn`, in the wire's form, is offered where the context
  // states none. In TLS 1.3 a server refuses our certificate only after this has succeeded: the
  // refusal comes as an error of the first Read.
  static Task<absl::StatusOr<std::unique_ptr<TlsStream>>> Connect(
      EventLoop& loop, std::unique_ptr<ByteStream> inner,
      std::shared_ptr<const ClientTlsContext> context, MonotonicTime deadline,
      std::string host = "", absl::string_view alpn = "");

  IoResult Read(Buffer& into, size_t at_most) override;
  IoResult Write(absl::Span<const absl::string_view> parts) override;
  using ByteStream::Write;
  void CloseWrite() override;
  void ResetOnClose() override { io_.inner().ResetOnClose(); }
  Signal& readable() override { return io_.inner().readable(); }
  Signal& writable() override { return io_.inner().writable(); }
  std::string error() const override { return error_.empty() ? write_error_ : error_; }
  bool draining() const override { return io_.inner().draining(); }
  const Address& local_address() const override { return io_.inner().local_address(); }
  const Address& peer_address() const override { return io_.inner().peer_address(); }

  // The verified peer; null if it sent no certificate or none was asked for.
  const PeerCertificate* peer() const;
  // Our own URI SAN, empty if there is none.
  const std::string& local_uri() const { return peer_state_.context->local_uri(); }
  absl::string_view alpn() const;     // negotiated, or empty
  absl::string_view sni() const;      // sent by the client, or empty
  absl::string_view version() const;  // "TLSv1.3"
  bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  // Whether the client would be accepted by `now`, another context than that it was accepted by. Of
  // the server side.
  bool StillTrustedBy(const ServerTlsContext& now) const;
  bool StillTrustedBy(const ClientTlsContext& now) const;
  // The connection ended without close_notify.
  bool truncated() const { return truncated_; }
  ByteStream& inner() { return io_.inner(); }

 private:
  TlsStream(EventLoop& loop, std::unique_ptr<ByteStream> inner,
            std::shared_ptr<const TlsContext> context, Buffer already_read);
  bool IsTrustedBy(const TlsContext& now) const;
  Task<absl::Status> Handshake(MonotonicTime deadline);
  absl::Status HandshakeFailure(int ssl_error);
  absl::Status VerifyResumed();
  bool EncryptSome(class WriteCursor& cursor);
  IoResult ReadFailure(int ssl_error);
  IoResult Fail(std::string why);
  IoResult FailWrite();
  Task<> FlushThenClose();

  EventLoop& loop_;
  CipherIo io_;
  TlsPeerState peer_state_;
  bssl::UniquePtr<SSL> ssl_;
  std::string error_;
  std::string write_error_;  // what the peer sent before can still be read
  bool held_back_ = false;   // one byte was encrypted and queued, but not yet reported as written
  bool write_closed_ = false;
  bool truncated_ = false;
  Scope closing_;
};

}  // namespace weft

#endif  // WEFT_PROXY_TLS_TLS_STREAM_H_
