#include "proxy/config/resolved_endpoints.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

bool NeedsLookup(const EndpointConfig& named) { return named.address.family() == AF_UNSPEC; }

std::vector<Address> AddressesOf(const EndpointConfig& named, const ClusterConfig& cluster,
                                 const KnownAddresses& known) {
  if (!NeedsLookup(named)) return {named.address};
  auto found = known.find(dns::Lookup{named.host_name, cluster.dns_family});
  if (found == known.end()) return {};
  std::vector<Address> addresses = found->second;
  if (cluster.type == ClusterType::kLogicalDns) {
    if (addresses.size() > 1) addresses.resize(1);
  } else {
    // Servers give the addresses in turns; that is no change.
    std::sort(addresses.begin(), addresses.end(), [](const Address& a, const Address& b) {
      return std::make_pair(a.family(), a.ip_bytes()) < std::make_pair(b.family(), b.ip_bytes());
    });
  }
  for (Address& address : addresses) address = address.WithPort(named.port);
  return addresses;
}

// `named.key` is what follows the address: the transport socket's name.
EndpointConfig At(const Address& address, const EndpointConfig& named, ClusterType type) {
  EndpointConfig to = named;
  to.address = address;
  to.key = type == ClusterType::kLogicalDns
               ? absl::StrCat(named.host_name, ":", named.port, named.key)
               : absl::StrCat(address.ToString(), named.key);
  return to;
}

}  // namespace

std::vector<dns::Lookup> LookupsOf(const ClusterConfig& cluster) {
  std::vector<dns::Lookup> lookups;
  if (cluster.named == nullptr) return lookups;
  for (const EndpointConfig& named : cluster.named->endpoints) {
    if (NeedsLookup(named)) lookups.push_back({named.host_name, cluster.dns_family});
  }
  return lookups;
}

std::shared_ptr<EndpointSet> ResolvedEndpoints(const ClusterConfig& cluster,
                                                     const KnownAddresses& known) {
  auto to = std::make_shared<EndpointSet>();
  to->overprovisioning_factor = cluster.named->overprovisioning_factor;
  std::set<std::string> keys;
  for (const PriorityConfig& priority : cluster.named->priorities) {
    PriorityConfig& to_priority = to->priorities.emplace_back();
    for (LocalityConfig locality : priority.localities) {
      const size_t first = locality.first;
      const size_t end = first + locality.count;
      locality.first = to->endpoints.size();
      for (size_t i = first; i < end; ++i) {
        const EndpointConfig& named = cluster.named->endpoints[i];
        for (const Address& address : AddressesOf(named, cluster, known)) {
          EndpointConfig endpoint = At(address, named, cluster.type);
          if (keys.insert(endpoint.key).second) to->endpoints.push_back(std::move(endpoint));
        }
      }
      locality.count = to->endpoints.size() - locality.first;
      to_priority.localities.push_back(std::move(locality));
    }
  }
  return to;
}

bool SameAddresses(const EndpointSet& a, const EndpointSet& b) {
  return std::equal(a.endpoints.begin(), a.endpoints.end(), b.endpoints.begin(), b.endpoints.end(),
                    [](const EndpointConfig& one, const EndpointConfig& other) {
                      return one.key == other.key && one.address == other.address;
                    });
}

}  // namespace weft
