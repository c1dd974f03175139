#include "proxy/net/tcp.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

// After <netinet/in.h>, of which they define a part again.
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

// Parts of one gathered write; more are left for the next call.
constexpr int kMaxParts = 64;
// Accepted in a row, at most, before the connections that are here get their turn.
constexpr int kMostAccepts = 64;
// How long accepting pauses when the process has no descriptors left.
constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);

using NameCall = int (*)(int, sockaddr*, socklen_t*);

Address SocketName(int fd, NameCall call) {
  sockaddr_storage storage;
  socklen_t length = sizeof(storage);
  if (call(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return Address();
  return Address::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), length);
}

bool SetOption(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

void SetKeepalive(int fd, const TcpKeepalive& keepalive) {
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive.idle_seconds);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, keepalive.interval_seconds);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPCNT, keepalive.probes);
}

absl::Status SystemError(absl::string_view what, int error) {
  return absl::UnavailableError(absl::StrCat(what, ": ", strerror(error)));
}

}  // namespace

TcpStream::TcpStream(EventLoop& loop, int fd)
    : TcpStream(loop, fd, SocketName(fd, getsockname), SocketName(fd, getpeername)) {
  if (local_.family() != AF_UNIX) SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

TcpStream::TcpStream(EventLoop& loop, int fd, const Address& local, const Address& peer)
    : fd_(loop, fd, WatchedFd::kReadable | WatchedFd::kWritable | WatchedFd::kEnding, OnEvent,
          this),
      local_(local),
      peer_(peer) {}

void TcpStream::OnEvent(void* self, uint32_t events) {
  TcpStream* stream = static_cast<TcpStream*>(self);
  if (events & WatchedFd::kEnding) stream->peer_ending_ = true;
  if (events & WatchedFd::kReadable) {
    stream->may_read_ = true;
    stream->readable_.Notify();
  }
  if (events & WatchedFd::kWritable) {
    stream->may_write_ = true;
    stream->writable_.Notify();
  }
}

IoResult TcpStream::Fail(int error) {
  error_ = error;
  return {IoStatus::kError, 0};
}

IoResult TcpStream::Read(Buffer& into, size_t at_most) {
  if (error_ != 0 && !write_broken_) return {IoStatus::kError, 0};
  if (!unread_.empty()) {
    const size_t given = std::min(at_most, unread_.size());
    into.MoveFrom(unread_, given);
    return {IoStatus::kOk, given};
  }
  if (!may_read_) return {IoStatus::kBlocked, 0};
  char* room = into.Reserve(std::min(at_most, into.empty() ? read_size_ : Buffer::kBlockSize));
  const size_t asked = std::min(at_most, into.writable());
  ssize_t got;
  do {
    got = recv(fd_.get(), room, asked, 0);
  } while (got < 0 && errno == EINTR);
  if (got <= 0) into.Consume(0);  // gives an unused block back
  if (got > 0) {
    into.Commit(got);
    const bool more = static_cast<size_t>(got) == asked;
    read_size_ = more && asked >= Buffer::kBlockSize ? Buffer::kLargeBlockSize : Buffer::kBlockSize;
    if (!more && !peer_ending_) may_read_ = false;
    return {IoStatus::kOk, static_cast<size_t>(got)};
  }
  if (got == 0) return {IoStatus::kEof, 0};
  if (errno != EAGAIN) {
    write_broken_ = false;
    return Fail(errno);
  }
  may_read_ = false;
  return {IoStatus::kBlocked, 0};
}

void TcpStream::Unread(Buffer bytes) { unread_ = std::move(bytes); }

void TcpStream::Present(const Address& local, const Address& peer) {
  local_ = local;
  peer_ = peer;
}

void TcpStream::Sever(int error) {
  if (error_ != 0) return;
  error_ = error;
  write_broken_ = false;
  ResetOnClose();
  shutdown(fd_.get(), SHUT_RDWR);
  readable_.Notify();
  writable_.Notify();
}

namespace {

// One part, as it usually is, costs the kernel less without a list.
ssize_t SendAll(int fd, iovec* parts, int count) {
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  ssize_t sent;
  do {
    sent = count == 1 ? send(fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL)
                      : sendmsg(fd, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

}  // namespace

IoResult TcpStream::Write(absl::Span<const absl::string_view> parts) {
  if (error_ != 0) return {IoStatus::kError, 0};
  if (!may_write_) return {IoStatus::kBlocked, 0};
  iovec vectors[kMaxParts];
  int count = 0;
  size_t total = 0;
  for (absl::string_view part : parts) {
    if (part.empty()) continue;
    if (count == kMaxParts) break;
    vectors[count++] = {const_cast<char*>(part.data()), part.size()};
    total += part.size();
  }
  if (total == 0) return {IoStatus::kOk, 0};
  const ssize_t sent = SendAll(fd_.get(), vectors, count);
  if (sent >= 0) {
    if (static_cast<size_t>(sent) < total) may_write_ = false;
    return {IoStatus::kOk, static_cast<size_t>(sent)};
  }
  if (errno != EAGAIN) {
    write_broken_ = true;
    return Fail(errno);
  }
  may_write_ = false;
  return {IoStatus::kBlocked, 0};
}

void TcpStream::CloseWrite() {
  if (write_closed_) return;
  write_closed_ = true;
  shutdown(fd_.get(), SHUT_WR);
}

void TcpStream::ResetOnClose() {
  const linger now = {1, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

std::string TcpStream::error() const { return error_ == 0 ? "" : strerror(error_); }

std::optional<Address> TcpStream::OriginalDestination() const {
  sockaddr_storage storage;
  socklen_t length = sizeof(storage);
  const bool v6 = local_.family() == AF_INET6;
  if (getsockopt(fd_.get(), v6 ? int{SOL_IPV6} : int{SOL_IP},
                 v6 ? IP6T_SO_ORIGINAL_DST : SO_ORIGINAL_DST, &storage, &length) != 0) {
    return std::nullopt;
  }
  const socklen_t actual = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  Address original = Address::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), actual);
  if (original == local_) return std::nullopt;
  return original;
}

void TcpStream::OnConnected() { local_ = SocketName(fd_.get(), getsockname); }

Task<absl::StatusOr<std::unique_ptr<TcpStream>>> Connect(EventLoop& loop, Address to,
                                                         ConnectOptions options) {
  const int fd = socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return SystemError("socket", errno);
  if (options.mark.has_value() &&
      setsockopt(fd, SOL_SOCKET, SO_MARK, &*options.mark, sizeof(uint32_t)) != 0) {
    const int error = errno;
    close(fd);
    co_return SystemError("set SO_MARK", error);
  }
  if (options.source.has_value()) {
    SetOption(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (options.freebind) SetOption(fd, IPPROTO_IP, IP_FREEBIND, 1);
    if (bind(fd, options.source->get(), options.source->length()) != 0) {
      const int error = errno;
      close(fd);
      co_return SystemError(absl::StrCat("bind ", options.source->ToString()), error);
    }
  }
  if (to.family() != AF_UNIX) {
    SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    SetKeepalive(fd, options.keepalive);
  }
  const int connected = connect(fd, to.get(), to.length());
  if (connected != 0 && errno != EINPROGRESS) {
    const int error = errno;
    close(fd);
    co_return SystemError(absl::StrCat("connect to ", to.ToString()), error);
  }
  auto stream = std::make_unique<TcpStream>(loop, fd, Address(), to);
  while (connected != 0) {
    const bool notified =
        co_await Wait(loop, {&stream->writable(), &stream->readable()}, options.deadline);
    if (!notified) {
      co_return absl::DeadlineExceededError(
          absl::StrCat("connect to ", to.ToString(), ": timeout"));
    }
    // Writable (or an error) is what ends a connection attempt; an edge before it is noise.
    int error = 0;
    socklen_t length = sizeof(error);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) co_return SystemError(absl::StrCat("connect to ", to.ToString()), error);
    sockaddr_storage peer;
    socklen_t peer_length = sizeof(peer);
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_length) == 0) break;
  }
  stream->OnConnected();
  co_return stream;
}

std::pair<int, int> StreamSocketPair() {
  int fds[2] = {-1, -1};
  (void)!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
  return {fds[0], fds[1]};
}

namespace {

// Makes the socket what `options` say before it has an address; the name of what failed, or null.
const char* PrepareToBind(int fd, const Address& address, const ListenOptions& options) {
  const bool v6 = address.family() == AF_INET6;
  SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (v6 && !SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, options.ipv4_compat ? 0 : 1)) {
    return "set IPV6_V6ONLY for";
  }
  if (address.family() != AF_UNIX) {
    if (options.reuse_port) SetOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    SetKeepalive(fd, TcpKeepalive());
  }
  const int level = v6 ? int{IPPROTO_IPV6} : int{IPPROTO_IP};
  if (options.transparent && !SetOption(fd, level, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, 1)) {
    return "set IP_TRANSPARENT for";
  }
  if (options.freebind && !SetOption(fd, level, v6 ? IPV6_FREEBIND : IP_FREEBIND, 1)) {
    return "set IP_FREEBIND for";
  }
  if (options.fast_open_queue > 0 &&
      !SetOption(fd, IPPROTO_TCP, TCP_FASTOPEN, options.fast_open_queue)) {
    return "set TCP_FASTOPEN for";
  }
  return nullptr;
}

bool SetOptions(int fd, const ListenOptions& options, SocketOption::State state) {
  for (const SocketOption& one : options.options) {
    if (one.state != state) continue;
    if (setsockopt(fd, one.level, one.name, one.value.data(),
                   static_cast<socklen_t>(one.value.size())) != 0) {
      return false;
    }
  }
  return true;
}

const char* BindAndListen(int fd, const Address& address, const ListenOptions& options) {
  using State = SocketOption::State;
  if (const char* failed = PrepareToBind(fd, address, options)) return failed;
  if (!SetOptions(fd, options, State::kPrebind)) return "set socket options for";
  const bool has_file = address.family() == AF_UNIX && address.ip()[0] != '@';
  if (has_file) unlink(address.ip().c_str());  // what a process before us left
  if (bind(fd, address.get(), address.length()) != 0) return "listen on";
  if (has_file && options.pipe_mode != 0 && chmod(address.ip().c_str(), options.pipe_mode) != 0) {
    return "set the mode of";
  }
  if (!SetOptions(fd, options, State::kBound)) return "set socket options for";
  if (listen(fd, options.backlog) != 0) return "listen on";
  if (!SetOptions(fd, options, State::kListening)) return "set socket options for";
  return nullptr;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Create(EventLoop& loop, const Address& address,
                                                           const Options& options) {
  const auto failed = [&](absl::string_view call) {
    return absl::UnavailableError(
        absl::StrCat(call, " ", address.ToString(), ": ", strerror(errno)));
  };
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("socket for");
  if (const char* step = BindAndListen(fd, address, options)) {
    absl::Status status = failed(step);
    close(fd);
    return status;
  }
  return std::unique_ptr<Listener>(new Listener(loop, fd, options));
}

Listener::Listener(EventLoop& loop, int fd, const Options& options)
    : loop_(loop),
      fd_(loop, fd, WatchedFd::kReadable | WatchedFd::kLevel, OnEvent, this),
      address_(SocketName(fd, getsockname)),
      fixed_local_(!address_.is_wildcard() && !options.transparent) {}

void Listener::OnEvent(void* self, uint32_t) { static_cast<Listener*>(self)->acceptable_.Notify(); }

void Listener::Watch(bool on) { fd_.Watch((on ? WatchedFd::kReadable : 0u) | WatchedFd::kLevel); }

void Listener::SetPaused(bool paused) {
  if (paused == paused_) return;
  paused_ = paused;
  left_ = 0;
  Watch(!paused);
}

std::unique_ptr<TcpStream> Listener::TryAccept() {
  sockaddr_storage peer;
  socklen_t length = sizeof(peer);
  const int fd =
      accept4(fd_.get(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return nullptr;
  const Address local = fixed_local_ ? address_ : SocketName(fd, getsockname).Unmapped();
  const Address from = Address::FromSockaddr(reinterpret_cast<sockaddr*>(&peer), length);
  return std::make_unique<TcpStream>(loop_, fd, local, from.Unmapped());
}

Task<std::unique_ptr<TcpStream>> Listener::Accept() {
  while (true) {
    if (left_ == 0) {
      co_await Wait(loop_, {&acceptable_});
      left_ = burst_;
    }
    std::unique_ptr<TcpStream> accepted = TryAccept();
    if (accepted != nullptr) {
      if (--left_ == 0) burst_ = std::min(2 * burst_, kMostAccepts);
      co_return accepted;
    }
    const int error = errno;
    left_ = 0;
    burst_ = 1;
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
      ++exhausted_;
      Watch(false);
      co_await Sleep(loop_, kAcceptPause);
      Watch(!paused_);
    }
  }
}

}  // namespace weft
