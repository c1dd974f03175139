// The endpoints of a STRICT_DNS or LOGICAL_DNS cluster: what configuration names, at the addresses
// that the names have now. Pure; who resolves is upstream/dns_clusters.h.
#ifndef WEFT_PROXY_CONFIG_RESOLVED_ENDPOINTS_H_
#define WEFT_PROXY_CONFIG_RESOLVED_ENDPOINTS_H_

#include <map>
#include <memory>
#include <vector>

#include "proxy/config/cluster_config.h"
#include "proxy/dns/lookup.h"

namespace weft {

// What the last good answer to each lookup said; no addresses: asked, but never answered.
using KnownAddresses = std::map<dns::Lookup, std::vector<Address>>;

inline bool IsDns(ClusterType type) {
  return type == ClusterType::kStrictDns || type == ClusterType::kLogicalDns;
}

// What must be resolved for `cluster`; empty if its hosts are addresses, or its type is another.
std::vector<dns::Lookup> LookupsOf(const ClusterConfig& cluster);

// STRICT_DNS: an endpoint for each address of each name, with the name's port, weight, health and
// place; an address that two names share is there once. LOGICAL_DNS: the first address alone. Names
// without an address have no endpoint. The same addresses in another order give the same set, but
// for LOGICAL_DNS.
std::shared_ptr<EndpointSet> ResolvedEndpoints(const ClusterConfig& cluster,
                                               const KnownAddresses& known);

// Of two sets of one cluster.
bool SameAddresses(const EndpointSet& a, const EndpointSet& b);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_RESOLVED_ENDPOINTS_H_
