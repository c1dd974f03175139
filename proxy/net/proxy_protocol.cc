#include "proxy/net/proxy_protocol.h"

#include <netinet/in.h>
#include <string.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace weft {
namespace {

constexpr absl::string_view kTextStart = "PROXY ";
constexpr absl::string_view kBinaryStart("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kMaxTextHeader = 107;  // section 2.1, with its CRLF
constexpr size_t kBinaryFixed = 16;     // signature, version and command, family, length

constexpr uint8_t kTcp4 = 0x11;
constexpr uint8_t kTcp6 = 0x21;
constexpr size_t kTcp4Bytes = 4 + 4 + 2 + 2;
constexpr size_t kTcp6Bytes = 16 + 16 + 2 + 2;

ProxyHeader Answer(ProxyHeaderState state, const char* error = "") {
  ProxyHeader header;
  header.state = state;
  header.error = error;
  return header;
}

ProxyHeader Invalid(const char* error) { return Answer(ProxyHeaderState::kInvalid, error); }

// Decimal without sign or leading zero.
std::optional<uint16_t> ReadPort(absl::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint32_t port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    port = port * 10 + static_cast<uint32_t>(c - '0');
  }
  if (port > 65535) return std::nullopt;
  return static_cast<uint16_t>(port);
}

std::optional<Address> ReadText(absl::string_view ip, absl::string_view port, int family) {
  const std::optional<uint16_t> number = ReadPort(port);
  if (!number.has_value()) return std::nullopt;
  absl::StatusOr<Address> address = Address::Ip(ip, *number);
  if (!address.ok() || address->family() != family) return std::nullopt;
  return *address;
}

ProxyHeader ParseTextHeader(absl::string_view bytes) {
  const absl::string_view most = bytes.substr(0, kMaxTextHeader);
  const size_t end = most.find("\r\n");
  if (end == absl::string_view::npos) {
    return bytes.size() < kMaxTextHeader ? ProxyHeader() : Invalid("line longer than 107 bytes");
  }
  ProxyHeader header = Answer(ProxyHeaderState::kComplete);
  header.version = 1;
  header.size = end + 2;
  const std::vector<absl::string_view> words = absl::StrSplit(most.substr(0, end), ' ');
  if (words[1] == "UNKNOWN") return header;  // what follows is to be ignored
  const bool v4 = words[1] == "TCP4";
  if (!v4 && words[1] != "TCP6") return Invalid("unknown protocol");
  if (words.size() != 6) return Invalid("not two addresses and two ports");
  const int family = v4 ? AF_INET : AF_INET6;
  const std::optional<Address> source = ReadText(words[2], words[4], family);
  const std::optional<Address> destination = ReadText(words[3], words[5], family);
  if (!source.has_value() || !destination.has_value()) return Invalid("malformed address or port");
  header.source = *source;
  header.destination = *destination;
  return header;
}

uint8_t Byte(absl::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

template <typename Ip>
Address FromBytes(absl::string_view ip, absl::string_view port);

template <>
Address FromBytes<sockaddr_in>(absl::string_view ip, absl::string_view port) {
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  memcpy(&v4.sin_addr, ip.data(), sizeof(v4.sin_addr));
  memcpy(&v4.sin_port, port.data(), sizeof(v4.sin_port));
  return Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&v4), sizeof(v4));
}

template <>
Address FromBytes<sockaddr_in6>(absl::string_view ip, absl::string_view port) {
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  memcpy(&v6.sin6_addr, ip.data(), sizeof(v6.sin6_addr));
  memcpy(&v6.sin6_port, port.data(), sizeof(v6.sin6_port));
  return Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&v6), sizeof(v6));
}

// Source and destination IP, then both ports (section 2.2).
template <typename Ip>
void ReadAddresses(absl::string_view body, size_t ip_bytes, ProxyHeader& header) {
  header.source = FromBytes<Ip>(body.substr(0, ip_bytes), body.substr(2 * ip_bytes, 2));
  header.destination =
      FromBytes<Ip>(body.substr(ip_bytes, ip_bytes), body.substr(2 * ip_bytes + 2, 2));
}

ProxyHeader ParseBinaryHeader(absl::string_view bytes) {
  if (bytes.size() < kBinaryFixed) return ProxyHeader();
  const uint8_t version = Byte(bytes, 12) >> 4;
  const uint8_t command = Byte(bytes, 12) & 0x0f;
  const uint8_t family = Byte(bytes, 13);
  const size_t length = size_t{Byte(bytes, 14)} << 8 | Byte(bytes, 15);
  if (version != 2) return Invalid("unknown version");
  if (command > 1) return Invalid("unknown command");
  if (kBinaryFixed + length > kMaxProxyHeader) return Invalid("header larger than 4 KiB");
  const bool local = command == 0;
  const bool named = !local && family != 0;
  const size_t needed = family == kTcp4 ? kTcp4Bytes : kTcp6Bytes;
  if (named && family != kTcp4 && family != kTcp6) return Invalid("unsupported address family");
  if (named && length < needed) return Invalid("too short for its addresses");
  if (bytes.size() < kBinaryFixed + length) return ProxyHeader();
  ProxyHeader header = Answer(ProxyHeaderState::kComplete);
  header.version = 2;
  header.size = kBinaryFixed + length;
  const absl::string_view body = bytes.substr(kBinaryFixed, length);
  if (!named) return header;
  if (family == kTcp4) ReadAddresses<sockaddr_in>(body, 4, header);
  if (family == kTcp6) ReadAddresses<sockaddr_in6>(body, 16, header);
  return header;
}

bool SameIpFamily(const Address& a, const Address& b) {
  return a.family() == b.family() && !a.ip_bytes().empty();
}

std::string MakeTextHeader(const Address& source, const Address& destination) {
  if (!SameIpFamily(source, destination)) return "PROXY UNKNOWN\r\n";
  return absl::StrCat("PROXY ", source.family() == AF_INET ? "TCP4 " : "TCP6 ", source.ip(), " ",
                      destination.ip(), " ", source.port(), " ", destination.port(), "\r\n");
}

void AppendNumber(std::string& to, uint16_t number) {
  to.push_back(static_cast<char>(number >> 8));
  to.push_back(static_cast<char>(number & 0xff));
}

std::string MakeBinaryHeader(const Address& source, const Address& destination) {
  const bool named = SameIpFamily(source, destination);
  const bool v4 = source.family() == AF_INET;
  std::string header(kBinaryStart);
  header.push_back(static_cast<char>(named ? 0x21 : 0x20));
  header.push_back(static_cast<char>(!named ? 0 : v4 ? kTcp4 : kTcp6));
  AppendNumber(header, static_cast<uint16_t>(!named ? 0 : v4 ? kTcp4Bytes : kTcp6Bytes));
  if (!named) return header;
  absl::StrAppend(&header, source.ip_bytes(), destination.ip_bytes());
  AppendNumber(header, source.port());
  AppendNumber(header, destination.port());
  return header;
}

}  // namespace

ProxyHeader ParseProxyHeader(absl::string_view bytes) {
  if (absl::StartsWith(bytes, kTextStart)) return ParseTextHeader(bytes);
  if (absl::StartsWith(bytes, kBinaryStart)) return ParseBinaryHeader(bytes);
  const bool may_become =
      absl::StartsWith(kTextStart, bytes) || absl::StartsWith(kBinaryStart, bytes);
  return Answer(may_become ? ProxyHeaderState::kNeedMore : ProxyHeaderState::kNone);
}

std::string MakeProxyHeader(int version, const Address& source, const Address& destination) {
  return version == 1 ? MakeTextHeader(source, destination) : MakeBinaryHeader(source, destination);
}

}  // namespace weft
