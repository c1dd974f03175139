#include "controlplane/ca/ca_state.h"

#include <sys/stat.h>

#include <cstdlib>

#include "certs/file.h"
#include "certs/spiffe_id.h"
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
