// Pods and services of both IP families: names, capture, mesh TLS and policies over IPv6.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

constexpr char kBoth[] = "ipFamilyPolicy: RequireDualStack";
constexpr char kIpv6Only[] = "ipFamilies: [IPv6]";
constexpr char kClientIdentity[] = "spiffe://east.weft/ns/default/sa/client";

// A workload and its service, with more in the service's spec.
std::string Echo(const std::string& app, const std::string& families,
                 const std::string& port_name = "http") {
  std::string service = ServiceOf(app, port_name, 80);
  service.insert(service.find("selector:"), absl::StrCat(families, ", "));
  return EchoWorkload(app, app, "v1") + service;
}

class DualStack : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sandbox_ = new Sandbox({"east", "west"});
    sandbox_->Write("east", "all.yaml",
                    Client("client") + Client("outsider", kNotInjected) + Echo("both", kBoth) +
                        Echo("six", kIpv6Only) + Echo("raw", kBoth, "tcp") +
                        Echo("pods", absl::StrCat(kBoth, ", clusterIP: None")) +
                        Echo("strict", kIpv6Only) + R"(---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict}
spec: {selector: {matchLabels: {app: strict}}, mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: raw}
spec:
  selector: {matchLabels: {app: raw}}
  action: DENY
  rules: [{to: [{operation: {ports: ["8080"]}}], when: [{key: destination.ip, values: ['fd00::/8']}]}]
)");
    sandbox_->Write("west", "all.yaml", Echo("far", kBoth) + Echo("far-six", kIpv6Only));
    const Result up = sandbox_->Up({"--dual-stack"});
    ASSERT_EQ(up.status, 0) << up.out << up.err;
    ASSERT_TRUE(Eventually([] { return sandbox_->Call("east/client", {"http://far/"}).ok(); }));
  }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }

  static std::string Dig(const std::string& app, const std::string& type,
                         const std::string& form = "+short") {
    const std::string name = absl::StrCat(app, ".default.svc.cluster.local");
    const Result found =
        sandbox_->Exec("east/client", {"dig", "+tries=1", "+time=4", form, name, type});
    return std::string(absl::StripSuffix(found.out, "\n"));
  }

  static Answer Call(const std::string& pod, const std::string& family, const std::string& url) {
    return sandbox_->Call(absl::StrCat("east/", pod), {"-g", family, url});
  }

  static Sandbox* sandbox_;
};
Sandbox* DualStack::sandbox_ = nullptr;

TEST_F(DualStack, AServiceOfBothFamiliesHasBothAddresses) {
  EXPECT_TRUE(absl::StartsWith(Dig("both", "A"), "10.96.")) << Dig("both", "A");
  EXPECT_TRUE(absl::StartsWith(Dig("both", "AAAA"), "fd00:10:96::")) << Dig("both", "AAAA");
}

TEST_F(DualStack, AMissingFamilyIsNoDataNotNxdomain) {
  EXPECT_TRUE(absl::StartsWith(Dig("six", "AAAA"), "fd00:10:96::")) << Dig("six", "AAAA");
  const std::string answer = Dig("six", "A", "+nocmd");
  EXPECT_TRUE(absl::StrContains(answer, "status: NOERROR")) << answer;
  EXPECT_TRUE(absl::StrContains(answer, "ANSWER: 0")) << answer;
}

TEST_F(DualStack, EitherFamilyLeadsToTheServiceWithMeshTls) {
  for (const char* family : {"-4", "-6"}) {
    const Answer answer = Call("client", family, "http://both/");
    EXPECT_TRUE(answer.ok()) << family << ": " << answer.code << ", curl " << answer.curl;
    EXPECT_EQ(answer.field("workload"), "both") << family;
    EXPECT_EQ(answer.field("client_identity"), kClientIdentity) << family;
  }
}

TEST_F(DualStack, AServiceOfIpv6AloneIsReachedOverIt) {
  for (const char* app : {"six", "strict"}) {
    const Answer answer = Call("client", "-6", absl::StrCat("http://", app, "/"));
    EXPECT_TRUE(answer.ok()) << app << ": " << answer.code << ", curl " << answer.curl;
    EXPECT_EQ(answer.field("workload"), app);
    EXPECT_EQ(answer.field("client_identity"), kClientIdentity);
  }
}

TEST_F(DualStack, PlainTextOverIpv6IsTakenOrRefusedAsThePolicySays) {
  const Answer taken = Call("outsider", "-6", "http://six.default.svc.cluster.local/");
  EXPECT_TRUE(taken.ok()) << taken.code << ", curl " << taken.curl;
  EXPECT_EQ(taken.field("client_identity"), "");
  EXPECT_EQ(Call("outsider", "-6", "http://strict.default.svc.cluster.local/").code, 0);
}

TEST_F(DualStack, APodIsReachedAtItsOwnIpv6Address) {
  const std::string address = Dig("pods", "AAAA");
  ASSERT_TRUE(absl::StartsWith(address, "fd00:10:244::")) << address;
  const Answer answer = Call("client", "-6", absl::StrCat("http://[", address, "]:8080/"));
  EXPECT_TRUE(answer.ok()) << answer.code << ", curl " << answer.curl;
  EXPECT_EQ(answer.field("workload"), "pods");
  const Answer by_name = Call("client", "-6", "http://pods:8080/");
  EXPECT_TRUE(by_name.ok()) << by_name.code << ", curl " << by_name.curl;
}

TEST_F(DualStack, TheProxysOwnPortsAnswerOverIpv6) {
  const std::string address = Dig("pods", "AAAA");
  const Answer health =
      Call("outsider", "-6", absl::StrCat("http://[", address, "]:15021/healthz/ready"));
  EXPECT_TRUE(health.ok()) << health.code << ", curl " << health.curl;
  // A nameserver of IPv6 that is not there: the query is captured on its way.
  const Result captured =
      sandbox_->Exec("east/client", {"dig", "+tries=1", "+time=4", "+short", "@fd00:10:96::a",
                                     "both.default.svc.cluster.local", "AAAA"});
  EXPECT_TRUE(absl::StartsWith(captured.out, "fd00:10:96::")) << captured.out;
}

// The policy is for one family, the service for both, and the sidecar dials IPv4 where it may.
TEST_F(DualStack, APolicyForIpv6DestinationsHoldsOverIpv6) {
  const Answer by_service = Call("client", "-6", "http://raw:80/");
  EXPECT_TRUE(by_service.ok()) << by_service.code << ", curl " << by_service.curl;
  EXPECT_EQ(by_service.field("workload"), "raw");
  const Result pod = sandbox_->Exec("east/raw", {"hostname", "-I"});
  std::string address;
  for (absl::string_view word : absl::StrSplit(pod.out, absl::ByAnyChar(" \n"))) {
    if (absl::StartsWith(word, "fd00:10:244::")) address = std::string(word);
  }
  ASSERT_NE(address, "") << pod.out;
  EXPECT_FALSE(Call("outsider", "-6", absl::StrCat("http://[", address, "]:8080/")).ok());
  const std::string v4 = sandbox_->PodAddress("east", "raw");
  EXPECT_TRUE(Call("outsider", "-4", absl::StrCat("http://", v4, ":8080/")).ok());
}

TEST_F(DualStack, AServiceOnlyInTheOtherClusterHasVirtualAddressesOfBothFamilies) {
  EXPECT_TRUE(absl::StartsWith(Dig("far", "AAAA"), "2001:2::f0f0:")) << Dig("far", "AAAA");
  for (const char* app : {"far", "far-six"}) {
    for (const char* family : {"-4", "-6"}) {
      const Answer answer = Call("client", family, absl::StrCat("http://", app, "/"));
      EXPECT_TRUE(answer.ok()) << app << " " << family << ": " << answer.code;
      EXPECT_EQ(answer.field("cluster"), "west");
    }
  }
}

}  // namespace
}  // namespace weft::integration
