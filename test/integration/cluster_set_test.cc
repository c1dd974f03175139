// Two clusters that export nothing unless it is asked for: what is, answers in both by its name in
// the cluster set, whether its namespace is there or not.
#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

using Counts = std::map<std::string, int>;

// An echo and its service.
std::string Echo(const std::string& name, const std::string& name_space = "default") {
  return absl::StrReplaceAll(
      absl::StrCat(EchoWorkload(name, name, "v1"), ServiceOf(name, "http", 80)),
      {{"metadata: {name: ", absl::StrCat("metadata: {namespace: ", name_space, ", name: ")}});
}
std::string Export(const std::string& name, const std::string& name_space = "default") {
  return absl::StrCat("---\napiVersion: multicluster.x-k8s.io/v1beta1\nkind: ServiceExport\n",
                      "metadata: {name: ", name, ", namespace: ", name_space, "}\n");
}
std::string UrlOf(const std::string& name, const std::string& name_space = "default") {
  return absl::StrCat("http://", name, ".", name_space, ".svc.clusterset.local/");
}

class ClusterSet : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sandbox_ = new Sandbox({"east", "west"});
    for (const std::string cluster : {"east", "west"}) {
      sandbox_->Write(cluster, "all.yaml",
                      absl::StrCat(Client("client"), Echo("both"), Export("both"), Echo("private"),
                                   Echo("mixed")));
    }
    sandbox_->Write(
        "west", "shop.yaml",
        absl::StrCat(Echo("greeter", "shop"), Export("greeter", "shop"), Echo("hidden", "shop")));
    sandbox_->Write("west", "mixed.yaml", Export("mixed"));
    sandbox_->Write("west", "open.yaml",
                    absl::StrCat("---\napiVersion: v1\nkind: Namespace\n",
                                 "metadata: {name: open, labels: {weft.io/export: all}}\n",
                                 Echo("menu", "open")));
    const Result up = sandbox_->Up({"--export", "none"});
    ASSERT_EQ(up.status, 0) << up.out << up.err;
    ASSERT_TRUE(Eventually([] { return Ask("east", UrlOf("greeter", "shop")).ok(); }));
  }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }

  static Answer Ask(const std::string& from, const std::string& url) {
    return sandbox_->Call(from + "/client", {url});
  }
  static bool IsUnknown(const std::string& from, const std::string& url) {
    constexpr int kNoSuchHost = 6;  // curl's
    return Ask(from, url).curl == kNoSuchHost;
  }

  static Sandbox* sandbox_;
};
Sandbox* ClusterSet::sandbox_ = nullptr;

TEST_F(ClusterSet, WhatOneClusterExportsAnswersInBoth) {
  for (const std::string from : {"east", "west"}) {
    for (const auto& [name, name_space] : {std::pair("greeter", "shop"), {"menu", "open"}}) {
      const Answer answer = Ask(from, UrlOf(name, name_space));
      EXPECT_EQ(answer.field("cluster"), "west") << from << " " << name << answer.code;
      EXPECT_EQ(answer.field("client_identity"),
                absl::StrCat("spiffe://", from, ".weft/ns/default/sa/client"));
    }
  }
}

TEST_F(ClusterSet, WhatBothExportIsOneService) {
  for (const std::string from : {"east", "west"}) {
    for (const std::string& url : {UrlOf("both"), std::string("http://both/")}) {
      const Counts counts = Tally(sandbox_->Calls(from + "/client", 40, {url}), "cluster");
      ASSERT_EQ(counts.size(), 2u) << url << ::testing::PrintToString(counts);
      // 20 each are expected; fewer than 4 would be chance once in a million runs.
      for (const auto& [cluster, count] : counts) EXPECT_GE(count, 4) << from << " to " << cluster;
    }
  }
}

TEST_F(ClusterSet, WhatIsNotExportedIsForItsOwnCluster) {
  for (const std::string from : {"east", "west"}) {
    EXPECT_TRUE(IsUnknown(from, UrlOf("private")));
    EXPECT_TRUE(IsUnknown(from, UrlOf("hidden", "shop")));
    const Counts counts =
        Tally(sandbox_->Calls(from + "/client", 10, {"http://private/"}), "cluster");
    EXPECT_EQ(counts, (Counts{{from, 10}}));
  }
  EXPECT_TRUE(Ask("west", "http://hidden.shop/").ok());
  EXPECT_TRUE(IsUnknown("east", "http://hidden.shop/"));
}

TEST_F(ClusterSet, ANameThatOneClusterExportsAndTheOtherKeepsIsTwoServicesThere) {
  const auto clusters = [](const std::string& from, const std::string& url) {
    return Tally(sandbox_->Calls(from + "/client", 10, {url}), "cluster");
  };
  for (const std::string from : {"east", "west"}) {
    EXPECT_EQ(clusters(from, "http://mixed/"), (Counts{{from, 10}}));
    EXPECT_EQ(clusters(from, UrlOf("mixed")), (Counts{{"west", 10}}));
  }
}

TEST_F(ClusterSet, AnExportIsFollowedBothWays) {
  sandbox_->Write("west", "late.yaml", Export("hidden", "shop"));
  const absl::Time start = absl::Now();
  EXPECT_TRUE(Eventually([] { return Ask("east", UrlOf("hidden", "shop")).ok(); }));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  sandbox_->Write("west", "late.yaml", "");
  EXPECT_TRUE(Eventually([] { return IsUnknown("east", UrlOf("hidden", "shop")); }));
  EXPECT_TRUE(Ask("west", "http://hidden.shop/").ok());
}

TEST_F(ClusterSet, TheControlPlaneShowsWhatIsImported) {
  const Result page =
      sandbox_->Exec("east/weftd", {"curl", "-s", "http://127.0.0.1:8080/debug/importz"});
  for (const nlohmann::json& import : nlohmann::json::parse(page.out)) {
    if (import["host"] != "both.default.svc.clusterset.local") continue;
    EXPECT_EQ(import["clusters"], (nlohmann::json{"east", "west"}));
    EXPECT_EQ(import["conflict"], "");
    return;
  }
  ADD_FAILURE() << page.out << page.err;
}

}  // namespace
}  // namespace weft::integration
