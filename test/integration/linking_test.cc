// Three clusters with the same addresses, one of which nobody can dial, that nothing links but the
// commands of an operator: a token on one side, a join on the other.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

using Json = nlohmann::json;

constexpr const char* kClusters[] = {"east", "west", "mars"};
constexpr absl::Duration kSoon = absl::Seconds(5);

class Linking : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sandbox_ = new Sandbox({kClusters[0], kClusters[1], kClusters[2]});
    for (const std::string cluster : kClusters) {
      const std::string own = absl::StrCat("of-", cluster);
      sandbox_->Write(cluster, "own.yaml",
                      absl::StrCat(EchoWorkload(own, own, "v1"), ServiceOf(own, "http", 80)));
      sandbox_->Write(cluster, "client.yaml", Client("client"));
    }
    const Result up = sandbox_->Up({"--link", "none", "--block-inbound", "mars"});
    ASSERT_EQ(up.status, 0) << up.out << up.err;
  }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }

  // `weftctl link VERB …`, of one cluster.
  static Result Link(const std::string& cluster, std::vector<std::string> arguments) {
    std::vector<std::string> command = {BinaryPath("WEFTCTL"), "link"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    command.insert(command.end(), {"--cluster", cluster, "--name", "it"});
    return RunCommand(command, sandbox_->environment());
  }
  static void Join(const std::string& joiner, const std::string& issuer) {
    const Result token = Link(issuer, {"token"});
    ASSERT_EQ(token.status, 0) << token.err;
    const std::string text(absl::StripAsciiWhitespace(token.out));
    const Result joined = Link(joiner, {"join", text});
    ASSERT_EQ(joined.status, 0) << joined.err;
    EXPECT_EQ(joined.out, absl::StrCat("linked with ", issuer, "\n"));
  }
  static Answer Ask(const std::string& from, const std::string& of) {
    return sandbox_->Call(from + "/client",
                          {absl::StrCat("http://of-", of, ".default.svc.clusterset.local/")});
  }
  static bool Soon(const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + kSoon;
    while (absl::Now() < end) {
      if (condition()) return true;
      absl::SleepFor(absl::Milliseconds(50));
    }
    return condition();
  }

  static Sandbox* sandbox_;
};
Sandbox* Linking::sandbox_ = nullptr;

// In order: each goes on from where the one before it left the clusters.
TEST_F(Linking, A_NobodyKnowsAnybodyBefore) {
  for (const std::string cluster : kClusters) {
    const Result list = Link(cluster, {"list", "-o", "json"});
    ASSERT_EQ(list.status, 0) << list.err;
    EXPECT_TRUE(Json::parse(list.out)["links"].empty()) << list.out;
    EXPECT_TRUE(Ask(cluster, cluster).ok());
  }
  EXPECT_FALSE(Ask("east", "west").ok());
}

TEST_F(Linking, B_TwoCommandsALinkAndEachServiceAnswersFromAnywhere) {
  const Result token = Link("mars", {"token"});
  EXPECT_EQ(token.status, 1);
  EXPECT_TRUE(absl::StrContains(token.err, "mars cannot be dialed")) << token.err;
  Join("west", "east");
  Join("mars", "east");
  Join("mars", "west");
  for (const std::string from : kClusters) {
    for (const std::string of : kClusters) {
      EXPECT_TRUE(Soon([&] { return Ask(from, of).field("cluster") == of; }))
          << of << " does not answer " << from;
    }
  }
}

TEST_F(Linking, C_WhatIsLinkedIsListedAndTested) {
  const Result list = Link("east", {"list", "-o", "json"});
  ASSERT_EQ(list.status, 0) << list.err;
  Json links = Json::parse(list.out)["links"];
  ASSERT_EQ(links.size(), 2u) << list.out;
  EXPECT_EQ(links[0]["cluster"], "mars");
  EXPECT_EQ(links[0]["outboundOnly"], true);
  EXPECT_EQ(links[1]["cluster"], "west");
  EXPECT_EQ(links[1]["state"], "fresh");
  const Result status = Link("east", {"status", "west"});
  EXPECT_TRUE(absl::StrContains(status.out, "Trust domain:   west.weft")) << status.out;
  const Result test = Link("mars", {"test", "west"});
  EXPECT_EQ(test.status, 0) << test.out << test.err;
  EXPECT_TRUE(absl::StrContains(test.out, "1 MiB there and back")) << test.out;
}

TEST_F(Linking, D_ARemovedLinkIsGoneAtOnce) {
  const Result removed = Link("west", {"remove", "east"});
  ASSERT_EQ(removed.status, 0) << removed.err;
  EXPECT_TRUE(Soon([] { return !Ask("west", "east").ok(); }));
  // West does not take east's word for anything any more, either.
  ASSERT_EQ(Link("east", {"remove", "west"}).status, 0);
  EXPECT_TRUE(Soon([] { return !Ask("east", "west").ok(); }));
  EXPECT_TRUE(Ask("mars", "east").ok());
  EXPECT_TRUE(Ask("mars", "west").ok());
  Join("east", "west");
  EXPECT_TRUE(Soon([] { return Ask("west", "east").field("cluster") == "east"; }));
}

}  // namespace
}  // namespace weft::integration
