// UdpSocket: datagrams, readiness-based like ByteStream.
#ifndef WEFT_PROXY_NET_UDP_H_
#define WEFT_PROXY_NET_UDP_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proxy/net/address.h"
#include "proxy/runtime/event_loop.h"

namespace weft {

class UdpSocket {
 public:
  // Bound to `address`; for a server.
  static absl::StatusOr<std::unique_ptr<UdpSocket>> Bind(EventLoop& loop, const Address& address);
  // Connected to `peer` from a port the kernel chooses at random: datagrams of others are not seen.
  static absl::StatusOr<std::unique_ptr<UdpSocket>> Connect(EventLoop& loop, const Address& peer,
                                                            std::optional<uint32_t> mark);
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  // The next datagram and who sent it; nothing when there is none now (then wait on readable()).
  // An error of the network (port unreachable) counts as an empty datagram.
  std::optional<std::string> Receive(Address* from);
  void Send(absl::string_view datagram,
            const Address& to);           // lost if the buffer is full, as UDP is
  void Send(absl::string_view datagram);  // on a connected socket

  Signal& readable() { return readable_; }
  const Address& address() const { return address_; }

 private:
  UdpSocket(EventLoop& loop, int fd);
  static void OnEvent(void* self, uint32_t events);

  WatchedFd fd_;
  Signal readable_;
  Address address_;
};

}  // namespace weft

#endif  // WEFT_PROXY_NET_UDP_H_
