#include "tools/weftctl/sandbox/topology.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

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
  EXPECT_EQ(PodIpv6Address(0), "fd00:10:244::b");
  EXPECT_EQ(PodIpv6Address(kMaxPods - 1), "fd00:10:244::ea6a");
  EXPECT_EQ(ServiceIpv6Address(0), "fd00:10:96::15");
}

TEST(RouterRules, SpreadAServiceOverItsBackends) {
  std::string rules =
      RouterRules({{"10.96.0.21", "tcp", 80, {{"10.244.0.11", 8080}, {"10.244.0.12", 8080}}},
                   {"10.96.0.22", "tcp", 80, {}}},
                  {});
  EXPECT_TRUE(absl::StrContains(
      rules,
      "    ip daddr 10.96.0.21 tcp dport 80 dnat ip addr . port to numgen random mod 2 map "
      "{ 0 : 10.244.0.11 . 8080, 1 : 10.244.0.12 . 8080 }\n"))
      << rules;
  EXPECT_FALSE(absl::StrContains(rules, "10.96.0.22")) << rules;
}

TEST(RouterRules, AreOfTheFamilyOfEachServiceAddress) {
  const std::vector<ServicePort> services = {{"10.96.0.21", "tcp", 80, {{"10.244.0.11", 80}}},
                                             {"fd00:10:96::15", "tcp", 80, {{"fd00::b", 80}}}};
  const std::string rules = RouterRules(services, {.dual_stack = true});
  const size_t ipv6 = rules.find("table ip6 weft {");
  ASSERT_NE(ipv6, std::string::npos) << rules;
  const size_t rule = rules.find(
      "    ip6 daddr fd00:10:96::15 tcp dport 80 dnat ip6 addr . port to numgen random mod 1 map "
      "{ 0 : fd00::b . 80 }\n");
  EXPECT_TRUE(rule != std::string::npos && rule > ipv6) << rules;
  EXPECT_LT(rules.find("10.96.0.21"), ipv6) << rules;
}

TEST(RouterRules, LetOnlyTheGatewaysPortsIn) {
  std::string rules = RouterRules({}, {});
  for (const char* port : {"15443", "15008"}) {
    EXPECT_TRUE(absl::StrContains(rules, absl::StrCat("    iifname \"wan0\" tcp dport ", port,
                                                      " dnat to 10.244.0.4:", port, "\n")));
  }
  EXPECT_TRUE(absl::StrContains(rules, "    iifname \"wan0\" drop\n"));
  EXPECT_FALSE(absl::StrContains(rules, "hook input"));
}

TEST(RouterRules, LetOnlyAnswersInWhereInboundIsBlocked) {
  std::string rules = RouterRules({}, {.block_inbound = true});
  EXPECT_FALSE(absl::StrContains(rules, "dnat to")) << rules;
  EXPECT_FALSE(absl::StrContains(rules, "status dnat")) << rules;
  EXPECT_TRUE(absl::StrContains(rules,
                                "    type filter hook input priority filter\n"
                                "    iifname \"wan0\" ct state established,related accept\n"
                                "    iifname \"wan0\" drop\n"))
      << rules;
}

}  // namespace
}  // namespace weft::sandbox
