// Clusters that are linked by objects of their API servers: weftds with tokens, kubectl, and no
// file that matters.
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "controlplane/federation/gateway_for_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/integration/process.h"
#include "test/kubernetes/cluster.h"

namespace weft::test {
namespace {

using apiserver::RequestRecord;
using Json = nlohmann::json;
using testing::AnyOf;
using testing::HasSubstr;

constexpr char kDefinition[] = "controlplane/federation/link_definition.yaml";
constexpr char kNamespace[] = "apiVersion: v1\nkind: Namespace\nmetadata: {name: weft-system}\n";

// With a service that the other one is to see.
struct Side {
  explicit Side(const std::string& name) : name(name) {
    cluster.Out({"apply", "-f", kDefinition});
    cluster.Out({"apply", "-f", "-"}, kNamespace);
    cluster.Out({"create", "-f", "-"}, ServiceYaml(name + "-web", 80, {}));
    weftd = NewWeftd();
    LeadTo(*weftd);
  }
  std::unique_ptr<Weftd> NewWeftd(const std::string& user = "weftd", const std::string& ca = "") {
    WeftdOptions options;
    options.cluster = name;
    options.registry = cluster.Registry(user);
    options.flags = {"--network",        name + "-net", "--gateway-address",
                     gateway.ToString(), "--export",    "all"};
    options.ca = ca;
    return std::make_unique<Weftd>(std::move(options));
  }

  // Whom the gateway leads to.
  void LeadTo(const Weftd& of) {
    gateway.LeadTo(*Address::Ip("127.0.0.1", static_cast<uint16_t>(of.peer_port())));
  }

  // But for the CA, which is not the links' to keep.
  void LoseDisk() {
    weftd->Stop();
    for (const auto& entry : std::filesystem::directory_iterator(weftd->data_folder())) {
      if (entry.path().filename() != "ca.json") std::filesystem::remove_all(entry.path());
    }
    weftd->Start();
  }

  std::string Weftctl(const Weftd& of, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"tools/weftctl/weftctl", "link"});
    arguments.insert(arguments.end(), {"--weftd", of.data_folder()});
    const integration::Result result = integration::RunCommand(arguments);
    return absl::StrCat(absl::StripAsciiWhitespace(result.out), result.err);
  }
  std::string Weftctl(std::vector<std::string> arguments) {
    return Weftctl(*weftd, std::move(arguments));
  }
  Json Link(const std::string& other) {
    const auto link = cluster.server().Get("links.weft.io", "", other);
    return link.ok() ? *link : Json::object();
  }
  // "True", "False: its message", or "" while it is not there.
  std::string Condition(const std::string& other, const std::string& type) {
    const Json link = Link(other);
    if (!link.contains("status")) return "";
    for (const Json& one : link["status"]["conditions"]) {
      if (one["type"] != type) continue;
      const std::string status = one["status"];
      return status == "True" ? status : absl::StrCat(status, ": ", one.value("message", ""));
    }
    return "";
  }
  // Exports come over a stream with the other weftd only.
  bool Sees(const Side& other) {
    return Eventually(
        [&] { return absl::StrContains(weftd->Debug("registryz"), other.name + "-web.default"); });
  }
  // Which whoever leads writes.
  bool SaysConnected(const Side& other) {
    return Eventually([&] { return Condition(other.name, "Connected") == "True"; });
  }
  void PutToken(const std::string& secret, const std::string& token) {
    cluster.Out({"create", "secret", "generic", secret, "-n", "weft-system",
                 "--from-literal=token=" + token});
  }
  void PutLink(const std::string& other, const std::string& spec) {
    cluster.Out({"apply", "-f", "-"},
                absl::StrCat("apiVersion: weft.io/v1alpha1\nkind: Link\nmetadata: {name: ", other,
                             "}\nspec: ", spec, "\n"));
  }
  // Secrets that weftd asked for: by what they were asked for.
  std::set<std::string> SecretsRead() {
    std::set<std::string> read;
    for (const RequestRecord& one : cluster.server().requests()) {
      if (one.resource != "secrets" || one.verb == "create") continue;
      if (!absl::StartsWith(one.user, "weftd")) continue;
      if (absl::StrContains(one.target, "labelSelector=istio%2FmultiCluster%3Dtrue")) continue;
      read.insert(one.target);
    }
    return read;
  }

  const std::string name;
  Cluster cluster;
  GatewayOnThread gateway;
  std::unique_ptr<Weftd> weftd;
};

class LinksTest : public testing::Test {
 protected:
  void Join() {
    const std::string token = east_.Weftctl({"token"});
    ASSERT_THAT(token, testing::StartsWith("weft1."));
    ASSERT_EQ(west_.Weftctl({"join", token}), "linked with east");
  }
  void ExpectLinked() {
    EXPECT_TRUE(east_.Sees(west_)) << east_.Link("west").dump(1);
    EXPECT_TRUE(west_.Sees(east_)) << west_.Link("east").dump(1);
  }

  Side east_{"east"};
  Side west_{"west"};
};

TEST_F(LinksTest, TwoCommandsMakeAnObjectOnEitherSide) {
  east_.cluster.Out(
      {"create", "secret", "generic", "canary", "-n", "weft-system", "--from-literal=password=x"});
  Join();
  ExpectLinked();
  EXPECT_TRUE(east_.SaysConnected(west_)) << east_.Link("west").dump(1);
  const Json link = east_.Link("west");
  EXPECT_EQ(link["spec"]["network"], "west-net");
  EXPECT_EQ(link["spec"]["trustDomain"], "west.weft");
  EXPECT_THAT(link["spec"]["roots"].get<std::string>(), HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_EQ(link["status"]["services"], 1);
  EXPECT_THAT(east_.cluster.Out({"get", "links"}),
              testing::ContainsRegex("west +west-net +True +True +1 +0 "));
  EXPECT_THAT(east_.Weftctl({"list"}), HasSubstr("west"));
  // Of the token a hash is left, and no file says anything.
  const auto secret = east_.cluster.server().Get("secrets", "weft-system", "weft-link-tokens");
  ASSERT_TRUE(secret.ok());
  std::string tokens;
  ASSERT_TRUE(absl::Base64Unescape((*secret)["data"]["tokens.json"].get<std::string>(), &tokens));
  EXPECT_THAT(tokens, HasSubstr("secretSha256"));
  EXPECT_FALSE(std::filesystem::exists(east_.weftd->data_folder() + "/links"));
  EXPECT_FALSE(std::filesystem::exists(east_.weftd->data_folder() + "/link-tokens.json"));
  for (Side* side : {&east_, &west_}) {
    for (const std::string& target : side->SecretsRead()) {
      EXPECT_THAT(target, HasSubstr("weft-system"));
      EXPECT_THAT(target, AnyOf(HasSubstr("weft-link-tokens"), HasSubstr("cacerts")));
    }
  }
}

TEST_F(LinksTest, OutliveTheDisksOfBoth) {
  Join();
  ExpectLinked();
  for (Side* side : {&east_, &west_}) side->LoseDisk();
  ExpectLinked();
}

TEST_F(LinksTest, AClusterThatRotatedItsRootIsFoundAgainWithoutADisk) {
  Join();
  ExpectLinked();
  const integration::Result rotated = integration::RunCommand(
      {"tools/weftctl/weftctl", "ca", "rotate", "root", "--weftd", west_.weftd->data_folder()});
  ASSERT_EQ(rotated.status, 0) << rotated.err;
  EXPECT_TRUE(Eventually([&] { return east_.Link("west")["status"].contains("told"); }));
  EXPECT_NE(east_.Link("west")["status"]["told"]["roots"], east_.Link("west")["spec"]["roots"]);
  east_.LoseDisk();
  ExpectLinked();
}

TEST_F(LinksTest, AnyWeftdOfAClusterRedeemsATokenOfAnother) {
  const std::string token = east_.Weftctl({"token"});
  const auto second = east_.NewWeftd("weftd-2", east_.weftd->data_folder());
  east_.LeadTo(*second);
  // As soon as it has heard of the token.
  std::string joined;
  EXPECT_TRUE(Eventually([&] {
    joined = west_.Weftctl({"join", token});
    return joined == "linked with east";
  })) << joined;
  // Both follow the link; and the token is used for either of them.
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(east_.Weftctl({"list"}), "west") &&
           absl::StrContains(east_.Weftctl(*second, {"list"}), "west");
  }));
  Side north("north");
  east_.LeadTo(*east_.weftd);
  EXPECT_THAT(north.Weftctl({"join", token}), HasSubstr("was used by another cluster"));
  EXPECT_TRUE(north.Link("east").empty());
}

TEST_F(LinksTest, ASecretAndALinkWithItsNameAreJoined) {
  west_.PutLink("east", "{tokenSecretRef: {name: to-east}, cost: 4}");
  EXPECT_TRUE(Eventually([&] {
    return west_.Condition("east", "Accepted") == "False: Secret weft-system/to-east: is not there";
  })) << west_.Condition("east", "Accepted");
  west_.PutToken("to-east", east_.Weftctl({"token"}));
  ExpectLinked();
  EXPECT_TRUE(west_.SaysConnected(east_)) << west_.Link("east").dump(1);
  EXPECT_EQ(west_.Condition("east", "Accepted"), "True");
  EXPECT_EQ(west_.Link("east")["spec"]["trustDomain"], "east.weft");
  EXPECT_EQ(west_.Link("east")["spec"]["cost"], 4);
  EXPECT_EQ(east_.Link("west")["spec"]["cost"], 0);
  // It is needed no more, and applying it again changes nothing.
  west_.cluster.Out({"delete", "secret", "to-east", "-n", "weft-system"});
  west_.PutLink("east", "{tokenSecretRef: {name: to-east}, cost: 4}");
  EXPECT_TRUE(west_.Sees(east_));
}

TEST_F(LinksTest, AJoinThatFailsSaysTheWayOut) {
  const struct {
    const char* link;
    std::string token, why;
  } cases[] = {
      {"north", east_.Weftctl({"token"}), "the token is of cluster 'east'"},
      {"south", "nonsense", "does not begin with"},
  };
  for (const auto& c : cases) {
    west_.PutToken(c.link, c.token);
    west_.PutLink(c.link, absl::StrCat("{tokenSecretRef: {name: ", c.link, "}}"));
    EXPECT_TRUE(Eventually([&] {
      return absl::StrContains(west_.Condition(c.link, "Accepted"), c.why);
    })) << west_.Condition(c.link, "Accepted");
    EXPECT_EQ(west_.Condition(c.link, "Connected"), "");
  }
  EXPECT_THAT(east_.Weftctl({"list"}), testing::Not(HasSubstr("west")));
}

TEST_F(LinksTest, KubectlEditsAndDeletesThem) {
  Join();
  ExpectLinked();
  east_.cluster.Out({"patch", "link", "west", "--type=merge", "-p", R"({"spec": {"cost": 9}})"});
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(east_.Weftctl({"list", "-o", "json"}), "\"cost\": 9");
  })) << east_.Weftctl({"list", "-o", "json"});
  EXPECT_TRUE(east_.Sees(west_));
  east_.Weftctl({"cost", "west", "2"});
  EXPECT_EQ(east_.Link("west")["spec"]["cost"], 2);
  east_.cluster.Out({"delete", "link", "west"});
  EXPECT_TRUE(Eventually(
      [&] { return !absl::StrContains(east_.weftd->Debug("registryz"), "west-web.default"); }));
  EXPECT_TRUE(
      Eventually([&] { return absl::StartsWith(west_.Condition("east", "Connected"), "False"); }));
  EXPECT_TRUE(
      Eventually([&] { return west_.Link("east")["status"].value("lastError", "") != ""; }));
  west_.Weftctl({"remove", "east"});
  EXPECT_TRUE(west_.Link("east").empty());
}

TEST_F(LinksTest, ABadOneIsRefusedByItsFieldAndLeavesTheLastGoodForm) {
  Join();
  ExpectLinked();
  // Past the webhook, and again if its status was written meanwhile.
  EXPECT_TRUE(Eventually([&] {
    Json bad = east_.Link("west");
    bad["spec"]["gateways"][0]["address"] = "gateway.example";
    return east_.cluster.server().Put(bad).ok();
  }));
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(east_.Condition("west", "Accepted"),
                             "spec.gateways[0].address: 'gateway.example' is not an IP address");
  })) << east_.Condition("west", "Accepted");
  EXPECT_TRUE(east_.Sees(west_));
  // Nobody joins while it is not known whose names it holds.
  Side north("north");
  EXPECT_THAT(north.Weftctl({"join", east_.Weftctl({"token"})}), HasSubstr("mend or remove"));

  east_.cluster.SetWebhooks(*east_.weftd);
  east_.cluster.RegisterWebhooks();
  std::string refusal;
  EXPECT_TRUE(Eventually([&] {
    refusal = east_.cluster
                  .Kubectl({"apply", "-f", "-"},
                           "apiVersion: weft.io/v1alpha1\nkind: Link\nmetadata: {name: south}\n"
                           "spec: {network: net, trustDomian: south.weft, roots: x}\n")
                  .err;
    return absl::StrContains(
        refusal,
        "Link.weft.io south: spec.trustDomian: unknown field; did you mean 'trustDomain'?");
  })) << refusal;
}

}  // namespace
}  // namespace weft::test
