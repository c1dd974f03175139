#include "controlplane/ca/authority.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "certs/csr.h"
#include "certs/file.h"
#include "certs/trust_bundle.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

certs::SpiffeId Id(absl::string_view uri) { return *certs::SpiffeId::Parse(uri); }

class AuthorityTest : public testing::Test {
 protected:
  absl::StatusOr<std::vector<std::string>> Create(absl::string_view uri,
                                                  absl::Duration validity = absl::Hours(1)) {
    return authority_.CreateCertificate({"default", "web", "web-1"}, certs::MakeCsr(key_, Id(uri)),
                                        validity, kNow);
  }

  const certs::PrivateKey key_ = certs::PrivateKey::Generate();
  const Authority authority_{*certs::Issuer::CreateRoot("east", kNow)};
};

TEST_F(AuthorityTest, GivesAWorkloadItsOwnName) {
  absl::StatusOr<std::vector<std::string>> pems = Create("spiffe://east/ns/default/sa/web");
  ASSERT_TRUE(pems.ok()) << pems.status();
  ASSERT_EQ(pems->size(), 2u);
  EXPECT_EQ(pems->back(), authority_.issuer().root().ToPem());
  certs::TrustBundles bundles;
  ASSERT_TRUE(bundles.Set("east", pems->back()).ok());
  absl::StatusOr<certs::SpiffeId> id = certs::VerifyPeer(*certs::ParseCertificates(pems->front()),
                                                         bundles, kNow, certs::PeerRole::kClient);
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(id->service_account, "web");
}

TEST_F(AuthorityTest, Row109RefusesAnothersName) {
  for (absl::string_view uri :
       {"spiffe://east/ns/default/sa/admin", "spiffe://east/ns/kube-system/sa/web",
        "spiffe://west/ns/default/sa/web"}) {
    EXPECT_EQ(Create(uri).status().code(), absl::StatusCode::kPermissionDenied) << uri;
  }
}

TEST_F(AuthorityTest, CapsTheValidity) {
  const std::pair<absl::Duration, absl::Duration> cases[] = {
      {absl::Hours(1), absl::Hours(1)},
      {absl::Hours(1000), absl::Hours(24)},
      {absl::ZeroDuration(), absl::Hours(24)},
      {-absl::Hours(1), absl::Hours(24)},
      {absl::InfiniteDuration(), absl::Hours(24)},
  };
  for (const auto& [asked, given] : cases) {
    const auto pems = Create("spiffe://east/ns/default/sa/web", asked);
    ASSERT_TRUE(pems.ok()) << pems.status();
    EXPECT_EQ(certs::NotAfter(certs::ParseCertificates(pems->front())->front().x509()),
              kNow + given);
  }
}

std::string NewFolder() {
  std::string folder = testing::TempDir() + "/authority_test_XXXXXX";
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  return folder;
}

TEST(LoadOrCreateRoot, KeepsTheRootItMade) {
  const std::string folder = NewFolder();
  absl::StatusOr<certs::Issuer> made = LoadOrCreateRoot(folder, "east", kNow);
  ASSERT_TRUE(made.ok()) << made.status();
  struct stat info;
  ASSERT_EQ(stat((folder + "/root-key.pem").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  absl::StatusOr<certs::Issuer> kept = LoadOrCreateRoot(folder, "east", kNow + absl::Hours(1));
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->ChainPem(), made->ChainPem());
}

TEST(LoadOrCreateRoot, Row110BeginsAnewAfterACrashBetweenTheFiles) {
  const std::string folder = NewFolder();
  ASSERT_TRUE(LoadOrCreateRoot(folder, "east", kNow).ok());
  ASSERT_EQ(unlink((folder + "/root-cert.pem").c_str()), 0);
  ASSERT_TRUE(LoadOrCreateRoot(folder, "east", kNow).ok());
  EXPECT_TRUE(LoadOrCreateRoot(folder, "east", kNow).ok());
}

TEST(LoadOrCreateRoot, NeverReplacesWhatItCannotUse) {
  const std::string folder = NewFolder();
  ASSERT_TRUE(LoadOrCreateRoot(folder, "east", kNow).ok());
  EXPECT_FALSE(LoadOrCreateRoot(folder, "west", kNow).ok());
  EXPECT_FALSE(LoadOrCreateRoot(folder, "east", kNow + certs::kRootValidity).ok());
  const std::string key = *certs::ReadFile(folder + "/root-key.pem");
  ASSERT_TRUE(certs::WriteFileAtomically(folder + "/root-key.pem",
                                         certs::PrivateKey::Generate().ToPem(), 0600)
                  .ok());
  EXPECT_FALSE(LoadOrCreateRoot(folder, "east", kNow).ok());
  ASSERT_EQ(unlink((folder + "/root-key.pem").c_str()), 0);
  EXPECT_FALSE(LoadOrCreateRoot(folder, "east", kNow).ok());
  ASSERT_TRUE(certs::WriteFileAtomically(folder + "/root-key.pem", key, 0600).ok());
  EXPECT_TRUE(LoadOrCreateRoot(folder, "east", kNow).ok());
}

TEST(LoadOrCreateRoot, NamesTheFolderThatIsNotThere) {
  const absl::Status status = LoadOrCreateRoot("/nonexistent", "east", kNow).status();
  EXPECT_NE(status.message().find("/nonexistent"), absl::string_view::npos);
}

}  // namespace
}  // namespace weft
