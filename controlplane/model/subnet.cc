#include "controlplane/model/subnet.h"

#include <arpa/inet.h>

#include "absl/strings/numbers.h"

namespace weft {
namespace {

// Empty if it is no address.
std::string BytesOf(const std::string& address) {
  std::string bytes(16, '\0');
  if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) return bytes;
  if (::inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) return bytes.substr(0, 4);
  return "";
}

}  // namespace

bool Subnet::Contains(const std::string& address) const {
  const std::string other = BytesOf(address);
  if (other.size() != bytes.size()) return false;
  for (int bit = 0; bit < length; ++bit) {
    const int mask = 0x80 >> (bit % 8);
    if ((bytes[bit / 8] & mask) != (other[bit / 8] & mask)) return false;
  }
  return true;
}

std::optional<Subnet> ParseSubnet(const std::string& text) {
  const size_t slash = text.find('/');
  Subnet subnet;
  subnet.bytes = BytesOf(text.substr(0, slash));
  if (subnet.bytes.empty()) return std::nullopt;
  const int most = static_cast<int>(subnet.bytes.size()) * 8;
  subnet.length = most;
  if (slash == std::string::npos) return subnet;
  if (!absl::SimpleAtoi(text.substr(slash + 1), &subnet.length)) return std::nullopt;
  if (subnet.length < 0 || subnet.length > most) return std::nullopt;
  return subnet;
}

}  // namespace weft
