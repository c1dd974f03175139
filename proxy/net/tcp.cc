#include "proxy/net/tcp.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
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
// How long accepting pauses when the process has no descriptors left.
constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);

using NameCall = int (*)(int, sockaddr*, socklen_t*);

Address SocketName(int fd, NameCall call) {
  sockaddr_storage storage;
  socklen_t length = sizeof(storage);
  if (call(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return Address();
  return Address::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), length);
}

void SetOption(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof(value));
}

absl::Status SystemError(absl::string_view what, int error) {
  return absl::UnavailableError(absl::StrCat(what, ": ", strerror(error)));
}

}  // namespace

TcpStream::TcpStream(EventLoop& loop, int fd)
    : fd_(loop, fd, WatchedFd::kReadable | WatchedFd::kWritable | WatchedFd::kEnding, OnEvent,
          this),
      local_(SocketName(fd, getsockname)),
      peer_(SocketName(fd, getpeername)) {
  if (local_.family() != AF_UNIX) SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

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

IoResult TcpStream::Peek(std::string& bytes, size_t at_most) {
  bytes.resize(at_most);
  const ssize_t got = recv(fd_.get(), bytes.data(), at_most, MSG_PEEK);
  bytes.resize(got > 0 ? got : 0);
  if (got > 0) return {IoStatus::kOk, bytes.size()};
  if (got == 0) return {IoStatus::kEof, 0};
  if (errno == EAGAIN || errno == EINTR) return {IoStatus::kBlocked, 0};
  return Fail(errno);
}

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
  msghdr message = {};
  message.msg_iov = vectors;
  message.msg_iovlen = count;
  ssize_t sent;
  do {
    sent = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
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

void TcpStream::OnConnected() {
  local_ = SocketName(fd_.get(), getsockname);
  peer_ = SocketName(fd_.get(), getpeername);
}

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
    if (bind(fd, options.source->get(), options.source->length()) != 0) {
      const int error = errno;
      close(fd);
      co_return SystemError(absl::StrCat("bind ", options.source->ToString()), error);
    }
  }
  const int connected = connect(fd, to.get(), to.length());
  if (connected != 0 && errno != EINPROGRESS) {
    const int error = errno;
    close(fd);
    co_return SystemError(absl::StrCat("connect to ", to.ToString()), error);
  }
  auto stream = std::make_unique<TcpStream>(loop, fd);
  while (true) {
    // Writable (or an error) is what ends a connection attempt; an edge before it is noise.
    int error = 0;
    socklen_t length = sizeof(error);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) co_return SystemError(absl::StrCat("connect to ", to.ToString()), error);
    sockaddr_storage peer;
    socklen_t peer_length = sizeof(peer);
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_length) == 0) break;
    const bool notified =
        co_await Wait(loop, {&stream->writable(), &stream->readable()}, options.deadline);
    if (!notified) {
      co_return absl::DeadlineExceededError(
          absl::StrCat("connect to ", to.ToString(), ": timeout"));
    }
  }
  stream->OnConnected();
  co_return stream;
}

std::pair<int, int> StreamSocketPair() {
  int fds[2] = {-1, -1};
  (void)!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
  return {fds[0], fds[1]};
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Create(EventLoop& loop, const Address& address,
                                                           const Options& options) {
  const auto failed = [&](absl::string_view call) {
    return absl::UnavailableError(
        absl::StrCat(call, " ", address.ToString(), ": ", strerror(errno)));
  };
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("socket for");
  SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (options.reuse_port) SetOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (bind(fd, address.get(), address.length()) != 0 || listen(fd, options.backlog) != 0) {
    absl::Status status = failed("listen on");
    close(fd);
    return status;
  }
  return std::unique_ptr<Listener>(new Listener(loop, fd));
}

Listener::Listener(EventLoop& loop, int fd)
    : loop_(loop),
      fd_(loop, fd, WatchedFd::kReadable, OnEvent, this),
      address_(SocketName(fd, getsockname)) {}

void Listener::OnEvent(void* self, uint32_t) { static_cast<Listener*>(self)->acceptable_.Notify(); }

Task<std::unique_ptr<TcpStream>> Listener::Accept() {
  while (true) {
    const int fd = accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) co_return std::make_unique<TcpStream>(loop_, fd);
    const bool exhausted =
        errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    if (exhausted) {
      co_await Sleep(loop_, kAcceptPause);
    } else if (errno == EAGAIN) {
      co_await Wait(loop_, {&acceptable_});
    }
  }
}

}  // namespace weft
