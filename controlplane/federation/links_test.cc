#include "controlplane/federation/links.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/weft/link.pb.h"
#include "certs/issuer.h"
#include "controlplane/federation/cluster_description.h"
#include "controlplane/federation/link_files.h"
#include "controlplane/federation/peer_folder.h"
#include "proxy/runtime/scope.h"

namespace weft {
namespace {

using peer::v1::ClusterDescription;
using peer::v1::JoinRequest;

std::string NewFolder() {
  std::string pattern = absl::StrCat(getenv("TEST_TMPDIR"), "/links-XXXXXX");
  return mkdtemp(pattern.data());
}

std::string NewRoot(const std::string& trust_domain) {
  return certs::Issuer::CreateRoot(trust_domain, absl::Now())->ChainPem();
}

ClusterIdentity Identity(const std::string& cluster) {
  ClusterIdentity self;
  self.cluster = cluster;
  self.network = cluster + "-net";
  self.trust_domain = cluster + ".weft";
  self.roots_pem = NewRoot(self.trust_domain);
  self.gateways = {{"192.0.2.1", 15443, 15008}, {"2001:db8::1", 15443, 0}};
  return self;
}

ClusterDescription DescriptionOf(const ClusterIdentity& self) {
  ClusterDescription description;
  ToWire(self, description);
  return description;
}

template <typename Result>
Task<> Keep(Task<Result> task, std::optional<Result>& result) {
  result = co_await std::move(task);
}

// What came of it: a store of files, or of memory, never waits.
template <typename Result>
Result Done(Task<Result> task) {
  std::optional<Result> result;
  Scope scope;
  scope.Spawn(Keep(std::move(task), result));
  return *std::move(result);
}

// One cluster's.
struct Side {
  explicit Side(const std::string& cluster)
      : self(std::make_shared<ClusterIdentity>(Identity(cluster))) {
    LinkFiles::Options of_files;
    of_files.own_cluster = cluster;
    of_files.data_folder = data;
    of_files.peers_folder = data + "/links";
    of_files.on_change = [this] { ++changes; };
    Links::Options options;
    options.self = [this] { return self; };
    options.current = [this](const std::string&) { return current; };
    options.on_token = [this] { ++changes; };
    links = std::make_unique<Links>(std::make_unique<LinkFiles>(std::move(of_files)),
                                    std::move(options));
  }
  std::map<std::string, Peer> All() const { return *Done(links->All()); }
  JoinRequest Request(const std::string& token, const ClusterDescription& joiner) const {
    const auto decoded = DecodeLinkToken(token);
    EXPECT_TRUE(decoded.ok()) << decoded.status();
    JoinRequest request;
    request.set_token_id(decoded->id());
    request.set_secret(decoded->secret());
    *request.mutable_joiner() = joiner;
    return request;
  }

  const std::string data = NewFolder();
  std::shared_ptr<ClusterIdentity> self;
  std::shared_ptr<const Peer> current;
  int changes = 0;
  std::unique_ptr<Links> links;
};

TEST(Links, AJoinWritesAFileThatTheFolderReadsAsWhatTheJoinerSaid) {
  Side east("east");
  const ClusterIdentity west = Identity("west");
  const auto token = Done(east.links->MakeToken({}, absl::Now()));
  ASSERT_TRUE(token.ok()) << token.status();
  const auto answer =
      Done(east.links->Accept(east.Request(*token, DescriptionOf(west)), absl::Now()));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->cluster(), "east");
  EXPECT_EQ(east.changes, 2);  // a token, a link
  PeerFolder folder(east.data + "/links", "east");
  folder.Poll();
  EXPECT_TRUE(folder.problems().empty());
  ASSERT_EQ(folder.peers().size(), 1u);
  EXPECT_EQ(folder.peers().at("west"), *FromWire(DescriptionOf(west)));
}

TEST(Links, OnlyTheOwnerReadsWhatIsKeptOfTokens) {
  Side east("east");
  ASSERT_TRUE(Done(east.links->MakeToken({}, absl::Now())).ok());
  struct stat info;
  ASSERT_EQ(stat((east.data + "/link-tokens.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(Links, Row109ATokenThatWasUsedIsRefusedAfterARestartAsWell) {
  Side east("east");
  const auto west = DescriptionOf(Identity("west"));
  const auto thief = DescriptionOf(Identity("thief"));
  const auto token = Done(east.links->MakeToken({}, absl::Now()));
  ASSERT_TRUE(Done(east.links->Accept(east.Request(*token, west), absl::Now())).ok());
  // Links keeps nothing in memory, so this is what one sees that was started since.
  EXPECT_TRUE(absl::IsPermissionDenied(
      Done(east.links->Accept(east.Request(*token, thief), absl::Now())).status()));
  EXPECT_EQ(east.All().size(), 1u);
  // Its own join, whose answer was lost, may be repeated.
  EXPECT_TRUE(Done(east.links->Accept(east.Request(*token, west), absl::Now())).ok());
}

// A thief of a used token says what west said (all of it public), but for the gateways.
TEST(Links, Row109AThiefOfAUsedTokenDoesNotMoveTheGateways) {
  Side east("east");
  const std::string token = *Done(east.links->MakeToken(absl::Minutes(15), absl::Now()));
  const ClusterDescription west = DescriptionOf(Identity("west"));
  ASSERT_TRUE(Done(east.links->Accept(east.Request(token, west), absl::Now())).ok());
  ClusterDescription thief = west;
  thief.clear_gateways();
  auto* gateway = thief.add_gateways();
  gateway->set_address("198.51.100.66");
  gateway->set_port(15443);
  const auto again = Done(east.links->Accept(east.Request(token, thief), absl::Now()));
  EXPECT_FALSE(again.ok());
  EXPECT_EQ(east.All().at("west").gateways[0].address, "192.0.2.1");
}

TEST(Links, ARemovedLinkIsNotMadeAgainByTheOldToken) {
  Side east("east");
  const std::string token = *Done(east.links->MakeToken(absl::Minutes(15), absl::Now()));
  const ClusterDescription west = DescriptionOf(Identity("west"));
  ASSERT_TRUE(Done(east.links->Accept(east.Request(token, west), absl::Now())).ok());
  ASSERT_TRUE(Done(east.links->Remove("west")).ok());
  const auto again = Done(east.links->Accept(east.Request(token, west), absl::Now()));
  EXPECT_FALSE(again.ok());
  EXPECT_TRUE(east.All().empty());
}

// The file of a linked cluster is torn for a moment; the engine still holds its last good state.
TEST(Links, ATrustDomainStaysTakenWhileItsFileIsTorn) {
  Side east("east");
  ASSERT_TRUE(Done(east.links->Add(*FromWire(DescriptionOf(Identity("west"))))).ok());
  std::ofstream(east.data + "/links/west.yaml") << "cluster: [";
  ClusterDescription north = DescriptionOf(Identity("north"));
  north.set_trust_domain("west.weft");
  const std::string token = *Done(east.links->MakeToken(absl::Minutes(15), absl::Now()));
  const auto joined = Done(east.links->Accept(east.Request(token, north), absl::Now()));
  EXPECT_FALSE(joined.ok());
}

TEST(Links, WrongGuessesAreCountedOnDisk) {
  Side east("east");
  const auto west = DescriptionOf(Identity("west"));
  const auto token = Done(east.links->MakeToken({}, absl::Now()));
  JoinRequest wrong = east.Request(*token, west);
  wrong.set_secret("0123456789abcdef");
  for (int i = 0; i < kMostWrongSecrets; ++i) {
    EXPECT_FALSE(Done(east.links->Accept(wrong, absl::Now())).ok());
  }
  const auto late = Done(east.links->Accept(east.Request(*token, west), absl::Now()));
  EXPECT_TRUE(absl::StrContains(late.status().message(), "void")) << late.status();
  EXPECT_TRUE(east.All().empty());
}

// A description that is refused leaves no link, and the token to whoever does better.
TEST(Links, Row81And90NamesTrustDomainsAndRootsBelongToWhoHasThem) {
  Side east("east");
  const ClusterIdentity west = Identity("west");
  ASSERT_TRUE(Done(east.links->Add(*FromWire(DescriptionOf(west)))).ok());
  ClusterIdentity our_name = Identity("east"), our_domain = Identity("x"),
                  their_domain = Identity("x"), their_name = Identity("west"), other_domain = west,
                  nobody_dials = Identity("x");
  our_name.trust_domain = "x.weft";
  our_name.roots_pem = NewRoot("x.weft");
  our_domain.trust_domain = "east.weft";
  our_domain.roots_pem = NewRoot("east.weft");
  their_domain.trust_domain = "west.weft";
  their_domain.roots_pem = NewRoot("west.weft");
  other_domain.trust_domain = "x.weft";
  other_domain.roots_pem = NewRoot("x.weft");
  nobody_dials.outbound_only = true;
  const struct {
    const ClusterIdentity& joiner;
    const char* why;
  } cases[] = {{our_name, "both clusters are called east"},
               {our_domain, "both clusters have the trust domain"},
               {their_domain, "is that of west"},
               {their_name, "other roots"},
               {other_domain, "another trust domain"}};
  const auto token = Done(east.links->MakeToken({}, absl::Now()));
  for (const auto& c : cases) {
    const auto answer =
        Done(east.links->Accept(east.Request(*token, DescriptionOf(c.joiner)), absl::Now()));
    ASSERT_FALSE(answer.ok()) << c.why;
    EXPECT_TRUE(absl::StrContains(answer.status().message(), c.why)) << answer.status();
    EXPECT_EQ(east.All().size(), 1u);
  }
  EXPECT_TRUE(
      Done(east.links->Accept(east.Request(*token, DescriptionOf(nobody_dials)), absl::Now()))
          .ok());
  EXPECT_TRUE(east.All().at("x").outbound_only);
}

TEST(Links, OneThatRotatedItsRootsOverTheLinkMayJoinAgain) {
  Side east("east");
  ClusterIdentity west = Identity("west");
  ASSERT_TRUE(Done(east.links->Add(*FromWire(DescriptionOf(west)))).ok());
  west.roots_pem = NewRoot("west.weft");
  EXPECT_FALSE(Done(east.links->Check(*FromWire(DescriptionOf(west)))).ok());
  auto current = std::make_shared<Peer>(*FromWire(DescriptionOf(west)));
  east.current = current;
  EXPECT_TRUE(Done(east.links->Check(*FromWire(DescriptionOf(west)))).ok());
  // But not under another trust domain.
  current->trust_domain = "other.weft";
  EXPECT_FALSE(Done(east.links->Check(*FromWire(DescriptionOf(west)))).ok());
}

TEST(Links, CostStaysAndRemovalLeavesNothing) {
  Side east("east");
  const auto west = *FromWire(DescriptionOf(Identity("west")));
  ASSERT_TRUE(Done(east.links->Add(west)).ok());
  ASSERT_TRUE(Done(east.links->SetCost("west", 7)).ok());
  ASSERT_TRUE(Done(east.links->Add(west)).ok());
  EXPECT_EQ(east.All().at("west").cost, 7u);
  // A second file about it is in the way of the first, and would take its place.
  std::ofstream(east.data + "/links/another.yaml") << FormatPeer(west);
  ASSERT_TRUE(Done(east.links->Remove("west")).ok());
  EXPECT_TRUE(east.All().empty());
  EXPECT_TRUE(absl::IsNotFound(Done(east.links->Remove("west"))));
  EXPECT_TRUE(absl::IsNotFound(Done(east.links->SetCost("west", 1))));
}

TEST(Links, AFileOfThatNameAboutAnotherClusterIsLeftAlone) {
  Side east("east");
  const auto west = *FromWire(DescriptionOf(Identity("west")));
  ASSERT_EQ(mkdir((east.data + "/links").c_str(), 0700), 0);
  std::ofstream(east.data + "/links/west.yaml")
      << FormatPeer(*FromWire(DescriptionOf(Identity("north"))));
  EXPECT_TRUE(absl::IsAlreadyExists(Done(east.links->Add(west))));
  EXPECT_TRUE(east.All().contains("north"));
}

TEST(Links, TokensAreMadeOnlyWhereOneCanDial) {
  Side east("east");
  east.self->gateways.clear();
  EXPECT_TRUE(absl::IsFailedPrecondition(Done(east.links->MakeToken({}, absl::Now())).status()));
  east.self->outbound_only = true;
  EXPECT_TRUE(absl::IsFailedPrecondition(Done(east.links->MakeToken({}, absl::Now())).status()));
  Side west("west");
  EXPECT_TRUE(absl::IsInvalidArgument(
      Done(west.links->MakeToken(kLongestLinkTokenLife + absl::Seconds(1), absl::Now())).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      Done(west.links->MakeToken(absl::Milliseconds(1), absl::Now())).status()));
}

TEST(Links, Row110ATokenFileThatIsTornIsReplaced) {
  Side east("east");
  const auto before = Done(east.links->MakeToken({}, absl::Now()));
  std::ofstream(east.data + "/link-tokens.json") << "{\"a\": {";
  const auto west = DescriptionOf(Identity("west"));
  EXPECT_FALSE(Done(east.links->Accept(east.Request(*before, west), absl::Now())).ok());
  const auto after = Done(east.links->MakeToken({}, absl::Now()));
  EXPECT_TRUE(Done(east.links->Accept(east.Request(*after, west), absl::Now())).ok());
}

// ---- A store that others write to.

// Before as many writes of tokens as `others` says somebody else was faster.
struct Contended final : LinkStore {
  explicit Contended(int& others) : others(others) {}
  Task<absl::StatusOr<StoredTokens>> LoadTokens() override {
    StoredTokens stored;
    stored.tokens = tokens;
    stored.version = absl::StrCat(version);
    co_return stored;
  }
  Task<absl::Status> SaveTokens(LinkTokens changed, std::string read, absl::Time) override {
    if (others > 0) {
      --others;
      ++version;
    }
    if (read != absl::StrCat(version)) co_return absl::AbortedError("another one wrote");
    ++version;
    tokens = std::move(changed);
    co_return absl::OkStatus();
  }
  LinkTokens TokensSeen() const override { return tokens; }
  Task<absl::StatusOr<StoredLinks>> LoadLinks() override { co_return links; }
  Task<absl::Status> PutLink(Peer peer, const StoredLinks& read) override {
    links.peers[peer.cluster] = peer;
    co_return absl::OkStatus();
  }
  Task<absl::Status> RemoveLink(std::string cluster) override {
    links.peers.erase(cluster);
    co_return absl::OkStatus();
  }

  int& others;
  int version = 1;
  LinkTokens tokens;
  StoredLinks links;
};

TEST(Links, DecidesAgainWhereAnotherWeftdWroteFirstButNotForEver) {
  const auto self = std::make_shared<ClusterIdentity>(Identity("east"));
  int others = 0;
  Links::Options options;
  options.self = [&] { return self; };
  options.current = [](const std::string&) { return nullptr; };
  options.on_token = [] {};
  Links links(std::make_unique<Contended>(others), std::move(options));
  others = Links::kMostAttempts - 1;
  const auto token = Done(links.MakeToken({}, absl::Now()));
  ASSERT_TRUE(token.ok()) << token.status();
  JoinRequest request;
  request.set_token_id(DecodeLinkToken(*token)->id());
  request.set_secret(DecodeLinkToken(*token)->secret());
  *request.mutable_joiner() = DescriptionOf(Identity("west"));
  others = Links::kMostAttempts;
  EXPECT_TRUE(absl::IsAborted(Done(links.Accept(request, absl::Now())).status()));
  EXPECT_TRUE(Done(links.All())->empty());
  EXPECT_TRUE(Done(links.Accept(request, absl::Now())).ok());
  EXPECT_EQ(Done(links.All())->size(), 1u);
}

// ---- What a cluster says of itself.

TEST(ClusterDescription, ReadsBackWhatWasSaid) {
  const ClusterIdentity self = Identity("west");
  const auto peer = FromWire(DescriptionOf(self));
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(peer->cluster, self.cluster);
  EXPECT_EQ(peer->network, self.network);
  EXPECT_EQ(peer->trust_domain, self.trust_domain);
  EXPECT_EQ(peer->roots_pem, self.roots_pem);
  EXPECT_EQ(peer->gateways, self.gateways);
  EXPECT_EQ(*ParsePeer(FormatPeer(*peer)), *peer);
}

TEST(PeerFile, SaysWhichConfigIsAccepted) {
  Peer peer = *FromWire(DescriptionOf(Identity("west")));
  for (const std::vector<std::string>& accepted :
       std::vector<std::vector<std::string>>{{}, {"*"}, {"shop"}, {"shop", "bank"}}) {
    peer.accept_config = accepted;
    EXPECT_EQ(*ParsePeer(FormatPeer(peer)), peer);
  }
  peer.accept_config.clear();
  const std::string text = FormatPeer(peer);
  EXPECT_EQ(*ParsePeer(text + "acceptConfig: []\n"), peer);
  for (const char* bad : {"shop", "true", "[Shop]", "{shop: true}", "[[shop]]"}) {
    const auto read = ParsePeer(absl::StrCat(text, "acceptConfig: ", bad, "\n"));
    ASSERT_FALSE(read.ok()) << bad;
    EXPECT_TRUE(absl::StartsWith(read.status().message(), "acceptConfig: ")) << read.status();
  }
}

TEST(ClusterDescription, WhatIsForeignIsCheckedFieldByField) {
  const ClusterDescription good = DescriptionOf(Identity("west"));
  struct Case {
    const char* field;
    std::function<void(ClusterDescription&)> spoil;
  };
  const Case cases[] = {
      {"cluster", [](auto& d) { d.set_cluster("West"); }},
      {"cluster", [](auto& d) { d.set_cluster("../x"); }},
      {"cluster", [](auto& d) { d.set_cluster(""); }},
      {"network", [](auto& d) { d.set_network("a\nroots: x"); }},
      {"network", [](auto& d) { d.set_network(std::string(64, 'a')); }},
      {"trust domain", [](auto& d) { d.set_trust_domain("West/x"); }},
      {"roots", [](auto& d) { d.clear_roots_pem(); }},
      {"roots", [](auto& d) { d.set_roots_pem(0, "no certificate"); }},
      {"roots", [](auto& d) { d.set_roots_pem(0, d.roots_pem(0) + "\rcluster: east\n"); }},
      {"roots", [](auto& d) { d.set_roots_pem(0, d.roots_pem(0) + "\xc2\x85 cost: 1"); }},
      {"roots", [](auto& d) { d.add_roots_pem(std::string(kMaxDescribedRoots, '#')); }},
      {"gateways", [](auto& d) { d.mutable_gateways(0)->set_address("gateway.example"); }},
      {"gateways", [](auto& d) { d.mutable_gateways(0)->set_address("0.0.0.0"); }},
      {"gateways", [](auto& d) { d.mutable_gateways(0)->set_port(0); }},
      {"gateways", [](auto& d) { d.mutable_gateways(0)->set_tunnel_port(65536); }},
      {"gateways",
       [](auto& d) {
         for (int i = 0; i < 64; ++i) *d.add_gateways() = d.gateways(0);
       }},
  };
  for (const Case& c : cases) {
    ClusterDescription bad = good;
    c.spoil(bad);
    const auto read = FromWire(bad);
    ASSERT_FALSE(read.ok()) << c.field;
    EXPECT_TRUE(absl::StartsWith(read.status().message(), c.field)) << read.status();
  }
}

// Whatever stands between the certificates of a bundle, it is not more than text of the roots.
TEST(ClusterDescription, TextBetweenRootsDoesNotGetOutOfThem) {
  ClusterDescription sly = DescriptionOf(Identity("west"));
  const std::string root = sly.roots_pem(0);
  for (const char* text :
       {"\ncost: 9\n", "---\ncluster: east\n", "   indented\n", "# roots: |\n"}) {
    sly.set_roots_pem(0, absl::StrCat(text, root, text, root));
    const auto peer = FromWire(sly);
    ASSERT_TRUE(peer.ok()) << peer.status();
    const auto read = ParsePeer(FormatPeer(*peer));
    ASSERT_TRUE(read.ok()) << read.status() << " after " << text;
    EXPECT_EQ(read->cluster, "west");
    EXPECT_EQ(read->cost, 0u);
    EXPECT_EQ(read->roots_pem, peer->roots_pem);
  }
}

}  // namespace
}  // namespace weft
