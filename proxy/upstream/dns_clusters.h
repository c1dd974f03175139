// DnsClusters: keeps the names of STRICT_DNS and LOGICAL_DNS clusters resolved, on the main thread.
//
// Configuration says which names (ConfigState::Lookups), each has a task that resolves it, tells
// the answer (to ConfigState::SetAddresses), sleeps, and goes again. The first attempt is always
// told, an empty answer if it failed, so that nobody waits for it longer than the resolver's
// timeout. After that a failure tells nothing: the last good addresses stay.
#ifndef WEFT_PROXY_UPSTREAM_DNS_CLUSTERS_H_
#define WEFT_PROXY_UPSTREAM_DNS_CLUSTERS_H_

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "proxy/config/cluster_config.h"
#include "proxy/dns/resolver.h"
#include "proxy/runtime/scope.h"

namespace weft {

class DnsClusters {
 public:
  using OnAddresses =
      std::function<void(const dns::Lookup& lookup, std::vector<Address> addresses)>;

  // `loop` and `resolver` must outlive this. `on_addresses` may be called from within Follow().
  DnsClusters(EventLoop& loop, dns::Resolver& resolver, OnAddresses on_addresses);

  // Resolves these from now on and no others. Not from `on_addresses`.
  void Follow(const std::map<dns::Lookup, DnsRefresh>& lookups);

 private:
  struct Name {
    DnsRefresh refresh;
    Scope task;
  };

  Task<> KeepResolved(dns::Lookup lookup, const Name* name);

  EventLoop& loop_;
  dns::Resolver& resolver_;
  const OnAddresses on_addresses_;
  std::map<dns::Lookup, std::unique_ptr<Name>> names_;
};

// How long after an attempt to make the next; `failures` in a row, 0: the last one gave `ttl`.
absl::Duration NextLookupIn(const DnsRefresh& refresh, int failures, absl::Duration ttl);

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_DNS_CLUSTERS_H_
