#include "controlplane/federation/merge_configs.h"

#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controlplane/federation/config_reports.h"
#include "controlplane/model/registry.h"
#include "controlplane/model/testing.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using State = ConfigReport::State;

const ObjectKey kPolicy{"AuthorizationPolicy", "shop", "web"};
const ObjectKey kRoute{"VirtualService", "shop", "web"};

std::string PolicyYaml(const std::string& name, const std::string& created = "") {
  return absl::StrCat(
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
      "metadata: {name: ",
      name, ", namespace: shop",
      created.empty() ? "" : absl::StrCat(", creationTimestamp: \"", created, "\""),
      "}\nspec: {action: DENY, rules: [{}]}\n");
}

std::string RouteYaml(const std::string& name) {
  return absl::StrCat(
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
      "metadata: {name: ",
      name,
      ", namespace: shop}\nspec: {hosts: [web], http: [{route: [{destination: "
      "{host: web}}]}]}\n");
}

std::string RuleYaml(const std::string& name) {
  return absl::StrCat(
      "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: ", name,
      ", namespace: shop}\nspec: {host: web}\n");
}

// A peer that distributes the objects of the text.
PeerState PeerWith(const std::string& cluster, const std::string& yaml) {
  PeerState state;
  auto peer = std::make_shared<Peer>();
  peer->cluster = cluster;
  state.peer = std::move(peer);
  state.exports = std::make_shared<PeerExports>();
  auto configs = std::make_shared<PeerConfigs>();
  for (const ObjectDelta& delta : Deltas(yaml)) {
    auto read = ReadConfig(delta.key, (*ConfigTextOf(*delta.object))->json, cluster);
    EXPECT_TRUE(read.ok()) << read.status();
    configs->objects[delta.key] = std::make_shared<const ReceivedConfig>(*std::move(read));
  }
  state.configs = std::move(configs);
  return state;
}

class MergeConfigsTest : public testing::Test {
 protected:
  static std::shared_ptr<const ClusterIdentity> Self() {
    auto self = std::make_shared<ClusterIdentity>();
    self->cluster = "here";
    return self;
  }
  void SetPeer(const std::string& cluster, const std::string& yaml) {
    peers_[cluster] = PeerWith(cluster, yaml);
  }
  const World& Merge() {
    const World& local = registry_.BuildLocal();
    world_ = local;
    merge_.Apply(local, peers_, world_);
    return world_;
  }
  // Whose object counts: "" for our own, "-" if there is none.
  std::string OwnerOf(const ObjectKey& key) const {
    const std::pair name(key.namespace_, key.name);
    if (key.kind == "VirtualService") return Owner(world_.virtual_services, name);
    if (key.kind == "DestinationRule") return Owner(world_.destination_rules, name);
    return Owner(world_.authorization_policies, name);
  }
  template <typename Spec>
  static std::string Owner(const Configs<Spec>& configs,
                           const std::pair<std::string, std::string>& name) {
    const auto found = configs.find(name);
    return found == configs.end() ? "-" : found->second.cluster;
  }
  std::string Conflict(const std::string& cluster, const ObjectKey& key) const {
    const auto of = merge_.conflicts()->find(cluster);
    if (of == merge_.conflicts()->end() || !of->second.contains(key)) return "";
    return of->second.at(key);
  }

  Registry registry_{Self(), ExportPolicy::kAll};
  std::map<std::string, PeerState> peers_;
  ConfigMerge merge_;
  World world_;
};

TEST_F(MergeConfigsTest, WhatPeersDistributeIsInTheWorldAndSaysWhose) {
  SetPeer("east", PolicyYaml("web") + "---\n" + RouteYaml("web") + "---\n" + RuleYaml("web"));
  Merge();
  EXPECT_EQ(OwnerOf(kPolicy), "east");
  EXPECT_EQ(OwnerOf(kRoute), "east");
  EXPECT_EQ(OwnerOf({"DestinationRule", "shop", "web"}), "east");
  EXPECT_EQ(world_.virtual_services.at({"shop", "web"}).origin, "cluster east");
  EXPECT_TRUE(merge_.conflicts()->empty());
  peers_.clear();
  Merge();
  EXPECT_EQ(OwnerOf(kPolicy), "-");
}

TEST_F(MergeConfigsTest, OurOwnThenTheOldestThenTheFirstByName) {
  SetPeer("east", PolicyYaml("web", "2026-02-02T00:00:00Z"));
  SetPeer("west", PolicyYaml("web", "2026-01-01T00:00:00Z"));
  SetPeer("north", PolicyYaml("web", "2026-01-01T00:00:00Z"));
  Merge();
  EXPECT_EQ(OwnerOf(kPolicy), "north");
  EXPECT_EQ(Conflict("north", kPolicy), "");
  EXPECT_TRUE(absl::StrContains(Conflict("east", kPolicy), "cluster north distributes"));
  EXPECT_TRUE(absl::StrContains(Conflict("west", kPolicy), "cluster north distributes"));
  peers_.erase("north");
  Merge();
  EXPECT_EQ(OwnerOf(kPolicy), "west");
  registry_.Apply(Deltas(PolicyYaml("web", "2026-03-03T00:00:00Z")));
  Merge();
  EXPECT_EQ(OwnerOf(kPolicy), "");
  EXPECT_TRUE(absl::StrContains(Conflict("west", kPolicy), "has an object of this name itself"));
  registry_.Apply({{kPolicy, nullptr}});
  Merge();
  EXPECT_EQ(OwnerOf(kPolicy), "west");
}

TEST_F(MergeConfigsTest, WhatDidNotChangeIsTheSameMap) {
  SetPeer("east", PolicyYaml("web") + "---\n" + RuleYaml("web"));
  const World before = Merge();
  registry_.Apply(Deltas(RouteYaml("other")));
  Merge();
  EXPECT_TRUE(world_.authorization_policies.SharesAllWith(before.authorization_policies));
  EXPECT_TRUE(world_.destination_rules.SharesAllWith(before.destination_rules));
  EXPECT_EQ(world_.virtual_services.size(), 1u);
}

TEST_F(MergeConfigsTest, ReportsSayWhatBecameOfEach) {
  SetPeer("east", PolicyYaml("a") + "---\n" + PolicyYaml("web") + "---\n" + RouteYaml("dangling") +
                      "---\n" + RouteYaml("taken") + "---\n" + PolicyYaml("refused"));
  registry_.Apply(Deltas(PolicyYaml("web")));
  Merge();
  ConfigFindings findings;
  findings.conflicts = merge_.conflicts();
  Problem dangling;
  dangling.key = {"VirtualService", "shop", "dangling"};
  dangling.field = "spec.http[0]";
  dangling.message = "not found";
  findings.references = {dangling};
  Problem warning;  // it does nothing, and is in force
  warning.severity = Severity::kWarning;
  warning.key = {"AuthorizationPolicy", "shop", "a"};
  findings.references.push_back(warning);
  Problem taken;
  taken.severity = Severity::kWarning;
  taken.key = {"VirtualService", "shop", "taken"};
  taken.message = "routed by another";
  findings.hosts = {taken};
  findings.refusals = {{"sidecar~1", "policy ns[shop]-policy[refused]: no"}};
  PeerConfigs configs = *peers_["east"].configs;
  const ObjectKey broken{"DestinationRule", "shop", "broken"};
  configs.refused[broken] = {State::kRejected, "r", "spec.hots: unknown"};

  const ConfigReports reports = ReportsOn("east", configs, findings);
  const auto state = [&](const std::string& kind, const std::string& name) {
    const ConfigReport& report = reports.at({kind, "shop", name});
    return absl::StrCat(NameOf(report.state), report.message.empty() ? "" : ": ", report.message);
  };
  EXPECT_EQ(state("AuthorizationPolicy", "a"), "applied");
  EXPECT_TRUE(absl::StartsWith(state("AuthorizationPolicy", "web"), "conflict: the cluster has"));
  EXPECT_EQ(state("VirtualService", "dangling"), "rejected: spec.http[0]: not found");
  EXPECT_EQ(state("VirtualService", "taken"), "conflict: routed by another");
  EXPECT_TRUE(
      absl::StartsWith(state("AuthorizationPolicy", "refused"), "rejected: 1 proxy refuses"));
  EXPECT_EQ(state("DestinationRule", "broken"), "rejected: spec.hots: unknown");
}

// Over random changes here and there: what is followed is what is made from scratch.
TEST_F(MergeConfigsTest, FollowingIsTheSameAsFromScratch) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    for (int step = 0; step < 20; ++step) {
      const std::string name = absl::StrCat("n", random() % 3);
      const std::string cluster = absl::StrCat("c", random() % 3);
      const std::string created = absl::StrCat("2026-01-0", 1 + random() % 3, "T00:00:00Z");
      switch (random() % 5) {
        case 0:
          peers_.erase(cluster);
          break;
        case 1:
          SetPeer(cluster, PolicyYaml(name, created) + "---\n" + RouteYaml(name));
          break;
        case 2:
          SetPeer(cluster, PolicyYaml(name, created) + "---\n" + RuleYaml(name));
          break;
        case 3:
          registry_.Apply(Deltas(PolicyYaml(name, created)));
          break;
        case 4:
          registry_.Apply({{{"AuthorizationPolicy", "shop", name}, nullptr}});
          break;
      }
      Merge();
      const World& local = registry_.BuildLocal();
      World scratch = local;
      ConfigMerge fresh;
      fresh.Apply(local, peers_, scratch);
      EXPECT_EQ(*merge_.conflicts(), *fresh.conflicts());
      for (int i = 0; i < 3; ++i) {
        const std::pair name(std::string("shop"), absl::StrCat("n", i));
        EXPECT_EQ(Owner(world_.virtual_services, name), Owner(scratch.virtual_services, name));
        EXPECT_EQ(Owner(world_.destination_rules, name), Owner(scratch.destination_rules, name));
        EXPECT_EQ(Owner(world_.authorization_policies, name),
                  Owner(scratch.authorization_policies, name));
      }
    }
  }
}

}  // namespace
}  // namespace weft
