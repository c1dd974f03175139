#include "controlplane/federation/distribution.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controlplane/model/testing.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using State = ConfigReport::State;

const ObjectKey kKey{"AuthorizationPolicy", "shop", "web"};
constexpr absl::Duration kPause = absl::Seconds(10);

std::string Policy(const std::string& annotations, const std::string& action = "DENY") {
  return absl::StrCat(
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
      "metadata: {name: web, namespace: shop, annotations: {",
      annotations, "}}\nspec: {action: ", action, "}\n");
}

constexpr char kToAll[] =
    "weft.io/distribute-to: '*', weft.io/distribute-order: west, weft.io/distribute-pause: 10s";

class DistributionTest : public testing::Test {
 protected:
  std::vector<Problem> Apply(const std::string& yaml, const std::vector<Problem>& problems = {}) {
    return distribution_->OnObjects(Deltas(yaml), problems);
  }
  void Advance(absl::Duration after = absl::ZeroDuration()) {
    now_ += after;
    Distribution::Heard heard;
    for (const auto& [cluster, reports] : reports_) {
      heard[cluster] = std::make_shared<const ConfigReports>(reports);
    }
    for (const std::string& cluster : away_) heard[cluster] = nullptr;
    distribution_->Advance(heard, now_);
  }
  // Each linked cluster applies what it is told.
  void Obey() {
    Advance();
    for (auto& [cluster, reports] : reports_) {
      const auto texts = distribution_->TextsFor(cluster);
      ConfigReports now;
      for (const auto& [key, text] : *texts) {
        if (text != nullptr) now[key] = {State::kApplied, text->revision, ""};
      }
      reports = now;
    }
    Advance();
  }
  // The object as a cluster is told it: its action, "keep", or "-".
  std::string In(const std::string& cluster) const {
    const auto texts = distribution_->TextsFor(cluster);
    if (texts == nullptr) return "not linked";
    const auto found = texts->find(kKey);
    if (found == texts->end()) return "-";
    if (found->second == nullptr) return "keep";
    return absl::StrContains(found->second->json, "DENY") ? "DENY" : "ALLOW";
  }
  const DistributionStatus& status() const { return distribution_->statuses().at(kKey); }
  void Restart() {
    auto records = DecodeRecords(EncodeRecords(distribution_->records()));
    ASSERT_TRUE(records.ok()) << records.status();
    distribution_.emplace("east", *std::move(records));
  }
  void DistributeEverywhere() {
    Apply(Policy(kToAll));
    for (int i = 0; i < 4; ++i) {
      Obey();
      Advance(kPause);
    }
    Obey();
    ASSERT_EQ(status().condition.reason, "Distributed") << status().condition.message;
  }

  std::optional<Distribution> distribution_{std::in_place, "east", Distribution::Records()};
  std::map<std::string, ConfigReports> reports_ = {{"north", {}}, {"west", {}}};
  std::set<std::string> away_;
  absl::Duration now_ = absl::Seconds(1000);
};

TEST_F(DistributionTest, GoesToTheCanaryFirst) {
  Apply(Policy(kToAll));
  Advance();
  EXPECT_EQ(In("west"), "DENY");
  EXPECT_EQ(In("north"), "keep");
  EXPECT_EQ(status().condition.reason, "InProgress");
  EXPECT_EQ(status().condition.message, "wave 1 of 2: north: waits for its turn; west: was told");
  Obey();
  Advance(kPause);
  EXPECT_EQ(In("north"), "DENY");
  Obey();
  Advance(kPause);
  EXPECT_EQ(status().condition.reason, "Distributed");
  EXPECT_TRUE(status().condition.status);
  EXPECT_EQ(status().clusters.at("north"), "has revision " + status().revision);
}

TEST_F(DistributionTest, OnlyWhatIsMarkedAndOnlyToWhomItIsMarkedFor) {
  Apply(Policy(""));
  Advance();
  EXPECT_EQ(In("west"), "-");
  Apply(Policy("weft.io/distribute-to: 'north,east'"));
  Advance();
  EXPECT_EQ(In("west"), "-");
  EXPECT_EQ(In("north"), "DENY");
  EXPECT_EQ(status().clusters.size(), 1u);  // not to ourselves
}

TEST_F(DistributionTest, WhatIsWithdrawnOrDeletedGoesEverywhere) {
  DistributeEverywhere();
  Apply(Policy("weft.io/distribute-to: west"));
  Advance();
  EXPECT_EQ(In("north"), "-");
  EXPECT_EQ(In("west"), "DENY");
  Apply(Policy(""));
  Advance();
  EXPECT_EQ(In("west"), "-");
  EXPECT_TRUE(distribution_->statuses().empty());
  Apply(Policy(kToAll));
  distribution_->OnObjects({{kKey, nullptr}}, {});
  Advance();
  EXPECT_EQ(In("west"), "-");
}

TEST_F(DistributionTest, ARejectionIsTakenBackAndSaid) {
  DistributeEverywhere();
  Apply(Policy(kToAll, "ALLOW"));
  Advance();
  EXPECT_EQ(In("west"), "ALLOW");
  EXPECT_EQ(In("north"), "DENY");
  reports_["west"][kKey] = {State::kRejected, status().revision, "proxies refuse it"};
  Advance();
  Advance(kRejectionStands);
  EXPECT_EQ(In("west"), "DENY");
  EXPECT_EQ(status().condition.reason, "RolledBack");
  EXPECT_FALSE(status().condition.status);
  EXPECT_TRUE(absl::StrContains(status().condition.message, "west: proxies refuse it"))
      << status().condition.message;
  // And stays so over a restart.
  Restart();
  Apply(Policy(kToAll, "ALLOW"));
  Advance();
  EXPECT_EQ(In("west"), "DENY");
  EXPECT_EQ(status().condition.reason, "RolledBack");
}

TEST_F(DistributionTest, GoesOnAfterARestart) {
  DistributeEverywhere();
  Apply(Policy(kToAll, "ALLOW"));
  Advance();
  Restart();
  Apply(Policy(kToAll, "ALLOW"));
  distribution_->OnAllRead();
  Advance();
  EXPECT_EQ(In("west"), "ALLOW");
  EXPECT_EQ(In("north"), "DENY");
}

TEST_F(DistributionTest, WhatWentWhileWeWereAwayIsForgotten) {
  DistributeEverywhere();
  Restart();
  EXPECT_EQ(distribution_->records().size(), 1u);
  distribution_->OnAllRead();
  EXPECT_TRUE(distribution_->records().empty());
}

TEST_F(DistributionTest, RecordsSayAllOfAnObject) {
  Apply(
      Policy("weft.io/distribute-to: 'west,north', weft.io/distribute-order: 'west;north', "
             "weft.io/distribute-pause: 30s"));
  const Distribution::Record before = distribution_->records().at(kKey);
  Restart();
  const Distribution::Record after = distribution_->records().at(kKey);
  EXPECT_EQ(after.mark, before.mark);
  EXPECT_EQ(after.state.newest->json, before.state.newest->json);
  EXPECT_EQ(after.state.stable, nullptr);
}

TEST_F(DistributionTest, WithoutRecordsNobodyLosesWhatItHas) {
  DistributeEverywhere();
  distribution_.emplace("east", Distribution::Records());
  Apply(Policy(kToAll));
  Advance();
  EXPECT_EQ(In("west"), "DENY");
  EXPECT_EQ(In("north"), "keep");
}

TEST_F(DistributionTest, ANewClusterGetsWhatHasGoneAllTheWay) {
  DistributeEverywhere();
  reports_["south"] = {};
  Advance();
  EXPECT_EQ(In("south"), "DENY");
}

TEST_F(DistributionTest, ACanaryThatIsNotThereIsWaitedFor) {
  away_ = {"west"};
  reports_.erase("west");
  Apply(Policy(kToAll));
  Advance();
  Advance(absl::Hours(1));
  EXPECT_EQ(In("north"), "keep");
  EXPECT_EQ(status().clusters.at("west"), "not heard at present");
  away_.clear();
  Advance(absl::Hours(1));
  EXPECT_EQ(In("north"), "keep");
  EXPECT_EQ(status().clusters.at("west"), "not linked");
}

TEST_F(DistributionTest, WhatCannotBeUsedOrReadGoesOnAsItWas) {
  DistributeEverywhere();
  Problem broken;
  broken.key = kKey;
  Apply(Policy("", "BROKEN"), {broken});
  Advance();
  EXPECT_EQ(In("west"), "DENY");
  const std::vector<Problem> found = Apply(Policy("weft.io/distribute-to: 'N?'", "ALLOW"));
  Advance();
  EXPECT_EQ(In("west"), "DENY");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].severity, Severity::kWarning);
  EXPECT_EQ(found[0].key, kKey);
}

// Also over a restart: what a cluster has of a policy is not lost by a slip of the pen elsewhere.
TEST_F(DistributionTest, WhatCannotBeUsedOrReadAtAStartGoesOnAsItWas) {
  const std::string unreadable = Policy("weft.io/distribute-to: 'N?'");
  Problem broken;
  broken.key = kKey;
  for (bool is_broken : {true, false}) {
    DistributeEverywhere();
    Restart();
    Apply(is_broken ? Policy(kToAll, "BROKEN") : unreadable,
          is_broken ? std::vector<Problem>{broken} : std::vector<Problem>());
    distribution_->OnAllRead();
    Advance();
    EXPECT_EQ(In("west"), "DENY");
    EXPECT_EQ(In("north"), "DENY");
    EXPECT_EQ(status().condition.reason, "Distributed");
  }
}

TEST_F(DistributionTest, OtherKindsAndTheSystemsNamespacesStay) {
  const std::string gateway =
      "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: shop, "
      "annotations: {weft.io/distribute-to: '*'}}\nspec: {}\n";
  std::vector<Problem> found = Apply(gateway);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(absl::StrContains(found[0].message, "has no effect"));
  found =
      Apply(absl::StrCat("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
                         "metadata: {name: all, namespace: weft-system, annotations: {",
                         kToAll, "}}\nspec: {}\n"));
  EXPECT_EQ(found.size(), 1u);
  Advance();
  EXPECT_TRUE(distribution_->statuses().empty());
}

TEST_F(DistributionTest, ConflictsAreSaidOfTheObject) {
  DistributeEverywhere();
  reports_["north"][kKey] = {State::kConflict, status().revision, "an older one counts"};
  Advance();
  EXPECT_EQ(status().condition.reason, "Conflict");
  EXPECT_FALSE(status().condition.status);
  EXPECT_EQ(status().clusters.at("north"), "conflict: an older one counts");
  reports_["north"][kKey] = {State::kNotAccepted, status().revision, "no"};
  Advance();
  EXPECT_EQ(status().condition.reason, "NotAccepted");
}

TEST(DistributionRecords, RefusesWhatIsNotWhole) {
  EXPECT_FALSE(DecodeRecords("\xff\xff").ok());
  EXPECT_TRUE(DecodeRecords("")->empty());
}

}  // namespace
}  // namespace weft
