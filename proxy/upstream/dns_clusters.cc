#include "proxy/upstream/dns_clusters.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_join.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

// A record may claim to hold for years; nobody should have to restart proxies for it.
constexpr absl::Duration kLongestTtl = absl::Hours(1);

void LogFailed(const dns::Lookup& lookup, const absl::Status& status, bool had_addresses) {
  Log(LogLevel::kWarning, "dns_failed",
      {{"name", lookup.name},
       {"error", std::string(status.message())},
       {"effect", had_addresses ? "the last addresses stay" : "its endpoints are missing"}});
}

void LogResolved(const dns::Lookup& lookup, const std::vector<Address>& addresses) {
  Log(LogLevel::kInfo, "dns_resolved",
      {{"name", lookup.name},
       {"addresses", absl::StrJoin(addresses, ",", [](std::string* out, const Address& address) {
          out->append(address.ip());
        })}});
}

}  // namespace

absl::Duration NextLookupIn(const DnsRefresh& refresh, int failures, absl::Duration ttl) {
  if (failures > 0) {
    absl::Duration wait = refresh.failure_base;
    for (int i = 1; i < failures && wait < refresh.failure_max; ++i) wait *= 2;
    return std::min(wait, refresh.failure_max);
  }
  if (!refresh.respect_ttl || ttl <= absl::ZeroDuration()) return refresh.rate;
  return std::min(ttl, kLongestTtl);
}

DnsClusters::DnsClusters(EventLoop& loop, dns::Resolver& resolver, OnAddresses on_addresses)
    : loop_(loop), resolver_(resolver), on_addresses_(std::move(on_addresses)) {}

void DnsClusters::Follow(const std::map<dns::Lookup, DnsRefresh>& lookups) {
  for (auto it = names_.begin(); it != names_.end();) {
    it = lookups.count(it->first) == 0 ? names_.erase(it) : std::next(it);
  }
  for (const auto& [lookup, refresh] : lookups) {
    std::unique_ptr<Name>& name = names_[lookup];
    const bool is_new = name == nullptr;
    if (is_new) name = std::make_unique<Name>();
    name->refresh = refresh;
    if (is_new) name->task.Spawn(KeepResolved(lookup, name.get()));
  }
}

Task<> DnsClusters::KeepResolved(dns::Lookup lookup, const Name* name) {
  bool had_addresses = false;
  bool told = false;
  int failures = 0;
  while (true) {
    absl::StatusOr<dns::Resolution> found = co_await resolver_.Resolve(lookup);
    absl::Duration ttl = absl::ZeroDuration();
    if (found.ok()) {
      if (failures > 0 || !told) LogResolved(lookup, found->addresses);
      failures = 0;
      had_addresses = true;
      ttl = found->ttl;
      on_addresses_(lookup, std::move(found->addresses));
    } else {
      if (failures == 0) LogFailed(lookup, found.status(), had_addresses);
      failures = std::min(failures + 1, 1000);
      if (!told) on_addresses_(lookup, {});
    }
    told = true;
    co_await Sleep(loop_, NextLookupIn(name->refresh, failures, ttl));
  }
}

}  // namespace weft
