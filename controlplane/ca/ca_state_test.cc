#include "controlplane/ca/ca_state.h"

#include <sys/stat.h>

#include <cstdlib>

#include "certs/file.h"
#include "certs/spiffe_id.h"
#include "certs/test_certificate.h"
#include "certs/trust_bundle.h"
#include "controlplane/ca/authority.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

// A certificate as a workload shows it.
std::vector<certs::Certificate> LeafOf(const certs::Issuer& issuer) {
  const auto pems = issuer.Issue(certs::PrivateKey::Generate().public_key(),
                                 *certs::SpiffeId::Parse("spiffe://east/ns/default/sa/web"),
                                 certs::kLeafValidity, kNow);
  std::string chain;
  for (const std::string& pem : *pems) chain += pem;
  return *certs::ParseCertificates(chain);
}

bool Trusted(const std::vector<certs::Certificate>& chain, const std::string& bundle) {
  certs::TrustBundles bundles;
  EXPECT_TRUE(bundles.Set("east", bundle).ok());
  return certs::VerifyPeer(chain, bundles, kNow, certs::PeerRole::kClient).ok();
}

CaState Created() { return *CaState::Create("east", kNow); }

TEST(CaState, SignsLeavesWithAnIntermediate) {
  const CaState state = Created();
  EXPECT_NE(state.issuer().signer().ToPem(), state.root().signer().ToPem());
  EXPECT_TRUE(Trusted(LeafOf(state.issuer()), state.BundlePem()));
}

TEST(CaState, Row111ARootIsTrustedBeforeItSignsAndTheOldOneIsRefusedAfterwards) {
  CaState state = Created();
  const auto old_leaf = LeafOf(state.issuer());
  const std::string old_bundle = state.BundlePem();
  ASSERT_TRUE(state.Begin(Rotated::kRoot, kNow).ok());
  EXPECT_EQ(state.rotation()->stage, RotationStage::kDistribute);
  // Who has not heard of it yet must be able to trust what is signed meanwhile.
  EXPECT_TRUE(Trusted(LeafOf(state.issuer()), old_bundle));
  const std::string both = state.BundlePem();

  ASSERT_TRUE(state.Advance(kNow).ok());
  EXPECT_EQ(state.rotation()->stage, RotationStage::kIssue);
  const auto new_leaf = LeafOf(state.issuer());
  EXPECT_FALSE(Trusted(new_leaf, old_bundle));
  for (const auto& leaf : {old_leaf, new_leaf}) {
    EXPECT_TRUE(Trusted(leaf, both));
    EXPECT_TRUE(Trusted(leaf, state.BundlePem()));
  }

  ASSERT_TRUE(state.Advance(kNow).ok());
  EXPECT_EQ(state.rotation()->stage, RotationStage::kRetire);
  EXPECT_FALSE(Trusted(old_leaf, state.BundlePem()));
  EXPECT_TRUE(Trusted(new_leaf, state.BundlePem()));
  ASSERT_TRUE(state.Advance(kNow).ok());
  EXPECT_FALSE(state.rotation().has_value());
}

TEST(CaState, AnIntermediateThatWasRotatedOutIsRevoked) {
  for (const Rotated what : {Rotated::kLeaf, Rotated::kIntermediate}) {
    CaState state = Created();
    const std::string root = state.BundlePem();
    const auto first = LeafOf(state.issuer());
    ASSERT_TRUE(state.Begin(what, kNow).ok());
    EXPECT_EQ(state.rotation()->stage, RotationStage::kIssue);
    const auto second = LeafOf(state.issuer());
    EXPECT_TRUE(Trusted(first, state.BundlePem()));
    EXPECT_TRUE(Trusted(second, root));
    ASSERT_TRUE(state.Advance(kNow).ok());
    EXPECT_FALSE(Trusted(first, state.BundlePem()));
    EXPECT_TRUE(Trusted(second, state.BundlePem()));
    ASSERT_TRUE(state.Advance(kNow).ok());

    // The next one takes back both.
    ASSERT_TRUE(state.Begin(what, kNow).ok());
    ASSERT_TRUE(state.Advance(kNow).ok());
    EXPECT_FALSE(Trusted(first, state.BundlePem()));
    EXPECT_FALSE(Trusted(second, state.BundlePem()));
    EXPECT_TRUE(Trusted(LeafOf(state.issuer()), state.BundlePem()));
  }
}

TEST(CaState, ARevokedIntermediateThatHasExpiredLeavesTheList) {
  CaState state = Created();
  const absl::Time later = kNow + certs::kIntermediateValidity + absl::Hours(1);
  for (const absl::Time now : {kNow, later}) {
    ASSERT_TRUE(state.Begin(Rotated::kIntermediate, now).ok());
    ASSERT_TRUE(state.Advance(now).ok());
    ASSERT_TRUE(state.Advance(now).ok());
  }
  CaState once = Created();
  ASSERT_TRUE(once.Begin(Rotated::kIntermediate, kNow).ok());
  ASSERT_TRUE(once.Advance(kNow).ok());
  EXPECT_NEAR(state.BundlePem().size(), once.BundlePem().size(), 8);
}

TEST(CaState, ARootRotationForgetsWhatTheOldRootTookBack) {
  CaState state = Created();
  ASSERT_TRUE(state.Begin(Rotated::kIntermediate, kNow).ok());
  ASSERT_TRUE(state.Advance(kNow).ok());
  ASSERT_TRUE(state.Advance(kNow).ok());
  ASSERT_TRUE(state.Begin(Rotated::kRoot, kNow).ok());
  for (int stage = 0; stage < 3; ++stage) {
    EXPECT_TRUE(certs::TrustBundles().Set("east", state.BundlePem()).ok()) << stage;
    ASSERT_TRUE(state.Advance(kNow).ok());
  }
  EXPECT_EQ(state.BundlePem(), state.root().root().ToPem());
}

TEST(CaState, AnIntermediateIsDueAtHalfItsLifeUnlessAnotherWouldLiveNoLonger) {
  CaState state = Created();
  const absl::Time half = kNow + certs::kIntermediateValidity / 2;
  EXPECT_FALSE(state.IntermediateIsDue(half - absl::Hours(1)));
  EXPECT_TRUE(state.IntermediateIsDue(half));
  ASSERT_TRUE(state.Begin(Rotated::kIntermediate, half).ok());
  EXPECT_FALSE(state.IntermediateIsDue(half)) << "it is under way";
  // One that is made in the root's last weeks ends with it.
  const absl::Time late = kNow + certs::kRootValidity - absl::Hours(24 * 30);
  EXPECT_FALSE(
      CaState::Adopt(*certs::Issuer::CreateRoot("east", kNow), late)->IntermediateIsDue(late));
}

TEST(CaState, OneRotationAtATime) {
  CaState state = Created();
  ASSERT_TRUE(state.Begin(Rotated::kRoot, kNow).ok());
  const absl::Status again = state.Begin(Rotated::kLeaf, kNow);
  EXPECT_EQ(again.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(again.message().find("root is under way, at stage distribute"), absl::string_view::npos)
      << again;
}

TEST(CaState, Row111IsKeptAsTextAtEachStage) {
  for (const Rotated what : {Rotated::kLeaf, Rotated::kIntermediate, Rotated::kRoot}) {
    CaState state = Created();
    ASSERT_TRUE(state.Begin(what, kNow).ok());
    while (state.rotation().has_value()) {
      absl::StatusOr<CaState> again = CaState::Parse(state.Serialize());
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(again->Serialize(), state.Serialize());
      EXPECT_EQ(again->rotation(), state.rotation());
      state = *std::move(again);
      ASSERT_TRUE(state.Advance(kNow).ok());
    }
  }
}

TEST(CaState, RefusesTextThatIsNotWhole) {
  const std::string text = Created().Serialize();
  for (const char* bad : {"", "[]", "{}", "{\"root\": 1}"}) {
    EXPECT_FALSE(CaState::Parse(bad).ok()) << bad;
  }
  EXPECT_FALSE(CaState::Parse(text.substr(0, text.size() / 2)).ok());
}

TEST(CaState, WhoMayNotSignAnotherCaSignsLeavesItself) {
  const certs::Issuer intermediate = Created().issuer();
  CaState state = *CaState::Adopt(intermediate, kNow);
  EXPECT_EQ(state.issuer().signer().ToPem(), intermediate.signer().ToPem());
  EXPECT_EQ(state.Begin(Rotated::kIntermediate, kNow).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(state.rotation().has_value());
}

std::shared_ptr<const certs::Issuer> Signer(const certs::TestCa& root) {
  const certs::TestCa made = certs::MakeTestCa(&root, "signer", kNow);
  return std::make_shared<certs::Issuer>(*certs::Issuer::FromPem(
      made.certificate.ToPem() + root.certificate.ToPem(), made.key.ToPem(), "east"));
}

class PlugIn : public testing::Test {
 protected:
  const certs::TestCa a_root_ = certs::MakeTestCa(nullptr, "a", kNow);
  const certs::TestCa b_root_ = certs::MakeTestCa(nullptr, "b", kNow);
  const std::shared_ptr<const certs::Issuer> a_ = Signer(a_root_);
  const std::shared_ptr<const certs::Issuer> a2_ = Signer(a_root_);
  const std::shared_ptr<const certs::Issuer> b_ = Signer(b_root_);
};

TEST_F(PlugIn, OfTheSameRootSignsAtOnce) {
  CaState state = CaState::PluggedIn(a_, "here");
  EXPECT_TRUE(state.Has(*a_));
  EXPECT_FALSE(state.Has(*a2_));
  ASSERT_TRUE(state.PlugIn(a2_, "here").ok());
  EXPECT_TRUE(state.Has(*a2_));
  EXPECT_FALSE(state.rotation().has_value());
  EXPECT_EQ(state.BundlePem(), a_root_.certificate.ToPem());
  EXPECT_TRUE(Trusted(LeafOf(*a_), state.BundlePem()));
  EXPECT_TRUE(Trusted(LeafOf(state.issuer()), state.BundlePem()));
}

TEST_F(PlugIn, FromOurOwnAndBackInStages) {
  CaState state = Created();
  const auto own_leaf = LeafOf(state.issuer());
  ASSERT_TRUE(state.PlugIn(a_, "here").ok());
  EXPECT_TRUE(state.Has(*a_));
  EXPECT_EQ(state.rotation()->stage, RotationStage::kDistribute);
  EXPECT_EQ(state.origin(), "");
  EXPECT_TRUE(Trusted(LeafOf(*a_), state.BundlePem()));
  EXPECT_TRUE(Trusted(own_leaf, state.BundlePem()));
  ASSERT_TRUE(state.Advance(kNow).ok());
  EXPECT_EQ(state.issuer().ChainPem(), a_->ChainPem());
  EXPECT_EQ(state.origin(), "here");
  EXPECT_TRUE(Trusted(own_leaf, state.BundlePem()));
  ASSERT_TRUE(state.Advance(kNow).ok());
  EXPECT_FALSE(Trusted(own_leaf, state.BundlePem()));
  ASSERT_TRUE(state.Advance(kNow).ok());

  ASSERT_TRUE(state.Begin(Rotated::kRoot, kNow).ok());
  EXPECT_EQ(state.issuer().ChainPem(), a_->ChainPem());
  ASSERT_TRUE(state.Advance(kNow).ok());
  EXPECT_EQ(state.origin(), "");
  EXPECT_NE(state.issuer().signer().ToPem(), state.root().signer().ToPem());
  EXPECT_TRUE(Trusted(LeafOf(*a_), state.BundlePem()));
  ASSERT_TRUE(state.Advance(kNow).ok());
  EXPECT_FALSE(Trusted(LeafOf(*a_), state.BundlePem()));
}

TEST_F(PlugIn, ARootThatSignedNothingYetGivesWay) {
  CaState state = CaState::PluggedIn(a_, "here");
  ASSERT_TRUE(state.PlugIn(b_, "here").ok());
  ASSERT_TRUE(state.PlugIn(a2_, "here").ok());
  EXPECT_FALSE(state.rotation().has_value());
  EXPECT_TRUE(state.Has(*a2_));
  EXPECT_EQ(state.BundlePem(), a_root_.certificate.ToPem());
}

TEST_F(PlugIn, WaitsForTheRotationUnderWay) {
  CaState state = CaState::PluggedIn(a_, "here");
  ASSERT_TRUE(state.PlugIn(b_, "here").ok());
  ASSERT_TRUE(state.Advance(kNow).ok());
  const auto again = Signer(b_root_);
  while (state.rotation().has_value()) {
    const absl::Status status = state.PlugIn(a2_, "here");
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    // But for one of the root that is in force by now.
    EXPECT_TRUE(state.PlugIn(again, "here").ok());
    EXPECT_TRUE(state.Has(*again));
    ASSERT_TRUE(state.Advance(kNow).ok());
  }
  EXPECT_TRUE(state.PlugIn(a2_, "here").ok());

  CaState own = Created();
  ASSERT_TRUE(own.Begin(Rotated::kIntermediate, kNow).ok());
  EXPECT_FALSE(own.PlugIn(a_, "here").ok());
}

// Who has a certificate of which is told by the key alone.
TEST_F(PlugIn, OfAnotherRootNeedsAnotherKey) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  certs::TestCertificateOptions options;
  options.ca = options.key_id = true;
  options.not_after = kNow + absl::Hours(1);
  const auto signed_by = [&](const certs::TestCa& root) {
    const std::string root_pem = root.certificate.ToPem();
    options.common_name = "signer";
    const std::string chain =
        certs::MakeTestCertificate(*certs::Issuer::FromPem(root_pem, root.key.ToPem(), "east"),
                                   key.public_key(), options)
            .ToPem() +
        root_pem;
    return std::make_shared<certs::Issuer>(*certs::Issuer::FromPem(chain, key.ToPem(), "east"));
  };
  const auto by_a = signed_by(a_root_);
  CaState state = CaState::PluggedIn(by_a, "here");
  const absl::Status same_key = state.PlugIn(signed_by(b_root_), "here");
  EXPECT_EQ(same_key.code(), absl::StatusCode::kInvalidArgument) << same_key;
  EXPECT_TRUE(state.Has(*by_a));

  // A root that was only issued anew has signed what is there already.
  options.common_name = "a";
  const auto a_root_again = certs::MakeTestCertificate(
      *certs::Issuer::FromPem(a_root_.certificate.ToPem(), a_root_.key.ToPem(), "east"),
      certs::PrivateKey::FromPem(a_root_.key.ToPem())->public_key(), options);
  const auto chain = by_a->signer().ToPem() + a_root_again.ToPem();
  EXPECT_TRUE(state
                  .PlugIn(std::make_shared<certs::Issuer>(
                              *certs::Issuer::FromPem(chain, key.ToPem(), "east")),
                          "here")
                  .ok());
  EXPECT_EQ(state.rotation()->stage, RotationStage::kDistribute);
}

TEST_F(PlugIn, IsRotatedByItsMaker) {
  CaState state = CaState::PluggedIn(a_, "Secret weft-system/cacerts");
  for (const Rotated what : {Rotated::kLeaf, Rotated::kIntermediate}) {
    const absl::Status status = state.Begin(what, kNow);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_NE(status.message().find("came from Secret weft-system/cacerts"),
              absl::string_view::npos)
        << status;
  }
}

TEST_F(PlugIn, IsKeptAsTextAtEachStage) {
  CaState state = CaState::PluggedIn(a_, "here");
  ASSERT_TRUE(state.PlugIn(b_, "there").ok());
  for (const char* origin : {"here", "there", "there", "there"}) {
    absl::StatusOr<CaState> again = CaState::Parse(state.Serialize());
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->Serialize(), state.Serialize());
    EXPECT_EQ(again->origin(), origin);
    EXPECT_EQ(again->root().trust_domain(), "east");
    EXPECT_TRUE(again->Has(*b_));
    state = *std::move(again);
    if (state.rotation().has_value()) ASSERT_TRUE(state.Advance(kNow).ok());
  }
}

std::string NewFolder() {
  std::string folder = testing::TempDir() + "/ca_state_test_XXXXXX";
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  return folder;
}

TEST(LoadOrCreateCa, KeepsWhatItMadeAndShowsWhatToTrust) {
  const std::string folder = NewFolder();
  absl::StatusOr<CaState> made = LoadOrCreateCa(folder, "east", kNow);
  ASSERT_TRUE(made.ok()) << made.status();
  struct stat info;
  ASSERT_EQ(stat((folder + "/ca.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(*certs::ReadFile(folder + "/root-cert.pem"), made->BundlePem());
  absl::StatusOr<CaState> kept = LoadOrCreateCa(folder, "east", kNow);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->Serialize(), made->Serialize());
}

TEST(LoadOrCreateCa, AdoptsARootThatIsThere) {
  const std::string folder = NewFolder();
  const certs::Issuer root = *LoadOrCreateRoot(folder, "east", kNow);
  absl::StatusOr<CaState> state = LoadOrCreateCa(folder, "east", kNow);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->root().ChainPem(), root.ChainPem());
  EXPECT_TRUE(absl::IsNotFound(certs::ReadFile(folder + "/root-key.pem").status()));
}

TEST(AwaitsPluggedCa, WhereNobodyWouldBeCutOff) {
  const std::string folder = NewFolder();
  EXPECT_TRUE(AwaitsPluggedCa(folder, kNow));
  ASSERT_TRUE(LoadOrCreateCa(folder, "east", kNow).ok());
  EXPECT_FALSE(AwaitsPluggedCa(folder, kNow));
  EXPECT_FALSE(AwaitsPluggedCa(folder, kNow + certs::kRootValidity));
  const auto ca = Signer(certs::MakeTestCa(nullptr, "a", kNow));
  ASSERT_TRUE(SaveCa(folder, CaState::PluggedIn(ca, "here")).ok());
  EXPECT_FALSE(AwaitsPluggedCa(folder, kNow));
  EXPECT_TRUE(AwaitsPluggedCa(folder, ca->End()));
  ASSERT_TRUE(certs::WriteFileAtomically(folder + "/ca.json", "{", 0600).ok());
  EXPECT_FALSE(AwaitsPluggedCa(folder, kNow));
}

TEST(LoadOrCreateCa, Row110NeverReplacesWhatItCannotUse) {
  const std::string folder = NewFolder();
  ASSERT_TRUE(LoadOrCreateCa(folder, "east", kNow).ok());
  EXPECT_FALSE(LoadOrCreateCa(folder, "west", kNow).ok());
  EXPECT_FALSE(LoadOrCreateCa(folder, "east", kNow + certs::kRootValidity).ok());
  const std::string text = *certs::ReadFile(folder + "/ca.json");
  ASSERT_TRUE(certs::WriteFileAtomically(folder + "/ca.json", text.substr(0, 100), 0600).ok());
  const absl::Status torn = LoadOrCreateCa(folder, "east", kNow).status();
  EXPECT_NE(torn.message().find(folder), absl::string_view::npos) << torn;
  EXPECT_EQ(torn.message().find("PRIVATE"), absl::string_view::npos);
}

}  // namespace
}  // namespace weft
