#include "controlplane/webhook/capture.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"

namespace weft::webhook {
namespace {

using Annotations = std::map<std::string, std::string>;

std::string RulesFor(const Annotations& annotations) {
  absl::StatusOr<CaptureOptions> options = CaptureFromAnnotations(annotations);
  EXPECT_TRUE(options.ok()) << options.status();
  return CaptureRules(*options);
}

TEST(Capture, TakesOverEverythingButTheProxysOwn) {
  EXPECT_EQ(RulesFor({}),
            R"nft(table inet weft_capture
delete table inet weft_capture
table inet weft_capture {
  chain output {
    type nat hook output priority -100
    ip saddr 127.0.0.6 return
    ip6 saddr ::6 return
    oifname "lo" meta mark 1337 meta l4proto tcp ip daddr != 127.0.0.0/8 redirect to :15006
    oifname "lo" meta mark 1337 meta l4proto tcp ip6 daddr != ::1 redirect to :15006
    oifname "lo" meta skuid 1337 meta l4proto tcp ip daddr != 127.0.0.0/8 redirect to :15006
    oifname "lo" meta skuid 1337 meta l4proto tcp ip6 daddr != ::1 redirect to :15006
    meta mark 1337 return
    meta skuid 1337 return
    udp dport 53 redirect to :15053
    tcp dport 53 redirect to :15053
    oifname "lo" return
    ip daddr 127.0.0.0/8 return
    ip6 daddr { ::1, fe80::/10 } return
    meta l4proto tcp redirect to :15001
  }
  chain prerouting {
    type nat hook prerouting priority dstnat
    iifname "lo" return
    tcp dport { 15020, 15021, 15090 } return
    meta l4proto tcp redirect to :15006
  }
  chain output_untracked {
    type filter hook output priority raw
    meta mark 1337 udp dport 53 notrack
    meta skuid 1337 udp dport 53 notrack
  }
  chain prerouting_untracked {
    type filter hook prerouting priority raw
    iifname != "lo" udp sport 53 notrack
  }
}
)nft");
}

struct Case {
  const char* annotation;
  const char* value;
  const char* present;  // a line of the rules
  const char* absent;
};

TEST(Capture, FollowsThePodsAnnotations) {
  const Case cases[] = {
      {"excludeInboundPorts", "9000, 9001", "    tcp dport { 9000, 9001 } return\n", nullptr},
      {"includeInboundPorts", "80,8080", "    tcp dport { 80, 8080 } redirect to :15006\n",
       "    meta l4proto tcp redirect to :15006\n"},
      {"includeInboundPorts", "", nullptr, "    meta l4proto tcp redirect to :15006\n"},
      {"includeInboundPorts", "*", "    meta l4proto tcp redirect to :15006\n", nullptr},
      {"excludeOutboundPorts", "3306", "    tcp dport { 3306 } return\n", nullptr},
      {"excludeOutboundIPRanges", "10.1.0.0/16", "    ip daddr { 10.1.0.0/16 } return\n", nullptr},
      {"includeOutboundIPRanges", "10.96.0.0/16",
       "    meta l4proto tcp ip daddr { 10.96.0.0/16 } redirect to :15001\n",
       "    meta l4proto tcp redirect to :15001\n"},
      {"excludeOutboundIPRanges", "10.1.0.0/16, fd00:1::/32, fd00::7",
       "    ip daddr { 10.1.0.0/16 } return\n    ip6 daddr { fd00:1::/32, fd00::7 } return\n",
       nullptr},
      {"includeOutboundIPRanges", "fd00::/8",
       "    meta l4proto tcp ip6 daddr { fd00::/8 } redirect to :15001\n",
       "    meta l4proto tcp redirect to :15001\n"},
      {"includeOutboundIPRanges", "*", "    meta l4proto tcp redirect to :15001\n", nullptr},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.annotation) + "=" + c.value);
    std::string rules =
        RulesFor({{std::string("traffic.sidecar.istio.io/") + c.annotation, c.value}});
    if (c.present != nullptr) EXPECT_TRUE(absl::StrContains(rules, c.present)) << rules;
    if (c.absent != nullptr) EXPECT_FALSE(absl::StrContains(rules, c.absent)) << rules;
  }
}

TEST(Capture, NamesTheAnnotationThatIsWrong) {
  const std::pair<std::string, std::string> wrong[] = {
      {"excludeInboundPorts", "80,http"},
      {"excludeOutboundPorts", "0"},
      {"includeOutboundPorts", "65536"},
      {"excludeOutboundIPRanges", "10.0.0.0/33"},
      {"excludeOutboundIPRanges", "fd00::/129"},
      {"excludeOutboundIPRanges", "fd00::/8/8"},
      {"includeOutboundIPRanges", "fd00::} flush ruleset"},
      {"includeOutboundIPRanges", "} flush ruleset"},
  };
  for (const auto& [name, value] : wrong) {
    absl::StatusOr<CaptureOptions> options =
        CaptureFromAnnotations({{"traffic.sidecar.istio.io/" + name, value}});
    ASSERT_FALSE(options.ok()) << name;
    EXPECT_TRUE(absl::StrContains(options.status().message(), name)) << options.status();
  }
}

TEST(Capture, ReadsItsFlagsAsTheAnnotationsTheyCameFrom) {
  Annotations annotations = {{"traffic.sidecar.istio.io/excludeInboundPorts", "1,2"},
                             {"traffic.sidecar.istio.io/includeOutboundIPRanges", "10.0.0.0/8"},
                             {"unrelated", "x"}};
  std::vector<std::string> flags = CaptureFlags(annotations);
  EXPECT_EQ(flags.size(), 2u);
  absl::StatusOr<CaptureOptions> options = CaptureFromFlags(flags);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(CaptureRules(*options), RulesFor(annotations));
  EXPECT_FALSE(CaptureFromFlags({"--nonsense=1"}).ok());
}

}  // namespace
}  // namespace weft::webhook
