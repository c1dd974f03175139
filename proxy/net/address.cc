#include "proxy/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

absl::Status Malformed(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is not an address; expected IP:PORT, [IPV6]:PORT or unix:/path"));
}

}  // namespace

absl::StatusOr<Address> Address::Ip(absl::string_view ip, uint16_t port) {
  Address address;
  const std::string text(ip);
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage_);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.length_ = sizeof(sockaddr_in);
    return address;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage_);
  if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.length_ = sizeof(sockaddr_in6);
    return address;
  }
  return absl::InvalidArgumentError(absl::StrCat("'", ip, "' is not an IP address"));
}

absl::StatusOr<Address> Address::Unix(absl::string_view path) {
  Address address;
  auto* un = reinterpret_cast<sockaddr_un*>(&address.storage_);
  if (path.empty() || path.size() >= sizeof(un->sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("Unix socket path '", path, "' must have 1 to 107 bytes"));
  }
  un->sun_family = AF_UNIX;
  std::memcpy(un->sun_path, path.data(), path.size());
  const bool abstract = path[0] == '@';
  if (abstract) un->sun_path[0] = '\0';
  // A file's name ends with a NUL, an abstract one with its length.
  address.length_ = offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1);
  return address;
}

absl::StatusOr<Address> Address::Parse(absl::string_view text) {
  if (absl::StartsWith(text, "unix:")) return Unix(text.substr(5));
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return Malformed(text);
  absl::string_view ip = text.substr(0, colon);
  uint32_t port;
  if (!absl::SimpleAtoi(text.substr(colon + 1), &port) || port > 65535) return Malformed(text);
  if (ip.size() >= 2 && ip.front() == '[' && ip.back() == ']') ip = ip.substr(1, ip.size() - 2);
  absl::StatusOr<Address> address = Ip(ip, static_cast<uint16_t>(port));
  if (!address.ok()) return Malformed(text);
  return address;
}

Address Address::FromSockaddr(const sockaddr* from, socklen_t length) {
  Address address;
  std::memcpy(&address.storage_, from, length);
  address.length_ = length;
  return address;
}

uint16_t Address::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
  if (family() == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
  }
  return 0;
}

Address Address::WithPort(uint16_t port) const {
  Address address = *this;
  if (family() == AF_INET) {
    reinterpret_cast<sockaddr_in*>(&address.storage_)->sin_port = htons(port);
  } else if (family() == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&address.storage_)->sin6_port = htons(port);
  }
  return address;
}

Address Address::Unmapped() const {
  if (family() != AF_INET6) return *this;
  auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage_);
  if (!IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) return *this;
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_port = v6->sin6_port;
  std::memcpy(&v4.sin_addr, v6->sin6_addr.s6_addr + 12, sizeof(v4.sin_addr));
  return FromSockaddr(reinterpret_cast<const sockaddr*>(&v4), sizeof(v4));
}

bool Address::is_wildcard() const {
  const absl::string_view ip = ip_bytes();
  return !ip.empty() && ip.find_first_not_of('\0') == absl::string_view::npos;
}

bool Address::is_loopback() const {
  if (family() == AF_INET) return ip_bytes()[0] == 127;
  if (family() == AF_UNIX) return true;
  if (family() != AF_INET6) return false;
  return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr);
}

absl::string_view Address::ip_bytes() const {
  if (family() == AF_INET) {
    auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage_);
    return {reinterpret_cast<const char*>(&v4->sin_addr), 4};
  }
  if (family() == AF_INET6) {
    auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage_);
    return {reinterpret_cast<const char*>(&v6->sin6_addr), 16};
  }
  return {};
}

std::string Address::ip() const {
  if (family() == AF_UNIX) {
    const char* path = reinterpret_cast<const sockaddr_un*>(&storage_)->sun_path;
    const size_t size = length_ - offsetof(sockaddr_un, sun_path);
    if (size > 1 && path[0] == '\0')
      return absl::StrCat("@", absl::string_view(path + 1, size - 1));
    return path;
  }
  char text[INET6_ADDRSTRLEN] = "";
  if (!ip_bytes().empty()) inet_ntop(family(), ip_bytes().data(), text, sizeof(text));
  return text;
}

std::string Address::ToString() const {
  switch (family()) {
    case AF_INET:
      return absl::StrCat(ip(), ":", port());
    case AF_INET6:
      return absl::StrCat("[", ip(), "]:", port());
    case AF_UNIX:
      return absl::StrCat("unix:", ip());
    default:
      return "unspecified";
  }
}

bool operator==(const Address& a, const Address& b) {
  return a.length_ == b.length_ && std::memcmp(&a.storage_, &b.storage_, a.length_) == 0;
}

}  // namespace weft
