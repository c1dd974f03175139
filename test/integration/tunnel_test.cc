// Three clusters with the same addresses, of which nothing comes into one: its gateway dials those
// of the others, and services answer in both directions all the same.
#include <map>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

// mars is behind NAT.
constexpr const char* kClusters[] = {"east", "west", "mars"};
using Counts = std::map<std::string, int>;

std::string UrlOf(const std::string& service) {
  return absl::StrCat("http://", service, ".default/");
}
std::string ClusterSetUrlOf(const std::string& service) {
  return absl::StrCat("http://", service, ".default.svc.clusterset.local/");
}

class ThreeClusters : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sandbox_ = new Sandbox({kClusters[0], kClusters[1], kClusters[2]});
    for (const std::string cluster : kClusters) {
      // One service that each cluster has by itself, and one that all have.
      const std::string own = absl::StrCat("of-", cluster);
      sandbox_->Write(cluster, "own.yaml",
                      absl::StrCat(EchoWorkload(own, own, "v1"), ServiceOf(own, "http", 80)));
      sandbox_->Write(
          cluster, "all.yaml",
          absl::StrCat(EchoWorkload("hello", "hello", "v1"), ServiceOf("hello", "http", 80)));
      // One whose local name is for each cluster's own pods.
      sandbox_->Write(
          cluster, "apart.yaml",
          absl::StrCat(EchoWorkload("apart", "apart", "v1"),
                       absl::StrReplaceAll(
                           ServiceOf("apart", "http", 80),
                           {{"{name: apart}",
                             "{name: apart, annotations: {weft.io/merge-local: 'false'}}"}})));
      sandbox_->Write(cluster, "client.yaml", Client("client"));
    }
    const Result up = sandbox_->Up({"--block-inbound", "mars"});
    ASSERT_EQ(up.status, 0) << up.out << up.err;
  }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }
  void TearDown() override { sandbox_->Heal(); }

  static Counts Clusters(const std::string& from, const std::string& service, int count) {
    return Tally(sandbox_->Calls(from, count, {UrlOf(service)}), "cluster");
  }
  // `weftctl cluster drain NAME`, or undrain.
  static Result Cluster(const std::string& verb, const std::string& name) {
    return RunCommand({BinaryPath("WEFTCTL"), "cluster", verb, name, "--name", "it"},
                      sandbox_->environment());
  }

  static Sandbox* sandbox_;
};
Sandbox* ThreeClusters::sandbox_ = nullptr;

TEST_F(ThreeClusters, NothingComesIntoTheBlockedOne) {
  // The routers' addresses are in the order of the clusters.
  for (const char* port : {"15443", "15008", "15013", "53"}) {
    const Result dialed = sandbox_->Exec(
        "east/router",
        {"curl", "-sS", "--connect-timeout", "1", absl::StrCat("telnet://172.31.0.13:", port)});
    EXPECT_NE(dialed.status, 0) << port;
    EXPECT_EQ(dialed.out, "") << port;
  }
  // The same way to another cluster is open.
  const Result open = sandbox_->Exec(
      "east/router",
      {"sh", "-c", "curl -sSv -m 1 telnet://172.31.0.12:15008 2>&1 | grep -c '[Cc]onnected to'"});
  EXPECT_EQ(absl::StripAsciiWhitespace(open.out), "1") << open.out << open.err;
}

TEST_F(ThreeClusters, AnyServiceAnswersFromAnywhere) {
  for (const std::string from : kClusters) {
    for (const std::string to : kClusters) {
      const std::string client = absl::StrCat(from, "/client");
      EXPECT_EQ(Clusters(client, absl::StrCat("of-", to), 20), (Counts{{to, 20}})) << from;
    }
  }
}

TEST_F(ThreeClusters, AnyServiceAnswersFromAnywhereByItsNameInTheClusterSet) {
  for (const std::string from : kClusters) {
    for (const std::string to : kClusters) {
      const Answers answers = sandbox_->Calls(absl::StrCat(from, "/client"), 5,
                                              {ClusterSetUrlOf(absl::StrCat("of-", to))});
      EXPECT_EQ(Tally(answers, "cluster"), (Counts{{to, 5}})) << from;
    }
  }
}

TEST_F(ThreeClusters, AServiceOfAllIsSpreadOverAll) {
  for (const std::string from : kClusters) {
    const Counts counts = Clusters(absl::StrCat(from, "/client"), "hello", 90);
    ASSERT_EQ(counts.size(), 3u) << from << ::testing::PrintToString(counts);
    // 30 each are expected; fewer than 10 would be chance once in 100,000 runs.
    for (const auto& [cluster, count] : counts) EXPECT_GE(count, 10) << from << " to " << cluster;
  }
}

TEST_F(ThreeClusters, ANameInTheClusterSetThatIsAServiceOfItsOwnIsSpreadOverAllToo) {
  for (const std::string from : kClusters) {
    const std::string client = absl::StrCat(from, "/client");
    EXPECT_EQ(Clusters(client, "apart", 10), (Counts{{from, 10}}));
    const Counts counts = Tally(sandbox_->Calls(client, 90, {ClusterSetUrlOf("apart")}), "cluster");
    ASSERT_EQ(counts.size(), 3u) << from << ::testing::PrintToString(counts);
    for (const auto& [cluster, count] : counts) EXPECT_GE(count, 10) << from << " to " << cluster;
  }
}

// End to end, whatever is in between.
TEST_F(ThreeClusters, TheServerKnowsTheClient) {
  for (const std::string from : kClusters) {
    for (const std::string to : kClusters) {
      const Answer answer =
          sandbox_->Call(absl::StrCat(from, "/client"), {UrlOf(absl::StrCat("of-", to))});
      EXPECT_EQ(answer.field("client_identity"),
                absl::StrCat("spiffe://", from, ".weft/ns/default/sa/client"))
          << "in " << to;
    }
  }
}

TEST_F(ThreeClusters, GatewaysLogWhoWentWhere) {
  ASSERT_TRUE(sandbox_->Call("east/client", {UrlOf("of-mars")}).ok());
  // A tunnel is logged when it ends, and the client's sidecar keeps it for the next request.
  ASSERT_EQ(sandbox_->Kill("east/client").status, 0);
  const auto logged = [](const std::string& cluster, const std::string& authority) {
    const Result log = sandbox_->Weftctl({"logs", absl::StrCat(cluster, "/weft-system/gateway")});
    for (absl::string_view line : absl::StrSplit(log.out, '\n')) {
      if (line.find(absl::StrCat("\"authority\":\"", authority, "\"")) != absl::string_view::npos &&
          line.find("spiffe://east.weft/ns/default/sa/client") != absl::string_view::npos) {
        return true;
      }
    }
    return false;
  };
  const std::string name = "outbound_.80_._.of-mars.default.svc.cluster.local";
  EXPECT_TRUE(Eventually([&] { return logged("mars", name); }));
  EXPECT_TRUE(Eventually([&] { return logged("east", absl::StrCat("mars.", name)); }));
}

TEST_F(ThreeClusters, TheBlockedOneIsBackAfterItsGatewayWasKilled) {
  ASSERT_EQ(sandbox_->Kill("mars/gateway").status, 0);
  sandbox_->Heal();
  EXPECT_TRUE(
      Eventually([] { return Clusters("east/client", "of-mars", 5) == Counts{{"mars", 5}}; }));
  ASSERT_EQ(sandbox_->Kill("east/gateway").status, 0);
  sandbox_->Heal();
  EXPECT_TRUE(
      Eventually([] { return Clusters("east/client", "of-mars", 5) == Counts{{"mars", 5}}; }));
}

TEST_F(ThreeClusters, DrainingAClusterMovesItsTrafficWithoutAFailedCall) {
  CallsGoingOn local(sandbox_, "east/client", {UrlOf("hello")});
  CallsGoingOn remote(sandbox_, "west/client", {UrlOf("hello")});
  ASSERT_TRUE(local.Await(10));
  const Result drained = Cluster("drain", "east");
  ASSERT_EQ(drained.status, 0) << drained.err;
  for (const std::string from : kClusters) {
    const std::string client = absl::StrCat(from, "/client");
    EXPECT_TRUE(Eventually([&] { return Clusters(client, "hello", 20).count("east") == 0; }))
        << from;
    // What no other cluster has stays.
    EXPECT_EQ(Clusters(client, "of-east", 5), (Counts{{"east", 5}})) << from;
  }
  // It is drained after a restart, too.
  ASSERT_EQ(sandbox_->Kill("east/weftd").status, 0);
  sandbox_->Heal();
  EXPECT_EQ(Clusters("east/client", "hello", 20).count("east"), 0u);

  ASSERT_EQ(Cluster("undrain", "east").status, 0);
  for (const std::string from : kClusters) {
    EXPECT_TRUE(Eventually([&] {
      return Clusters(absl::StrCat(from, "/client"), "hello", 20).count("east") == 1;
    })) << from;
  }
  for (CallsGoingOn* calls : {&local, &remote}) {
    const Answers answers = calls->Stop();
    EXPECT_EQ(CountOk(answers), static_cast<int>(answers.size()))
        << ::testing::PrintToString(Tally(answers, "cluster"));
  }
}

}  // namespace
}  // namespace weft::integration
