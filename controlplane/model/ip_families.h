// The two families of IP addresses, and which address of something a client dials. Pure.
//
// A service, a pod or an endpoint has an address, and perhaps a second one of the other family, as
// Kubernetes gives them.
#ifndef WEFT_CONTROLPLANE_MODEL_IP_FAMILIES_H_
#define WEFT_CONTROLPLANE_MODEL_IP_FAMILIES_H_

#include <string>
#include <vector>

namespace weft {

// Those in which a pod can speak.
struct IpFamilies {
  bool v4 = true;
  bool v6 = false;

  bool both() const { return v4 && v6; }
  friend bool operator==(const IpFamilies&, const IpFamilies&) = default;
  friend auto operator<=>(const IpFamilies&, const IpFamilies&) = default;
};

// Whether it is an IPv6 address, or a block of such.
bool IsIpv6(const std::string& text);

// Of a pod with these addresses; both if it has none, as nothing is known of it.
IpFamilies FamiliesOf(const std::string& address, const std::string& other_address);

// Those that such a client can dial. What is no IP address (a name, a Unix socket) is for all.
std::vector<std::string> AddressesFor(IpFamilies client, const std::string& address,
                                      const std::string& other_address);
// The one that it dials: IPv4 where it has the choice. Empty if there is none.
std::string AddressFor(IpFamilies client, const std::string& address,
                       const std::string& other_address);

// What a socket for all addresses of these families binds, IPv4 first; one or two.
std::vector<std::string> WildcardsOf(IpFamilies families);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_IP_FAMILIES_H_
