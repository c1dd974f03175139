// A range of IP addresses as config writes it: "10.0.0.0/8", "fd00::/8", or an address alone.
#ifndef WEFT_CONTROLPLANE_MODEL_SUBNET_H_
#define WEFT_CONTROLPLANE_MODEL_SUBNET_H_

#include <optional>
#include <string>

namespace weft {

struct Subnet {
  std::string bytes;  // 4 or 16, in network order
  int length = 0;     // bits that count

  // False if `address` is of the other family, or none.
  bool Contains(const std::string& address) const;
};

std::optional<Subnet> ParseSubnet(const std::string& text);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_SUBNET_H_
