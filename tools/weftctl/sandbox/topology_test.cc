#include "tools/weftctl/sandbox/topology.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/match.h"

namespace weft::sandbox {
namespace {

TEST(Topology, AddressesStayInTheirRangeAndNeverRepeat) {
  std::set<std::string> pods, services;
  for (int n = 0; n < kMaxPods; ++n) EXPECT_TRUE(pods.insert(PodAddress(n)).second);
  for (int n = 0; n < kMaxServices; ++n) EXPECT_TRUE(services.insert(ServiceAddress(n)).second);
  EXPECT_EQ(PodAddress(0), "10.244.0.11");
  EXPECT_EQ(PodAddress(250), "10.244.1.11");
  EXPECT_EQ(PodAddress(kMaxPods - 1), "10.244.240.10");
  for (const char* fixed : {kWeftdIp, kGatewayIp}) EXPECT_EQ(pods.count(fixed), 0u);
  EXPECT_EQ(services.count(kDnsIp), 0u);
}

TEST(RouterRules, SpreadAServiceOverItsBackends) {
  std::string rules =
      RouterRules({{"10.96.0.21", "tcp", 80, {{"10.244.0.11", 8080}, {"10.244.0.12", 8080}}},
                   {"10.96.0.22", "tcp", 80, {}}});
  EXPECT_TRUE(absl::StrContains(
      rules,
      "    ip daddr 10.96.0.21 tcp dport 80 dnat ip addr . port to numgen random mod 2 map "
      "{ 0 : 10.244.0.11 . 8080, 1 : 10.244.0.12 . 8080 }\n"))
      << rules;
  EXPECT_FALSE(absl::StrContains(rules, "10.96.0.22")) << rules;
}

TEST(RouterRules, LetOnlyTheGatewayPortIn) {
  std::string rules = RouterRules({});
  EXPECT_TRUE(
      absl::StrContains(rules, "    iifname \"wan0\" tcp dport 15443 dnat to 10.244.0.4:15443\n"));
  EXPECT_TRUE(absl::StrContains(rules, "    iifname \"wan0\" drop\n"));
}

}  // namespace
}  // namespace weft::sandbox
