// Addresses for services that have none in this cluster, being other clusters' or a ServiceEntry's:
// clients of this cluster resolve their names to these, and nobody else ever sees them.
#ifndef WEFT_CONTROLPLANE_FEDERATION_VIRTUAL_ADDRESSES_H_
#define WEFT_CONTROLPLANE_FEDERATION_VIRTUAL_ADDRESSES_H_

#include <bitset>
#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace weft {

// 240.240.0.0/16, of the class E range that no network routes. Each address is given once; which
// one follows from the host's hash, so it stays the same over restarts unless two collide.
class VirtualAddresses {
 public:
  static bool Contains(absl::string_view address);

  // The IPv6 address that goes with one of these, for clients that speak only that: "240.240.1.2"
  // and "2001:2::f0f0:102", of the range for benchmarks (RFC 5180); Istio's choice, too. Empty if
  // the address is none of these.
  static std::string Ipv6Of(absl::string_view address);

  // Keeps an address that was given before. False if it is taken, or not of this range.
  bool Reserve(absl::string_view address);
  // Empty once all are taken.
  std::string Allocate(absl::string_view host);

 private:
  std::bitset<65536> taken_;  // by the last two bytes
  size_t count_ = 0;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_VIRTUAL_ADDRESSES_H_
