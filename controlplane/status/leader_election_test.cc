#include "controlplane/status/leader_election.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace weft {
namespace {

using Json = nlohmann::json;
using Kind = LeaderElection::Step::Kind;

const absl::Time kWall = absl::FromUnixSeconds(1'800'000'000);

// The one Lease, as an API server keeps it.
class LeaseStore {
 public:
  // Carries a step out, and tells of it.
  void Do(const LeaderElection::Step& step, absl::Duration now, LeaderElection& election) {
    if (away) return election.OnFailed(now);
    if (step.kind == Kind::kGet) {
      if (!lease.has_value()) return election.OnAbsent(now);
      return election.OnLease(lease->dump(), now);
    }
    Json body = Json::parse(step.body);
    const bool create = step.kind == Kind::kCreate;
    if (create == lease.has_value()) return election.OnConflict(now);
    if (!create && body["metadata"]["resourceVersion"] != (*lease)["metadata"]["resourceVersion"]) {
      return election.OnConflict(now);
    }
    body["metadata"]["resourceVersion"] = std::to_string(++version_);
    lease = std::move(body);
    election.OnLease(lease->dump(), now);
  }

  std::optional<Json> lease;
  bool away = false;

 private:
  int version_ = 0;
};

class ElectionTest : public testing::Test {
 protected:
  LeaderElection& Start(const std::string& identity) {
    elections_.push_back(
        std::make_unique<LeaderElection>("weft-system", "weftd-leader", identity, seed_++));
    return *elections_.back();
  }
  // Lets everybody do what is due, for that time; nobody leads beside another.
  void Pass(absl::Duration duration) {
    const absl::Duration end = now + duration;
    for (; now < end; now += absl::Milliseconds(100)) {
      int leaders = 0;
      for (auto& election : elections_) {
        for (int i = 0; i < 4; ++i) {
          const LeaderElection::Step step = election->Next(now, kWall + now);
          if (step.kind == Kind::kWait) break;
          store.Do(step, now, *election);
        }
        leaders += election->Leads(now);
      }
      ASSERT_LE(leaders, 1);
    }
  }

  LeaseStore store;
  absl::Duration now = absl::Seconds(1000);
  uint64_t seed_ = 1;
  std::vector<std::unique_ptr<LeaderElection>> elections_;
};

TEST_F(ElectionTest, TheFirstMakesTheLeaseAndKeepsIt) {
  LeaderElection& a = Start("a");
  EXPECT_FALSE(a.Leads(now));
  Pass(absl::Seconds(1));
  EXPECT_TRUE(a.Leads(now));
  ASSERT_TRUE(store.lease.has_value());
  const Json& spec = (*store.lease)["spec"];
  EXPECT_EQ((*store.lease)["metadata"]["namespace"], "weft-system");
  EXPECT_EQ(spec["holderIdentity"], "a");
  EXPECT_EQ(spec["leaseDurationSeconds"], 15);
  EXPECT_EQ(spec["leaseTransitions"], 0);
  EXPECT_EQ(spec["renewTime"], "2027-01-15T08:16:40.000000Z");
  LeaderElection& b = Start("b");
  Pass(absl::Minutes(5));
  EXPECT_TRUE(a.Leads(now));
  EXPECT_FALSE(b.Leads(now));
  EXPECT_EQ(b.holder(), "a");
  EXPECT_NE((*store.lease)["spec"]["renewTime"], (*store.lease)["spec"]["acquireTime"]);
}

TEST_F(ElectionTest, AnotherTakesOverWhenItStandsStill) {
  Start("a");
  Pass(absl::Seconds(10));
  elections_.clear();
  LeaderElection& b = Start("b");
  Pass(absl::Seconds(14));
  EXPECT_FALSE(b.Leads(now));
  Pass(absl::Seconds(5));
  EXPECT_TRUE(b.Leads(now));
  EXPECT_EQ((*store.lease)["spec"]["leaseTransitions"], 1);
}

TEST_F(ElectionTest, WhoCannotRenewStopsBeforeOthersBegin) {
  LeaderElection& a = Start("a");
  Pass(absl::Seconds(10));
  store.away = true;
  Pass(absl::Seconds(7));
  EXPECT_TRUE(a.Leads(now));
  Pass(absl::Seconds(4));
  EXPECT_FALSE(a.Leads(now));
  store.away = false;
  Pass(absl::Seconds(5));
  EXPECT_TRUE(a.Leads(now));  // nobody took it
  EXPECT_EQ((*store.lease)["spec"]["leaseTransitions"], 0);
}

TEST_F(ElectionTest, WhatIsReleasedIsTakenAtOnce) {
  Start("a");
  Pass(absl::Seconds(10));
  elections_.clear();
  (*store.lease)["spec"]["holderIdentity"] = "";
  LeaderElection& b = Start("b");
  Pass(absl::Seconds(1));
  EXPECT_TRUE(b.Leads(now));
}

TEST_F(ElectionTest, HearsOfItsLossByTheConflict) {
  LeaderElection& a = Start("a");
  Pass(absl::Seconds(10));
  (*store.lease)["spec"]["holderIdentity"] = "kubectl";
  (*store.lease)["metadata"]["resourceVersion"] = "x";
  Pass(absl::Seconds(3));
  EXPECT_FALSE(a.Leads(now));
  // It is only a holder as long as it renews.
  Pass(absl::Seconds(20));
  EXPECT_TRUE(a.Leads(now));
}

TEST_F(ElectionTest, KeepsWhatOthersWroteIntoTheLease) {
  Start("a");
  Pass(absl::Seconds(3));
  (*store.lease)["metadata"]["labels"]["team"] = "mesh";
  (*store.lease)["metadata"]["resourceVersion"] = "y";
  Pass(absl::Seconds(10));
  EXPECT_EQ((*store.lease)["metadata"]["labels"]["team"], "mesh");
}

TEST_F(ElectionTest, ALeaseThatMakesNoSenseIsTaken) {
  for (const char* lease : {R"({"metadata":{}})", R"({"metadata":{},"spec":7})",
                            R"({"metadata":{},"spec":{"holderIdentity":7}})",
                            R"({"metadata":{},"spec":{"leaseDurationSeconds":-1,)"
                            R"("holderIdentity":"x"}})"}) {
    elections_.clear();
    store.lease = Json::parse(lease);
    LeaderElection& a = Start("a");
    Pass(absl::Seconds(3));
    EXPECT_TRUE(a.Leads(now)) << lease;
  }
}

// Whatever fails, and whoever comes and goes: at most one, and in the end one.
TEST_F(ElectionTest, NeverTwoOverRandomFailures) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 3; ++i) Start("w" + std::to_string(i));
  for (int i = 0; i < 200; ++i) {
    store.away = random() % 3 == 0;
    if (random() % 10 == 0) {
      elections_[random() % 3] = std::make_unique<LeaderElection>("weft-system", "weftd-leader",
                                                                  "n" + std::to_string(i), seed_++);
    }
    Pass(absl::Milliseconds(random() % 8000));
    if (HasFatalFailure()) return;
  }
  store.away = false;
  Pass(absl::Seconds(30));
  int leaders = 0;
  for (auto& election : elections_) leaders += election->Leads(now);
  EXPECT_EQ(leaders, 1);
}

}  // namespace
}  // namespace weft
