#include "certs/trust_bundle.h"

#include "certs/test_certificate.h"
#include "gtest/gtest.h"

namespace weft::certs {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr char kWeb[] = "spiffe://east/ns/default/sa/web";

class VerifyPeerTest : public testing::Test {
 protected:
  VerifyPeerTest() {
    EXPECT_TRUE(bundles_.Set("east", east_.ChainPem()).ok());
    EXPECT_TRUE(bundles_.Set("west", west_.ChainPem()).ok());
    options_.uris = {kWeb};
    options_.not_before = kNow - absl::Minutes(5);
    options_.not_after = kNow + absl::Hours(24);
  }

  absl::StatusOr<SpiffeId> Verify(const Issuer& signer, PeerRole role = PeerRole::kServer) {
    const std::vector<Certificate> chain = {
        MakeTestCertificate(signer, key_.public_key(), options_)};
    return VerifyPeer(chain, bundles_, kNow, role);
  }

  void ExpectRefused(const Issuer& signer, absl::string_view reason,
                     PeerRole role = PeerRole::kServer) {
    const absl::Status status = Verify(signer, role).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << status;
    EXPECT_NE(status.message().find(reason), absl::string_view::npos) << status;
  }

  const Issuer east_ = *Issuer::CreateRoot("east", kNow);
  const Issuer west_ = *Issuer::CreateRoot("west", kNow);
  const PrivateKey key_ = PrivateKey::Generate();
  TrustBundles bundles_;
  TestCertificateOptions options_;
};

TEST_F(VerifyPeerTest, AcceptsAnIdentityOfItsOwnDomainInBothRoles) {
  for (PeerRole role : {PeerRole::kServer, PeerRole::kClient}) {
    absl::StatusOr<SpiffeId> id = Verify(east_, role);
    ASSERT_TRUE(id.ok()) << id.status();
    EXPECT_EQ(id->ToString(), kWeb);
  }
}

TEST_F(VerifyPeerTest, AcceptsWhatTheIssuerIssues) {
  const std::vector<std::string> pems = *west_.Issue(
      key_.public_key(), *SpiffeId::Parse("spiffe://west/ns/a/sa/b"), kLeafValidity, kNow);
  absl::StatusOr<SpiffeId> id =
      VerifyPeer(*ParseCertificates(pems[0]), bundles_, kNow, PeerRole::kClient);
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(id->trust_domain, "west");
}

class RevocationTest : public testing::Test {
 protected:
  std::vector<Certificate> ChainOf(const Issuer& issuer) const {
    const std::vector<std::string> pems = *issuer.Issue(
        PrivateKey::Generate().public_key(), *SpiffeId::Parse(kWeb), kLeafValidity, kNow);
    return *ParseCertificates(pems[0] + pems[1]);
  }
  absl::Status Verify(const Issuer& issuer, const TrustBundles& bundles) const {
    return VerifyPeer(ChainOf(issuer), bundles, kNow, PeerRole::kClient).status();
  }

  const Issuer root_ = *Issuer::CreateRoot("east", kNow);
  const Issuer old_ = *root_.CreateIntermediate(kNow);
  const Issuer new_ = *root_.CreateIntermediate(kNow);
};

TEST_F(RevocationTest, ARevokedIntermediateVouchesForNobody) {
  TrustBundles bundles;
  ASSERT_TRUE(bundles.Set("east", root_.ChainPem()).ok());
  EXPECT_TRUE(Verify(old_, bundles).ok());
  const std::string list = *root_.Revoke({old_.signer()}, kNow);
  ASSERT_TRUE(bundles.Set("east", root_.ChainPem() + list).ok());
  const absl::Status refused = Verify(old_, bundles);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_NE(refused.message().find("revoked"), absl::string_view::npos) << refused;
  EXPECT_TRUE(Verify(new_, bundles).ok());
}

TEST_F(RevocationTest, AListOfAnotherRootIsNoPartOfABundle) {
  const Issuer other = *Issuer::CreateRoot("east", kNow);
  TrustBundles bundles;
  const std::string list = *other.Revoke({old_.signer()}, kNow);
  EXPECT_FALSE(bundles.Set("east", root_.ChainPem() + list).ok());
  // Both roots have the same name: the list of one does not speak for what the other signed, but
  // the serial numbers are random, so nothing is taken back by mistake.
  ASSERT_TRUE(bundles.Set("east", root_.ChainPem() + other.ChainPem() + list).ok());
  EXPECT_TRUE(Verify(new_, bundles).ok());
}

TEST_F(RevocationTest, AListThatIsCutShortIsAnError) {
  std::string list = *root_.Revoke({old_.signer()}, kNow);
  list[list.size() / 2] = '!';
  EXPECT_FALSE(TrustBundles().Set("east", root_.ChainPem() + list).ok());
}

TEST_F(VerifyPeerTest, Row51And82OneDomainsRootCannotVouchForAnother) {
  ExpectRefused(west_, "unable to get local issuer certificate");
}

TEST_F(VerifyPeerTest, Row51RefusesAnUnknownDomain) {
  options_.uris = {"spiffe://south/ns/default/sa/web"};
  ExpectRefused(east_, "unknown trust domain south");
}

TEST_F(VerifyPeerTest, Row49RefusesNulInAName) {
  options_.uris = {std::string(kWeb) + std::string("\0.evil", 6)};
  ExpectRefused(east_, "NUL");
  options_.uris = {kWeb};
  options_.dns = {std::string("a\0b", 3)};
  ExpectRefused(east_, "NUL");
}

TEST_F(VerifyPeerTest, Row50RefusesSeveralUriNames) {
  options_.uris = {kWeb, "spiffe://east/ns/default/sa/admin"};
  ExpectRefused(east_, "several URI");
}

TEST_F(VerifyPeerTest, Row50RefusesACommonNameAlone) {
  options_.uris = {};
  options_.common_name = kWeb;
  ExpectRefused(east_, "no URI");
}

TEST_F(VerifyPeerTest, Row50RefusesACaAsLeaf) {
  options_.ca = true;
  ExpectRefused(east_, "CA certificate");
}

TEST_F(VerifyPeerTest, Row50RefusesTheWrongExtendedKeyUsage) {
  options_.extended_key_usage = "clientAuth";
  ExpectRefused(east_, "purpose", PeerRole::kServer);
  EXPECT_TRUE(Verify(east_, PeerRole::kClient).ok());
  options_.extended_key_usage = "serverAuth";
  ExpectRefused(east_, "purpose", PeerRole::kClient);
}

TEST_F(VerifyPeerTest, Row52SaysExpiredAndNotYetValidApart) {
  options_.not_after = kNow - absl::Seconds(1);
  ExpectRefused(east_, "expired");
  options_.not_before = kNow + absl::Minutes(1);
  options_.not_after = kNow + absl::Hours(24);
  ExpectRefused(east_, "not yet valid");
}

TEST_F(VerifyPeerTest, RefusesAnEmptyChain) {
  EXPECT_FALSE(VerifyPeer({}, bundles_, kNow, PeerRole::kServer).ok());
}

TEST_F(VerifyPeerTest, RefusesALeafPosingAsIssuer) {
  const Certificate web = MakeTestCertificate(east_, key_.public_key(), options_);
  // The web workload signs an admin certificate with its own key.
  absl::StatusOr<Issuer> forged = Issuer::FromPem(web.ToPem(), key_.ToPem());
  EXPECT_FALSE(forged.ok());
}

// Both roots have the same subject; the authority key identifier of a leaf tells them apart.
TEST_F(VerifyPeerTest, Row111BothRootsOfARolloverAreTrusted) {
  const Issuer next = *Issuer::CreateRoot("east", kNow);
  const auto verify = [&](const Issuer& signer) {
    const std::vector<std::string> pems =
        *signer.Issue(key_.public_key(), *SpiffeId::Parse(kWeb), kLeafValidity, kNow);
    return VerifyPeer(*ParseCertificates(pems[0]), bundles_, kNow, PeerRole::kServer).status();
  };
  ASSERT_TRUE(bundles_.Set("east", east_.ChainPem() + next.ChainPem()).ok());
  EXPECT_TRUE(verify(east_).ok()) << verify(east_);
  EXPECT_TRUE(verify(next).ok()) << verify(next);
  ASSERT_TRUE(bundles_.Set("east", next.ChainPem()).ok());
  EXPECT_FALSE(verify(east_).ok());
  EXPECT_TRUE(verify(next).ok());
}

TEST(TrustBundles, RefuseRootsThatAreNone) {
  const Issuer east = *Issuer::CreateRoot("east", kNow);
  const std::vector<std::string> leaf =
      *east.Issue(PrivateKey::Generate().public_key(), *SpiffeId::Parse(kWeb), kLeafValidity, kNow);
  TrustBundles bundles;
  EXPECT_FALSE(bundles.Set("east", leaf[0]).ok());
  EXPECT_FALSE(bundles.Set("east", "").ok());
  EXPECT_FALSE(bundles.Set("", east.ChainPem()).ok());
  std::string torn = east.ChainPem();
  torn.resize(torn.size() / 2);
  EXPECT_FALSE(bundles.Set("east", torn).ok());
  EXPECT_FALSE(bundles.Set("east", east.ChainPem() + torn).ok());
  EXPECT_TRUE(bundles.TrustDomains().empty());
}

}  // namespace
}  // namespace weft::certs
