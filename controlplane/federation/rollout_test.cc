#include "controlplane/federation/rollout.h"

#include <map>

#include "gtest/gtest.h"

namespace weft {
namespace {

using State = ConfigReport::State;

const Waves kWaves = {{"west"}, {"north", "south"}};
constexpr absl::Duration kPause = absl::Seconds(10);

std::shared_ptr<const ConfigText> Form(const std::string& revision) {
  return std::make_shared<const ConfigText>(ConfigText{"{}", revision});
}

class RolloutTest : public testing::Test {
 protected:
  bool Advance() {
    return rollout_.Advance(
        kWaves, kPause,
        [this](const std::string& cluster) {
          const auto found = reports_.find(cluster);
          return found == reports_.end() ? nullptr : &found->second;
        },
        now_);
  }
  bool After(absl::Duration time) {
    now_ += time;
    return Advance();
  }
  // Until `revision` is everywhere.
  void Distribute(const std::string& revision) {
    rollout_.Set(Form(revision));
    for (const char* cluster : {"west", "north", "south"}) Report(cluster, revision);
    for (int i = 0; i < 10 && !rollout_.done(); ++i) After(kPause);
    ASSERT_TRUE(rollout_.done());
  }
  void Report(const std::string& cluster, const std::string& revision,
              State state = State::kApplied) {
    reports_[cluster] = {state, revision, state == State::kRejected ? "no such host" : ""};
  }
  // "-" for nothing, "keep" for what is there.
  std::string In(size_t wave) const {
    const auto text = rollout_.TextFor(wave);
    if (!text.has_value()) return "-";
    return *text == nullptr ? "keep" : (*text)->revision;
  }

  Rollout rollout_;
  std::map<std::string, ConfigReport> reports_;
  absl::Duration now_ = absl::Seconds(1000);
};

TEST_F(RolloutTest, GoesFromWaveToWave) {
  rollout_.Set(Form("a"));
  EXPECT_EQ(In(0), "a");
  EXPECT_EQ(In(1), "keep");
  EXPECT_FALSE(After(kPause));  // west has said nothing
  Report("west", "a");
  EXPECT_FALSE(Advance());
  EXPECT_FALSE(After(kPause - absl::Seconds(1)));
  EXPECT_TRUE(After(absl::Seconds(1)));
  EXPECT_EQ(In(1), "a");
  Report("north", "a");
  EXPECT_FALSE(After(kPause));
  Report("south", "a");
  EXPECT_FALSE(Advance());
  EXPECT_FALSE(rollout_.done());
  EXPECT_TRUE(After(kPause));
  EXPECT_TRUE(rollout_.done());
  EXPECT_FALSE(After(kPause));
}

TEST_F(RolloutTest, LaterWavesKeepTheFormOfBefore) {
  Distribute("a");
  rollout_.Set(Form("b"));
  EXPECT_EQ(In(0), "b");
  EXPECT_EQ(In(1), "a");
}

// Who falls silent, or has another form, starts the pause anew.
TEST_F(RolloutTest, APauseIsOneWithoutAnInterruption) {
  rollout_.Set(Form("a"));
  Report("west", "a");
  Advance();
  reports_.erase("west");
  EXPECT_FALSE(After(kPause));
  Report("west", "a");
  EXPECT_FALSE(Advance());
  EXPECT_FALSE(After(kPause / 2));
  EXPECT_TRUE(After(kPause / 2));
}

TEST_F(RolloutTest, ARejectionThatStandsBringsBackTheFormOfBefore) {
  Distribute("a");
  rollout_.Set(Form("b"));
  Report("west", "b");
  Advance();
  ASSERT_TRUE(After(kPause));
  Report("north", "b", State::kRejected);
  EXPECT_FALSE(Advance());
  EXPECT_EQ(In(0), "b");
  EXPECT_TRUE(After(kRejectionStands));
  EXPECT_TRUE(rollout_.failed());
  EXPECT_EQ(rollout_.state().failed, "north: no such host");
  EXPECT_EQ(In(0), "a");
  EXPECT_EQ(In(1), "a");
  EXPECT_FALSE(After(absl::Hours(1)));
}

TEST_F(RolloutTest, ARejectionForAMomentDoesNot) {
  rollout_.Set(Form("a"));
  Report("west", "a", State::kRejected);
  Advance();
  EXPECT_FALSE(After(kRejectionStands / 2));
  Report("west", "a");
  EXPECT_FALSE(After(kRejectionStands));
  Report("west", "a", State::kRejected);
  EXPECT_FALSE(Advance());
  EXPECT_FALSE(rollout_.failed());
}

TEST_F(RolloutTest, AFirstFormIsTakenBackAltogether) {
  rollout_.Set(Form("a"));
  Report("west", "a", State::kRejected);
  Advance();
  ASSERT_TRUE(After(kRejectionStands));
  EXPECT_EQ(In(0), "-");
  EXPECT_EQ(In(1), "-");
}

TEST_F(RolloutTest, AnotherFormStartsAgain) {
  Distribute("a");
  rollout_.Set(Form("b"));
  Report("west", "b");
  Advance();
  ASSERT_TRUE(After(kPause));
  ASSERT_EQ(In(1), "b");
  rollout_.Set(Form("c"));
  EXPECT_EQ(In(0), "c");
  EXPECT_EQ(In(1), "a");
  Report("west", "c", State::kRejected);
  Advance();
  After(kRejectionStands);
  ASSERT_TRUE(rollout_.failed());
  // Back to what it was is no change to anybody.
  rollout_.Set(Form("a"));
  EXPECT_TRUE(rollout_.done());
  EXPECT_EQ(In(1), "a");
}

// Who was away when "b" came would else bring "a" back to all others when "c" comes.
TEST_F(RolloutTest, WhoIsAwayDoesNotSayWhatToGoBackTo) {
  Distribute("a");
  rollout_.Set(Form("b"));
  Report("west", "b");
  Advance();
  ASSERT_TRUE(After(kPause));
  Report("north", "b");
  reports_.erase("south");
  Advance();
  After(kPause);
  EXPECT_FALSE(rollout_.done());
  rollout_.Set(Form("c"));
  EXPECT_EQ(In(1), "b");

  // But a form that was there for a moment only, or not everywhere, is not gone back to.
  Report("west", "c");
  Advance();
  ASSERT_TRUE(After(kPause));
  rollout_.Set(Form("d"));
  EXPECT_EQ(In(1), "b");
}

TEST_F(RolloutTest, ConflictsAndWhoDoesNotAcceptHoldUpNobody) {
  rollout_.Set(Form("a"));
  Report("west", "a", State::kConflict);
  Advance();
  EXPECT_TRUE(After(kPause));
  Report("north", "a", State::kNotAccepted);
  Report("south", "a");
  Advance();
  EXPECT_TRUE(After(kPause));
  EXPECT_TRUE(rollout_.done());
}

// A restart goes on where it was, and does not try again what was rejected.
TEST_F(RolloutTest, GoesOnFromItsState) {
  Distribute("a");
  rollout_.Set(Form("b"));
  Report("west", "b");
  Advance();
  ASSERT_TRUE(After(kPause));
  Rollout again(rollout_.state());
  again.Set(Form("b"));
  EXPECT_EQ((*again.TextFor(1))->revision, "b");
  Report("north", "b", State::kRejected);
  Advance();
  After(kRejectionStands);
  Rollout failed(rollout_.state());
  failed.Set(Form("b"));
  EXPECT_TRUE(failed.failed());
  EXPECT_EQ((*failed.TextFor(0))->revision, "a");
}

TEST_F(RolloutTest, WithNobodyToTellItIsDoneAtOnce) {
  rollout_.Set(Form("a"));
  EXPECT_TRUE(rollout_.Advance({}, kPause, [](const std::string&) { return nullptr; }, now_));
  EXPECT_TRUE(rollout_.done());
}

}  // namespace
}  // namespace weft
