#include "proxy/net/udp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

constexpr size_t kLargestDatagram = 65535;

absl::Status SystemError(absl::string_view what, const Address& address) {
  return absl::UnavailableError(absl::StrCat(what, " ", address.ToString(), ": ", strerror(errno)));
}

absl::StatusOr<int> OpenSocket(const Address& address) {
  const int fd = socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return SystemError("socket for", address);
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<UdpSocket>> UdpSocket::Bind(EventLoop& loop,
                                                           const Address& address) {
  absl::StatusOr<int> fd = OpenSocket(address);
  if (!fd.ok()) return fd.status();
  if (bind(*fd, address.get(), address.length()) != 0) {
    absl::Status status = SystemError("listen on", address);
    close(*fd);
    return status;
  }
  return std::unique_ptr<UdpSocket>(new UdpSocket(loop, *fd));
}

absl::StatusOr<std::unique_ptr<UdpSocket>> UdpSocket::Connect(EventLoop& loop, const Address& peer,
                                                              std::optional<uint32_t> mark) {
  absl::StatusOr<int> fd = OpenSocket(peer);
  if (!fd.ok()) return fd.status();
  const bool marked =
      !mark.has_value() || setsockopt(*fd, SOL_SOCKET, SO_MARK, &*mark, sizeof(uint32_t)) == 0;
  if (!marked || connect(*fd, peer.get(), peer.length()) != 0) {
    absl::Status status = SystemError(marked ? "connect to" : "set SO_MARK towards", peer);
    close(*fd);
    return status;
  }
  return std::unique_ptr<UdpSocket>(new UdpSocket(loop, *fd));
}

UdpSocket::UdpSocket(EventLoop& loop, int fd) : fd_(loop, fd, WatchedFd::kReadable, OnEvent, this) {
  sockaddr_storage storage;
  socklen_t length = sizeof(storage);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) == 0) {
    address_ = Address::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), length);
  }
}

void UdpSocket::OnEvent(void* self, uint32_t) { static_cast<UdpSocket*>(self)->readable_.Notify(); }

std::optional<std::string> UdpSocket::Receive(Address* from) {
  char datagram[kLargestDatagram];
  sockaddr_storage storage;
  socklen_t length = sizeof(storage);
  const ssize_t got = recvfrom(fd_.get(), datagram, sizeof(datagram), 0,
                               reinterpret_cast<sockaddr*>(&storage), &length);
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return std::nullopt;
    return std::string();
  }
  if (from != nullptr) *from = Address::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), length);
  return std::string(datagram, got);
}

void UdpSocket::Send(absl::string_view datagram, const Address& to) {
  (void)sendto(fd_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL, to.get(), to.length());
}

void UdpSocket::Send(absl::string_view datagram) {
  (void)send(fd_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL);
}

}  // namespace weft
