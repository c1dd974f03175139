#include "proxy/tls/tls_stream.h"

#include <openssl/err.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "certs/crypto_error.h"
#include "proxy/tls/client_sessions.h"
#include "proxy/tls/write_cursor.h"

namespace weft {
namespace {

// Records encrypted ahead of one gathered write: 64 KiB a system call is where larger ones stop
// paying, and it bounds what a blocked connection holds.
constexpr size_t kMaxQueuedRecords = 4;
// Read into what room a buffer has left rather than grow it, unless that is less than this.
constexpr size_t kSmallRoom = 2 << 10;

// How soon to try again to send close_notify into a full socket; rare.
constexpr absl::Duration kCloseRetry = absl::Milliseconds(10);

constexpr char kTruncated[] = "connection closed without close_notify";

}  // namespace

TlsStream::TlsStream(EventLoop& loop, std::unique_ptr<ByteStream> inner,
                     std::shared_ptr<const TlsContext> context, Buffer already_read)
    : loop_(loop), io_(std::move(inner), std::move(already_read)) {
  peer_state_.context = std::move(context);
  ssl_.reset(SSL_new(peer_state_.context->ssl_ctx()));
  if (ssl_ == nullptr) std::abort();  // out of memory
  SSL_set_app_data(ssl_.get(), &peer_state_);
  // One reference serves both directions.
  BIO* bio = io_.MakeBio().release();
  SSL_set_bio(ssl_.get(), bio, bio);
  // Nothing that only a handshake needs is kept after it.
  SSL_set_shed_handshake_config(ssl_.get(), 1);
}

Task<absl::StatusOr<std::unique_ptr<TlsStream>>> TlsStream::Accept(
    EventLoop& loop, std::unique_ptr<ByteStream> inner,
    std::shared_ptr<const ServerTlsContext> context, Buffer sniffed, MonotonicTime deadline) {
  std::unique_ptr<TlsStream> stream(
      new TlsStream(loop, std::move(inner), std::move(context), std::move(sniffed)));
  SSL_set_accept_state(stream->ssl_.get());
  const absl::Status status = co_await stream->Handshake(deadline);
  if (!status.ok()) co_return status;
  co_return stream;
}

Task<absl::StatusOr<std::unique_ptr<TlsStream>>> TlsStream::Connect(
    EventLoop& loop, std::unique_ptr<ByteStream> inner,
    std::shared_ptr<const ClientTlsContext> context, MonotonicTime deadline, std::string host,
    absl::string_view alpn) {
  const std::string sni = context->SniFor(host);
  std::unique_ptr<TlsStream> stream(new TlsStream(loop, std::move(inner), context, Buffer()));
  SSL_set_connect_state(stream->ssl_.get());
  if (!sni.empty() && !SSL_set_tlsext_host_name(stream->ssl_.get(), sni.c_str())) {
    co_return certs::CryptoError("TLS server name");
  }
  if (!alpn.empty() && !context->states_alpn() &&
      SSL_set_alpn_protos(stream->ssl_.get(), reinterpret_cast<const uint8_t*>(alpn.data()),
                          static_cast<unsigned>(alpn.size())) != 0) {
    co_return certs::CryptoError("TLS ALPN");
  }
  if (context->verify_sni()) stream->peer_state_.host = sni;
  if (context->max_sessions() > 0) {
    std::string& key = stream->peer_state_.session_key;
    key = absl::StrCat(context->id(), "/", stream->peer_address().ToString(), "/", sni);
    const bssl::UniquePtr<SSL_SESSION> session = ClientSessions::Mine().Take(key);
    if (session != nullptr) SSL_set_session(stream->ssl_.get(), session.get());
  }
  const absl::Status status = co_await stream->Handshake(deadline);
  if (!status.ok()) co_return status;
  co_return stream;
}

Task<absl::Status> TlsStream::Handshake(MonotonicTime deadline) {
  while (true) {
    const int result = SSL_do_handshake(ssl_.get());
    const bool done = result == 1;
    if (done && SSL_is_server(ssl_.get())) {
      const absl::Status verified = VerifyResumed();
      if (!verified.ok()) co_return verified;
    }
    const int ssl_error = SSL_get_error(ssl_.get(), result);
    // Also what a failed handshake has to say: the alert.
    const IoStatus flushed = io_.Flush();
    if (!done && ssl_error != SSL_ERROR_WANT_READ) co_return HandshakeFailure(ssl_error);
    if (flushed == IoStatus::kError) {
      co_return absl::UnavailableError(absl::StrCat("TLS handshake: ", io_.inner().error()));
    }
    if (done && flushed == IoStatus::kOk) co_return absl::OkStatus();
    Signal* const awaited = flushed == IoStatus::kBlocked ? &writable() : &readable();
    const bool in_time = co_await Wait(loop_, {awaited}, deadline);
    if (!in_time) co_return absl::DeadlineExceededError("TLS handshake: timeout");
  }
}

// A client that resumes sends no certificate: the one it had shown is judged again. (BoringSSL does
// this for clients alone.)
absl::Status TlsStream::VerifyResumed() {
  const TlsContext& context = *peer_state_.context;
  const bool showed_one =
      SSL_get0_peer_certificates(ssl_.get()) != nullptr && context.peer_policy().has_value();
  if (!resumed() || !showed_one || peer_state_.certificate.has_value()) return absl::OkStatus();
  absl::StatusOr<PeerCertificate> peer = VerifyPeerOf(ssl_.get(), context, "");
  if (!peer.ok()) {
    SSL_send_fatal_alert(ssl_.get(), SSL_AD_BAD_CERTIFICATE);
    io_.Flush();
    return absl::UnauthenticatedError(absl::StrCat("TLS handshake: ", peer.status().message()));
  }
  peer_state_.certificate = *std::move(peer);
  return absl::OkStatus();
}

bool TlsStream::StillTrustedBy(const ServerTlsContext& now) const {
  if (!now.peer_policy().has_value()) return true;
  if (peer() == nullptr) return !now.requires_client_certificate();
  return IsTrustedBy(now);
}

bool TlsStream::StillTrustedBy(const ClientTlsContext& now) const {
  if (!now.peer_policy().has_value()) return true;
  return peer() != nullptr && IsTrustedBy(now);
}

// Of a peer that showed a certificate.
bool TlsStream::IsTrustedBy(const TlsContext& now) const {
  const std::optional<PeerPolicy>& before = peer_state_.context->peer_policy();
  if (before.has_value() && before->digest() == now.peer_policy()->digest()) return true;
  return VerifyPeerOf(ssl_.get(), now, "").ok();
}

absl::Status TlsStream::HandshakeFailure(int ssl_error) {
  const std::string reason = certs::TakeCryptoReason();
  if (!peer_state_.refusal.empty()) {
    return absl::UnauthenticatedError(absl::StrCat("TLS handshake: ", peer_state_.refusal));
  }
  if (ssl_error == SSL_ERROR_SSL) {
    return absl::UnavailableError(absl::StrCat("TLS handshake: ", reason));
  }
  return absl::UnavailableError(absl::StrCat(
      "TLS handshake: ",
      io_.last_read() == IoStatus::kError ? io_.inner().error() : "connection closed by the peer"));
}

IoResult TlsStream::Fail(std::string why) {
  error_ = std::move(why);
  return {IoStatus::kError, 0};
}

IoResult TlsStream::FailWrite() {
  write_error_ = io_.inner().error();
  return {IoStatus::kError, 0};
}

IoResult TlsStream::Read(Buffer& into, size_t at_most) {
  if (!error_.empty()) return {IoStatus::kError, 0};
  size_t total = 0;
  while (total < at_most) {
    const size_t wanted = std::min(at_most - total, WriteCursor::kMaxRecord);
    const bool roomy = into.writable() >= std::min(wanted, kSmallRoom);
    char* to = into.Reserve(roomy ? 1 : wanted);
    const int got = SSL_read(ssl_.get(), to, static_cast<int>(std::min(wanted, into.writable())));
    if (got <= 0) {
      if (total > 0) break;  // said again by the next call
      into.Consume(0);       // gives an unused block back
      return ReadFailure(SSL_get_error(ssl_.get(), got));
    }
    into.Commit(static_cast<size_t>(got));
    total += static_cast<size_t>(got);
    // More is read only as long as that costs no system call and no growing.
    const bool more_here = SSL_pending(ssl_.get()) > 0 || io_.has_input();
    if (!more_here || into.writable() < kSmallRoom) break;
  }
  return {IoStatus::kOk, total};
}

IoResult TlsStream::ReadFailure(int ssl_error) {
  switch (ssl_error) {
    case SSL_ERROR_WANT_READ:
      return {IoStatus::kBlocked, 0};
    case SSL_ERROR_ZERO_RETURN:
      return {IoStatus::kEof, 0};
    case SSL_ERROR_SSL: {
      std::string reason = certs::TakeCryptoReason();
      io_.Flush();  // the alert, if it can go out
      return Fail(absl::StrCat("TLS: ", reason));
    }
    default:
      certs::TakeCryptoReason();
      if (io_.last_read() == IoStatus::kError) return Fail(io_.inner().error());
      truncated_ = true;
      return Fail(kTruncated);
  }
}

bool TlsStream::EncryptSome(WriteCursor& cursor) {
  while (!cursor.done() && io_.queued() < kMaxQueuedRecords) {
    const absl::string_view record = cursor.Peek();
    const int written = SSL_write(ssl_.get(), record.data(), static_cast<int>(record.size()));
    if (written <= 0) return false;
    cursor.Advance(static_cast<size_t>(written));
  }
  return true;
}

IoResult TlsStream::Write(absl::Span<const absl::string_view> parts) {
  if (!error_.empty() || !write_error_.empty()) return {IoStatus::kError, 0};
  if (write_closed_) return Fail("written to after CloseWrite");
  WriteCursor cursor(parts);
  if (cursor.done()) return {IoStatus::kOk, 0};
  if (held_back_) {
    const IoStatus flushed = io_.Flush();
    if (flushed == IoStatus::kError) return FailWrite();
    if (flushed == IoStatus::kBlocked) return {IoStatus::kBlocked, 0};
    held_back_ = false;
    cursor.Advance(1);
  }
  while (!cursor.done()) {
    if (!EncryptSome(cursor)) return Fail(absl::StrCat("TLS: ", certs::TakeCryptoReason()));
    const IoStatus flushed = io_.Flush();
    if (flushed == IoStatus::kError) return FailWrite();
    if (flushed == IoStatus::kBlocked) {
      held_back_ = true;
      const size_t reported = cursor.taken() - 1;
      return {reported == 0 ? IoStatus::kBlocked : IoStatus::kOk, reported};
    }
  }
  return {IoStatus::kOk, cursor.taken()};
}

void TlsStream::CloseWrite() {
  if (write_closed_) return;
  write_closed_ = true;
  if (!error_.empty() || !write_error_.empty()) return;
  SSL_shutdown(ssl_.get());  // queues close_notify
  ERR_clear_error();
  closing_.Spawn(FlushThenClose());
}

// Normally done before Spawn returns; waits only where the socket is full.
Task<> TlsStream::FlushThenClose() {
  while (true) {
    const IoStatus flushed = io_.Flush();
    if (flushed == IoStatus::kOk) io_.inner().CloseWrite();
    if (flushed != IoStatus::kBlocked) co_return;
    // Not on writable(): a signal has one waiter, and that is whoever still reads from this stream.
    co_await Sleep(loop_, kCloseRetry);
  }
}

const PeerCertificate* TlsStream::peer() const {
  return peer_state_.certificate.has_value() ? &*peer_state_.certificate : nullptr;
}

absl::string_view TlsStream::alpn() const {
  const uint8_t* data = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &data, &size);
  return absl::string_view(reinterpret_cast<const char*>(data), size);
}

absl::string_view TlsStream::sni() const {
  const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? absl::string_view() : absl::string_view(name);
}

absl::string_view TlsStream::version() const { return SSL_get_version(ssl_.get()); }

}  // namespace weft
