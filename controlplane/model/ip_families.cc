#include "controlplane/model/ip_families.h"

#include <optional>

#include "controlplane/model/subnet.h"

namespace weft {
namespace {

constexpr size_t kIpv6Bytes = 16;

bool Reaches(IpFamilies client, const std::string& address) {
  const std::optional<Subnet> ip = ParseSubnet(address);
  if (!ip.has_value()) return true;
  return ip->bytes.size() == kIpv6Bytes ? client.v6 : client.v4;
}

}  // namespace

bool IsIpv6(const std::string& text) {
  const std::optional<Subnet> ip = ParseSubnet(text);
  return ip.has_value() && ip->bytes.size() == kIpv6Bytes;
}

IpFamilies FamiliesOf(const std::string& address, const std::string& other_address) {
  if (address.empty()) return {true, true};
  const bool v6 = IsIpv6(address);
  const bool both = !other_address.empty();
  return {!v6 || both, v6 || both};
}

std::vector<std::string> AddressesFor(IpFamilies client, const std::string& address,
                                      const std::string& other_address) {
  std::vector<std::string> addresses;
  for (const std::string& one : {address, other_address}) {
    if (!one.empty() && Reaches(client, one)) addresses.push_back(one);
  }
  return addresses;
}

std::string AddressFor(IpFamilies client, const std::string& address,
                       const std::string& other_address) {
  const std::vector<std::string> addresses = AddressesFor(client, address, other_address);
  if (addresses.empty()) return "";
  return addresses.size() > 1 && IsIpv6(addresses.front()) ? addresses.back() : addresses.front();
}

std::vector<std::string> WildcardsOf(IpFamilies families) {
  std::vector<std::string> wildcards;
  if (families.v4) wildcards.push_back("0.0.0.0");
  if (families.v6) wildcards.push_back("::");
  return wildcards;
}

}  // namespace weft
