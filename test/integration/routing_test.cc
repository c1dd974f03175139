// VirtualService and DestinationRule on the whole path: YAML to weftd to sidecar to curl.
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

using Counts = std::map<std::string, int>;

// The rules for all that follow, each under a path of its own.
constexpr char kRules[] = R"(---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - name: turns
    labels: {app: web}
    trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - match: [{uri: {prefix: /weights}}]
    route:
    - {destination: {host: web, subset: v1}, weight: 80}
    - {destination: {host: web, subset: v2}, weight: 20}
  - match: [{uri: {exact: /exact}}, {uri: {regex: '/r[0-9]+'}}]
    route: [{destination: {host: web, subset: v2}}]
  - match: [{uri: {prefix: /method}, method: {exact: POST}}]
    route: [{destination: {host: web, subset: v2}}]
  - match: [{uri: {prefix: /both}, headers: {x-a: {prefix: 'on'}, x-b: {regex: 'b+'}}}]
    route: [{destination: {host: web, subset: v2}}]
  - match: [{uri: {prefix: /query}, queryParams: {v: {exact: '2'}}}]
    route: [{destination: {host: web, subset: v2}}]
  - match: [{uri: {prefix: /turns}}]
    route: [{destination: {host: web, subset: turns}}]
  - match: [{uri: {prefix: /old/}}]
    rewrite: {uri: /new/, authority: renamed.example}
    route: [{destination: {host: web, subset: v1}}]
  - match: [{uri: {prefix: /moved}}]
    redirect: {uri: /here, authority: other.example, redirectCode: 308}
  - match: [{uri: {prefix: /teapot}}]
    directResponse: {status: 418, body: {string: short and stout}}
  - match: [{uri: {prefix: /elsewhere}}]
    route: [{destination: {host: slow}}]
  - route: [{destination: {host: web, subset: v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: slow}
spec:
  hosts: [slow]
  http:
  - match: [{uri: {prefix: /delay/}}]
    timeout: 0.5s
    route: [{destination: {host: slow}}]
  - match: [{uri: {prefix: /flaky/}}]
    retries: {attempts: 2, retryOn: 5xx}
    route: [{destination: {host: slow}}]
  - match: [{uri: {prefix: /status/}}]
    retries: {attempts: 0}
    route: [{destination: {host: slow}}]
  - route: [{destination: {host: slow}}]
)";

class Routing : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sandbox_ = new Sandbox({"east"});
    sandbox_->Write("east", "workloads.yaml",
                    Client("client") + EchoWorkload("web-v1", "web", "v1") +
                        EchoWorkload("web-v2", "web", "v2") + ServiceOf("web", "http", 80) +
                        EchoWorkload("slow", "slow", "v1", 8080, "", "slow") +
                        ServiceOf("slow", "http", 80));
    sandbox_->Write("east", "rules.yaml", kRules);
    const Result up = sandbox_->Up({"--image", absl::StrCat("slow=", BinaryPath("APP"), " http")});
    ASSERT_EQ(up.status, 0) << up.out << up.err;
  }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }

  static Answer Get(const std::string& url, std::vector<std::string> arguments = {}) {
    arguments.push_back("http://" + url);
    return sandbox_->Call("east/client", arguments);
  }
  static std::string Version(const std::string& url, std::vector<std::string> arguments = {}) {
    return Get(url, std::move(arguments)).field("version");
  }

  static Sandbox* sandbox_;
};
Sandbox* Routing::sandbox_ = nullptr;

TEST_F(Routing, WeightsDivideTheCalls) {
  Counts counts = Tally(sandbox_->Calls("east/client", 150, {"http://web/weights"}), "version");
  EXPECT_EQ(counts["v1"] + counts["v2"], 150) << ::testing::PrintToString(counts);
  // 30 are expected; outside of this is chance once in 50,000 runs.
  EXPECT_GE(counts["v2"], 12);
  EXPECT_LE(counts["v2"], 52);
}

TEST_F(Routing, PathsMatchExactlyByPrefixAndByRegex) {
  EXPECT_EQ(Version("web/exact"), "v2");
  EXPECT_EQ(Version("web/exact?q=1"), "v2");
  EXPECT_EQ(Version("web/exactly"), "v1");
  EXPECT_EQ(Version("web/r12"), "v2");
  EXPECT_EQ(Version("web/r12x"), "v1") << "a regex matches the whole path";
}

TEST_F(Routing, MethodsHeadersAndQueryParametersMatch) {
  EXPECT_EQ(Version("web/method", {"-X", "POST"}), "v2");
  EXPECT_EQ(Version("web/method"), "v1");
  EXPECT_EQ(Version("web/both", {"-H", "x-a: off", "-H", "x-b: bbb"}), "v1");
  EXPECT_EQ(Version("web/both", {"-H", "x-a: on-and-on", "-H", "x-b: bbb"}), "v2");
  EXPECT_EQ(Version("web/both", {"-H", "x-a: on"}), "v1");
  EXPECT_EQ(Version("web/query?a=b&v=2"), "v2");
  EXPECT_EQ(Version("web/query?v=3"), "v1");
}

TEST_F(Routing, WhatMatchesNothingTakesTheLastRoute) { EXPECT_EQ(Version("web/"), "v1"); }

TEST_F(Routing, RoundRobinOfASubsetTakesTurns) {
  const Counts counts = Tally(sandbox_->Calls("east/client", 40, {"http://web/turns"}), "version");
  EXPECT_EQ(counts, (Counts{{"v1", 20}, {"v2", 20}}));
}

TEST_F(Routing, RewriteChangesPathAndHost) {
  const Answer answer = Get("web/old/page?x=1");
  EXPECT_EQ(answer.field("path"), "/new/page?x=1");
  EXPECT_EQ(answer.echo["headers"]["host"], "renamed.example");
}

TEST_F(Routing, RedirectAnswersWithTheNewPlace) {
  const Answer answer = Get("web/moved/x");
  EXPECT_EQ(answer.code, 308);
  EXPECT_EQ(answer.redirect, "http://other.example/here");
}

TEST_F(Routing, DirectResponseNeedsNoServer) {
  const Answer answer = Get("web/teapot");
  EXPECT_EQ(answer.code, 418);
  EXPECT_EQ(answer.body, "short and stout");
}

TEST_F(Routing, ARouteMayLeadToAnotherService) {
  EXPECT_EQ(Get("web/elsewhere").body, "path=/elsewhere\n");
}

TEST_F(Routing, TimeoutAnswers504InTime) {
  const Answer answer = Get("slow/delay/3000");
  EXPECT_EQ(answer.code, 504);
  EXPECT_GE(answer.took, absl::Milliseconds(450));
  EXPECT_LT(answer.took, absl::Milliseconds(2500));
  EXPECT_EQ(Get("slow/delay/50").code, 200);
}

TEST_F(Routing, RetriesReachTheAnswerBehindTwoFailures) {
  const Answers answers = sandbox_->Calls("east/client", 10, {"http://slow/flaky/3"});
  EXPECT_EQ(CountOk(answers), 10);
}

TEST_F(Routing, WithoutRetriesAFailureIsPassedOn) {
  EXPECT_EQ(Get("slow/status/503").code, 503);
  EXPECT_EQ(Get("slow/status/404").code, 404);
}

// The object with the dangling reference is refused, the last good one goes on.
TEST_F(Routing, ABrokenEditChangesNothing) {
  std::string broken = kRules;
  broken.replace(broken.find("subset: v1}, weight: 80"), 10, "subset: v9");
  sandbox_->Write("east", "rules.yaml", broken + "---\nkind: [");
  const Counts counts =
      Tally(sandbox_->Calls("east/client", 40, {"http://web/weights"}), "version");
  EXPECT_EQ(counts.count("v1"), 1u) << ::testing::PrintToString(counts);
  EXPECT_EQ(Version("web/exact"), "v2");
  sandbox_->Write("east", "rules.yaml", kRules);
}

}  // namespace
}  // namespace weft::integration
