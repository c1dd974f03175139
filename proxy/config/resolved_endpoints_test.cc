#include "proxy/config/resolved_endpoints.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft {
namespace {

EndpointConfig Named(const std::string& host, uint16_t port, uint32_t weight = 1,
                     const std::string& socket = "") {
  EndpointConfig named;
  named.host_name = host;
  named.port = port;
  named.weight = weight;
  named.key = socket;
  const auto address = Address::Ip(host, port);
  if (address.ok()) named.address = *address;
  return named;
}

// Each inner list is a locality, all of priority 0.
ClusterConfig MakeCluster(ClusterType type, std::vector<std::vector<EndpointConfig>> localities) {
  auto named = std::make_shared<EndpointSet>();
  named->priorities.resize(1);
  for (std::vector<EndpointConfig>& endpoints : localities) {
    LocalityConfig locality;
    locality.weight = 7;
    locality.first = named->endpoints.size();
    locality.count = endpoints.size();
    for (EndpointConfig& one : endpoints) named->endpoints.push_back(std::move(one));
    named->priorities[0].localities.push_back(locality);
  }
  ClusterConfig cluster;
  cluster.type = type;
  cluster.named = named;
  return cluster;
}

KnownAddresses Known(const std::map<std::string, std::vector<std::string>>& names) {
  KnownAddresses known;
  for (const auto& [name, ips] : names) {
    std::vector<Address>& addresses = known[{name}];
    for (const std::string& ip : ips) addresses.push_back(*Address::Ip(ip, 0));
  }
  return known;
}

// "key@address*weight" of each endpoint, localities parted by "|".
std::string Text(const EndpointSet& set) {
  std::vector<std::string> localities;
  for (const LocalityConfig& locality : set.priorities[0].localities) {
    EXPECT_EQ(locality.weight, 7u);
    std::vector<std::string> endpoints;
    for (size_t i = locality.first; i < locality.first + locality.count; ++i) {
      const EndpointConfig& one = set.endpoints[i];
      endpoints.push_back(absl::StrCat(one.key, "@", one.address.ToString(), "*", one.weight));
    }
    localities.push_back(absl::StrJoin(endpoints, " "));
  }
  return absl::StrJoin(localities, "|");
}

TEST(ResolvedEndpoints, AreTheAddressesOfTheNames) {
  const auto strict = ClusterType::kStrictDns;
  const auto logical = ClusterType::kLogicalDns;
  const struct {
    const char* what;
    ClusterConfig cluster;
    KnownAddresses known;
    const char* endpoints;
  } cases[] = {
      {"not resolved yet", MakeCluster(strict, {{Named("a", 80)}}), {}, ""},
      {"resolved to nothing", MakeCluster(strict, {{Named("a", 80)}}), Known({{"a", {}}}), ""},
      {"every address, sorted, with port and weight", MakeCluster(strict, {{Named("a", 80, 3)}}),
       Known({{"a", {"10.0.0.2", "10.0.0.1", "fd00::1"}}}),
       "10.0.0.1:80@10.0.0.1:80*3 10.0.0.2:80@10.0.0.2:80*3 [fd00::1]:80@[fd00::1]:80*3"},
      {"an address needs no lookup",
       MakeCluster(strict, {{Named("10.9.9.9", 81), Named("a", 80)}}),
       {},
       "10.9.9.9:81@10.9.9.9:81*1"},
      {"localities keep their endpoints",
       MakeCluster(strict, {{Named("a", 80)}, {Named("b", 80)}, {Named("c", 80)}}),
       Known({{"a", {"10.0.0.1", "10.0.0.2"}}, {"c", {"10.0.0.3"}}}),
       "10.0.0.1:80@10.0.0.1:80*1 10.0.0.2:80@10.0.0.2:80*1||10.0.0.3:80@10.0.0.3:80*1"},
      {"a shared address is there once", MakeCluster(strict, {{Named("a", 80), Named("b", 80)}}),
       Known({{"a", {"10.0.0.1"}}, {"b", {"10.0.0.1", "10.0.0.2"}}}),
       "10.0.0.1:80@10.0.0.1:80*1 10.0.0.2:80@10.0.0.2:80*1"},
      {"other ports are other endpoints", MakeCluster(strict, {{Named("a", 80), Named("a", 81)}}),
       Known({{"a", {"10.0.0.1"}}}), "10.0.0.1:80@10.0.0.1:80*1 10.0.0.1:81@10.0.0.1:81*1"},
      {"the transport socket is part of the key",
       MakeCluster(strict, {{Named("a", 80, 1, "/tls")}}), Known({{"a", {"10.0.0.1"}}}),
       "10.0.0.1:80/tls@10.0.0.1:80*1"},
      {"logical: the first address, by the name's key",
       MakeCluster(logical, {{Named("a", 80, 1, "/tls")}}),
       Known({{"a", {"10.0.0.2", "10.0.0.1"}}}), "a:80/tls@10.0.0.2:80*1"},
      {"logical, not resolved", MakeCluster(logical, {{Named("a", 80)}}), {}, ""},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Text(*ResolvedEndpoints(c.cluster, c.known)), c.endpoints) << c.what;
  }
}

TEST(ResolvedEndpoints, AnotherOrderIsNoChangeForStrictDns) {
  const ClusterConfig strict = MakeCluster(ClusterType::kStrictDns, {{Named("a", 80)}});
  const KnownAddresses one = Known({{"a", {"10.0.0.1", "10.0.0.2"}}});
  const KnownAddresses other = Known({{"a", {"10.0.0.2", "10.0.0.1"}}});
  EXPECT_TRUE(SameAddresses(*ResolvedEndpoints(strict, one), *ResolvedEndpoints(strict, other)));
  const ClusterConfig logical = MakeCluster(ClusterType::kLogicalDns, {{Named("a", 80)}});
  EXPECT_FALSE(SameAddresses(*ResolvedEndpoints(logical, one), *ResolvedEndpoints(logical, other)));
}

TEST(LookupsOf, AreTheNamesInTheFamilyOfTheCluster) {
  ClusterConfig cluster =
      MakeCluster(ClusterType::kStrictDns, {{Named("a", 80), Named("10.0.0.1", 80)}});
  cluster.dns_family = dns::LookupFamily::kV6Only;
  const std::vector<dns::Lookup> lookups = LookupsOf(cluster);
  ASSERT_EQ(lookups.size(), 1u);
  EXPECT_EQ(lookups[0], (dns::Lookup{"a", dns::LookupFamily::kV6Only}));
  EXPECT_TRUE(LookupsOf(ClusterConfig()).empty());
}

}  // namespace
}  // namespace weft
