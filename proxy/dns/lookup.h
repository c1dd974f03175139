// What is asked of the Resolver, and what it answers. Plain values; configuration names them.
#ifndef WEFT_PROXY_DNS_LOOKUP_H_
#define WEFT_PROXY_DNS_LOOKUP_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proxy/net/address.h"

namespace weft::dns {

enum class LookupFamily {
  kV4Preferred,  // IPv6 only if there is no IPv4 address
  kV4Only,
  kV6Only,
  kAll,
};

struct Lookup {
  std::string name;
  LookupFamily family = LookupFamily::kV4Preferred;

  friend auto operator<=>(const Lookup&, const Lookup&) = default;
};

struct Resolution {
  std::vector<Address> addresses;  // port 0, in the order of the answer, none twice; at least one
  // The shortest of the records; zero: not known, as for names of /etc/hosts.
  absl::Duration ttl = absl::ZeroDuration();
};

}  // namespace weft::dns

#endif  // WEFT_PROXY_DNS_LOOKUP_H_
