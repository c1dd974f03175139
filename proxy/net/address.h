// Address: where a socket listens or connects: IPv4, IPv6 or a Unix socket's path. A plain value.
#ifndef WEFT_PROXY_NET_ADDRESS_H_
#define WEFT_PROXY_NET_ADDRESS_H_

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft {

class Address {
 public:
  Address() = default;  // unspecified; family() is AF_UNSPEC

  // "10.0.0.1" or "::1" with a port; the text must be an IP address, never a host name.
  static absl::StatusOr<Address> Ip(absl::string_view ip, uint16_t port);
  // "@name" is a socket without a file (abstract).
  static absl::StatusOr<Address> Unix(absl::string_view path);
  // "10.0.0.1:80", "[::1]:80", "unix:/path" or "unix:@name".
  static absl::StatusOr<Address> Parse(absl::string_view text);
  static Address FromSockaddr(const sockaddr* address, socklen_t length);

  int family() const { return storage_.ss_family; }
  uint16_t port() const;
  Address WithPort(uint16_t port) const;
  // ::ffff:10.0.0.1, as a socket for both families shows IPv4 clients, as 10.0.0.1.
  Address Unmapped() const;
  bool is_wildcard() const;      // 0.0.0.0 or ::
  bool is_loopback() const;      // 127.0.0.0/8, ::1, or a Unix socket
  std::string ip() const;        // "10.0.0.1", "::1", or the path
  std::string ToString() const;  // as Parse() reads it
  // The 4 or 16 bytes of the IP address; empty for others. Valid as long as this Address.
  absl::string_view ip_bytes() const;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const { return length_; }

  friend bool operator==(const Address& a, const Address& b);

 private:
  sockaddr_storage storage_ = {};
  socklen_t length_ = 0;
};

}  // namespace weft

#endif  // WEFT_PROXY_NET_ADDRESS_H_
