#include "controlplane/ca/rotator.h"

#include <sys/stat.h>

#include <cstdlib>

#include "absl/time/clock.h"
#include "certs/file.h"
#include "certs/test_certificate.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RotatorTest : public testing::Test {
 protected:
  RotatorTest() {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    adopted_ = *LoadOrCreateCa(folder_, "east", absl::Now());
    Start();
  }

  // As after a start.
  void Start() {
    Rotator::Fleet fleet;
    fleet.without_trust = [this](const std::string& bundle) {
      return bundle == trusted_ ? std::vector<std::string>() : std::vector<std::string>{"west"};
    };
    fleet.with_old_certificate = [this](const certs::Issuer& issuer) {
      return issuer.signer().ToPem() == shown_ ? std::vector<std::string>()
                                               : std::vector<std::string>{"pod-1", "pod-2"};
    };
    fleet.adopt = [this](const CaState& state) { adopted_ = state; };
    rotator_ = std::make_unique<Rotator>(loop_, folder_, *adopted_, std::move(fleet),
                                         absl::Milliseconds(20));
  }

  static std::shared_ptr<const certs::Issuer> PluggedCa(const std::string& name) {
    const certs::TestCa root = certs::MakeTestCa(nullptr, name, absl::Now());
    return std::make_shared<certs::Issuer>(
        *certs::Issuer::FromPem(root.certificate.ToPem(), root.key.ToPem(), "east"));
  }

  // The fleet follows.
  void Trust() { trusted_ = adopted_->BundlePem(); }
  void Show() { shown_ = adopted_->issuer().signer().ToPem(); }

  std::optional<RotationStage> stage() const {
    if (!rotator_->state().rotation().has_value()) return std::nullopt;
    return rotator_->state().rotation()->stage;
  }

  void RunFor(absl::Duration time) {
    const absl::Time end = absl::Now() + time;
    while (absl::Now() < end) loop_.RunOnce(absl::Milliseconds(5));
  }
  bool Reaches(std::optional<RotationStage> wanted) {
    const absl::Time end = absl::Now() + absl::Seconds(10);
    while (absl::Now() < end && stage() != wanted) loop_.RunOnce(absl::Milliseconds(5));
    return stage() == wanted;
  }

  std::string folder_ = testing::TempDir() + "/rotator_test_XXXXXX";
  EventLoop loop_;
  std::optional<CaState> adopted_;
  std::string trusted_;
  std::string shown_;
  std::unique_ptr<Rotator> rotator_;
};

TEST_F(RotatorTest, EachStageWaitsUntilAllHaveFollowed) {
  ASSERT_TRUE(rotator_->Begin(Rotated::kRoot).ok());
  RunFor(absl::Milliseconds(300));
  EXPECT_EQ(stage(), RotationStage::kDistribute);
  EXPECT_THAT(rotator_->waiting_for(), ElementsAre("west"));
  Trust();
  ASSERT_TRUE(Reaches(RotationStage::kIssue));
  RunFor(absl::Milliseconds(300));
  EXPECT_EQ(stage(), RotationStage::kIssue);
  EXPECT_THAT(rotator_->waiting_for(), ElementsAre("pod-1", "pod-2"));
  Show();
  ASSERT_TRUE(Reaches(RotationStage::kRetire));
  RunFor(absl::Milliseconds(300));
  EXPECT_EQ(stage(), RotationStage::kRetire);
  Trust();
  ASSERT_TRUE(Reaches(std::nullopt));
  EXPECT_THAT(rotator_->waiting_for(), IsEmpty());
}

TEST_F(RotatorTest, Row111GoesOnAfterARestart) {
  ASSERT_TRUE(rotator_->Begin(Rotated::kIntermediate).ok());
  Show();
  ASSERT_TRUE(Reaches(RotationStage::kRetire));
  rotator_.reset();
  adopted_ = *LoadOrCreateCa(folder_, "east", absl::Now());
  Start();
  EXPECT_EQ(stage(), RotationStage::kRetire);
  Trust();
  EXPECT_TRUE(Reaches(std::nullopt));
}

TEST_F(RotatorTest, AnIntermediateIsRotatedByItselfLongBeforeItEnds) {
  rotator_.reset();
  const auto aged = CaState::Create("east", absl::Now() - certs::kIntermediateValidity / 2);
  ASSERT_TRUE(SaveCa(folder_, *aged).ok());
  adopted_ = *LoadOrCreateCa(folder_, "east", absl::Now());
  Start();
  ASSERT_TRUE(Reaches(RotationStage::kIssue));
  Show();
  ASSERT_TRUE(Reaches(RotationStage::kRetire));
  Trust();
  ASSERT_TRUE(Reaches(std::nullopt));
  EXPECT_EQ(rotator_->state().root().ChainPem(), aged->root().ChainPem());
  RunFor(absl::Milliseconds(300));
  EXPECT_EQ(stage(), std::nullopt) << "once";
}

TEST_F(RotatorTest, WhatIsPluggedInIsTakenUpInStagesAndIsItsMakersToReplace) {
  const auto ca = PluggedCa("first");
  rotator_->Follow("here", ca);
  ASSERT_TRUE(Reaches(RotationStage::kDistribute));
  Trust();
  ASSERT_TRUE(Reaches(RotationStage::kIssue));
  Show();
  ASSERT_TRUE(Reaches(RotationStage::kRetire));
  // The old root has to go first.
  rotator_->Follow("here", PluggedCa("second"));
  RunFor(absl::Milliseconds(300));
  EXPECT_EQ(stage(), RotationStage::kRetire);
  Trust();
  ASSERT_TRUE(Reaches(RotationStage::kDistribute));
  // It signed nothing yet, so it can be taken back.
  rotator_->Follow("here", ca);
  ASSERT_TRUE(Reaches(std::nullopt));
  EXPECT_EQ(rotator_->state().issuer().ChainPem(), ca->ChainPem());

  for (const Rotated what : {Rotated::kLeaf, Rotated::kIntermediate, Rotated::kRoot}) {
    EXPECT_THAT(std::string(rotator_->Begin(what).message()),
                HasSubstr("the CA comes from here: replace what is there"));
  }
  rotator_->Follow("", nullptr);
  RunFor(absl::Milliseconds(300));
  EXPECT_EQ(rotator_->state().origin(), "here");
  EXPECT_FALSE(rotator_->Begin(Rotated::kLeaf).ok());
  EXPECT_TRUE(rotator_->Begin(Rotated::kRoot).ok());
}

TEST_F(RotatorTest, WhatIsPluggedInIsTakenUpOnceItCanBeSaved) {
  ASSERT_EQ(rename(folder_.c_str(), (folder_ + ".away").c_str()), 0);
  rotator_->Follow("here", PluggedCa("first"));
  RunFor(absl::Milliseconds(300));
  EXPECT_EQ(stage(), std::nullopt);
  EXPECT_THAT(rotator_->error(), HasSubstr(folder_));
  ASSERT_EQ(rename((folder_ + ".away").c_str(), folder_.c_str()), 0);
  EXPECT_TRUE(Reaches(RotationStage::kDistribute));
  EXPECT_THAT(rotator_->error(), IsEmpty());
}

TEST_F(RotatorTest, WhatCannotBeSavedDoesNotBegin) {
  const std::string before = rotator_->state().Serialize();
  ASSERT_EQ(rename(folder_.c_str(), (folder_ + ".away").c_str()), 0);
  EXPECT_FALSE(rotator_->Begin(Rotated::kRoot).ok());
  EXPECT_EQ(rotator_->state().Serialize(), before);
  EXPECT_EQ(adopted_->Serialize(), before);
}

TEST_F(RotatorTest, Row110AStageThatCannotBeSavedIsTriedAgain) {
  ASSERT_TRUE(rotator_->Begin(Rotated::kLeaf).ok());
  ASSERT_EQ(rename(folder_.c_str(), (folder_ + ".away").c_str()), 0);
  Show();
  RunFor(absl::Milliseconds(500));
  EXPECT_EQ(stage(), RotationStage::kIssue);
  EXPECT_THAT(rotator_->error(), HasSubstr(folder_));
  ASSERT_EQ(rename((folder_ + ".away").c_str(), folder_.c_str()), 0);
  EXPECT_TRUE(Reaches(RotationStage::kRetire));
  EXPECT_THAT(rotator_->error(), IsEmpty());
}

}  // namespace
}  // namespace weft
