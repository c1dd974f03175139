#include "certs/issuer.h"

#include <openssl/x509v3.h>

#include "certs/test_certificate.h"
#include "certs/trust_bundle.h"
#include "gtest/gtest.h"

namespace weft::certs {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

SpiffeId Web(absl::string_view trust_domain) {
  return *SpiffeId::Parse("spiffe://" + std::string(trust_domain) + "/ns/default/sa/web");
}

TEST(Issuer, RootNamesItsTrustDomainAndLivesTenYears) {
  absl::StatusOr<Issuer> issuer = Issuer::CreateRoot("east.local", kNow);
  ASSERT_TRUE(issuer.ok()) << issuer.status();
  const CertificateDescription root = DescribeCertificate(issuer->root());
  EXPECT_EQ(root.subject_alt_names.uris, std::vector<std::string>{"spiffe://east.local"});
  EXPECT_EQ(root.subject, "CN=east.local,O=weft");
  EXPECT_EQ(root.expiration, kNow + kRootValidity);
}

TEST(Issuer, LeafIsBackdatedAndCarriesTheName) {
  const Issuer issuer = *Issuer::CreateRoot("east", kNow);
  const PublicKey key = PrivateKey::Generate().public_key();
  absl::StatusOr<std::vector<std::string>> chain =
      issuer.Issue(key, Web("east"), kLeafValidity, kNow);
  ASSERT_TRUE(chain.ok()) << chain.status();
  ASSERT_EQ(chain->size(), 1u);
  const Certificate leaf = ParseCertificates(chain->front())->front();
  const CertificateDescription shown = DescribeCertificate(leaf);
  EXPECT_EQ(shown.subject_alt_names.uris, std::vector<std::string>{Web("east").ToString()});
  EXPECT_EQ(shown.subject, "");
  EXPECT_EQ(shown.valid_from, kNow - absl::Minutes(5));
  EXPECT_EQ(shown.expiration, kNow + absl::Hours(24));
  EXPECT_EQ(shown.serial_number.size(), 32u);
}

TEST(Issuer, OfNamesIsAServerWithoutAnIdentity) {
  const Issuer issuer = *Issuer::CreateRoot("east", kNow);
  const PublicKey key = PrivateKey::Generate().public_key();
  const std::vector<std::string> names = {"weftd.weft-system.svc", "a,DNS:b"};
  const auto chain = issuer.IssueForNames(key, names, kLeafValidity, kNow);
  ASSERT_TRUE(chain.ok()) << chain.status();
  const Certificate leaf = ParseCertificates(chain->front())->front();
  const CertificateDescription shown = DescribeCertificate(leaf);
  EXPECT_EQ(shown.subject_alt_names.dns, names);
  EXPECT_TRUE(shown.subject_alt_names.uris.empty());
  EXPECT_EQ(X509_check_purpose(leaf.x509(), X509_PURPOSE_SSL_SERVER, 0), 1);
  EXPECT_EQ(X509_check_purpose(leaf.x509(), X509_PURPOSE_SSL_CLIENT, 0), 0);
}

TEST(Issuer, SerialsDiffer) {
  const Issuer issuer = *Issuer::CreateRoot("east", kNow);
  const PublicKey key = PrivateKey::Generate().public_key();
  EXPECT_NE(*issuer.Issue(key, Web("east"), kLeafValidity, kNow),
            *issuer.Issue(key, Web("east"), kLeafValidity, kNow));
}

TEST(Issuer, DoesNotSignForAnotherTrustDomain) {
  const Issuer issuer = *Issuer::CreateRoot("east", kNow);
  const PublicKey key = PrivateKey::Generate().public_key();
  EXPECT_EQ(issuer.Issue(key, Web("west"), kLeafValidity, kNow).status().code(),
            absl::StatusCode::kPermissionDenied);
}

TEST(Issuer, LeafEndsWithItsIssuer) {
  const Issuer issuer = *Issuer::CreateRoot("east", kNow);
  const PublicKey key = PrivateKey::Generate().public_key();
  const absl::Time late = kNow + kRootValidity - absl::Hours(1);
  const std::vector<std::string> chain = *issuer.Issue(key, Web("east"), kLeafValidity, late);
  EXPECT_EQ(NotAfter(ParseCertificates(chain[0])->front().x509()), kNow + kRootValidity);
  EXPECT_EQ(issuer.Issue(key, Web("east"), kLeafValidity, late + absl::Hours(2)).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(Issuer, ComesBackFromPem) {
  const Issuer issuer = *Issuer::CreateRoot("east", kNow);
  absl::StatusOr<Issuer> again = Issuer::FromPem(issuer.ChainPem(), issuer.KeyPem());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->trust_domain(), "east");
  EXPECT_EQ(again->ChainPem(), issuer.ChainPem());
}

TEST(Issuer, IntermediateTravelsWithTheLeafAndVerifies) {
  const Issuer root = *Issuer::CreateRoot("east", kNow);
  const PrivateKey intermediate_key = PrivateKey::Generate();
  TestCertificateOptions options;
  options.common_name = "east intermediate";
  options.ca = true;
  options.extended_key_usage = "";
  options.not_before = kNow;
  options.not_after = kNow + absl::Hours(1000);
  const Certificate intermediate =
      MakeTestCertificate(root, intermediate_key.public_key(), options);
  absl::StatusOr<Issuer> issuer =
      Issuer::FromPem(intermediate.ToPem() + root.ChainPem(), intermediate_key.ToPem());
  ASSERT_TRUE(issuer.ok()) << issuer.status();
  const std::vector<std::string> pems =
      *issuer->Issue(PrivateKey::Generate().public_key(), Web("east"), kLeafValidity, kNow);
  ASSERT_EQ(pems.size(), 2u);
  TrustBundles bundles;
  ASSERT_TRUE(bundles.Set("east", root.ChainPem()).ok());
  const std::vector<Certificate> chain = *ParseCertificates(pems[0] + pems[1]);
  EXPECT_EQ(*VerifyPeer(chain, bundles, kNow, PeerRole::kServer), Web("east"));
  EXPECT_FALSE(VerifyPeer(absl::MakeSpan(chain.data(), 1), bundles, kNow, PeerRole::kServer).ok());
}

TEST(Issuer, OfOthersSignsByRsaAndNoLongerThanItsChainLasts) {
  const TestCa root =
      MakeTestCa(nullptr, "root", kNow, TestKeyType::kP256, /*validity=*/absl::Hours(2));
  const TestCa middle = MakeTestCa(&root, "middle", kNow, TestKeyType::kRsa2048);
  const std::string chain = middle.certificate.ToPem() + root.certificate.ToPem();
  EXPECT_FALSE(Issuer::FromPem(chain, middle.key.ToPem()).ok());  // its root names nobody
  absl::StatusOr<Issuer> issuer = Issuer::FromPem(chain, middle.key.ToPem(), "east");
  ASSERT_TRUE(issuer.ok()) << issuer.status();
  EXPECT_EQ(issuer->End(), kNow + absl::Hours(2));
  const std::vector<std::string> pems =
      *issuer->Issue(PrivateKey::Generate().public_key(), Web("east"), kLeafValidity, kNow);
  const std::vector<Certificate> shown = *ParseCertificates(pems[0] + pems[1]);
  EXPECT_EQ(NotAfter(shown[0].x509()), kNow + absl::Hours(2));
  TrustBundles bundles;
  ASSERT_TRUE(bundles.Set("east", root.certificate.ToPem()).ok());
  EXPECT_EQ(*VerifyPeer(shown, bundles, kNow, PeerRole::kClient), Web("east"));
}

TEST(Issuer, MakesIntermediatesThatSignLeavesAndNoOtherCa) {
  const Issuer root = *Issuer::CreateRoot("east", kNow);
  absl::StatusOr<Issuer> intermediate = root.CreateIntermediate(kNow);
  ASSERT_TRUE(intermediate.ok()) << intermediate.status();
  EXPECT_EQ(intermediate->trust_domain(), "east");
  EXPECT_EQ(intermediate->root().ToPem(), root.ChainPem());
  EXPECT_EQ(NotAfter(intermediate->signer().x509()), kNow + kIntermediateValidity);
  const std::vector<std::string> pems =
      *intermediate->Issue(PrivateKey::Generate().public_key(), Web("east"), kLeafValidity, kNow);
  TrustBundles bundles;
  ASSERT_TRUE(bundles.Set("east", root.ChainPem()).ok());
  EXPECT_EQ(*VerifyPeer(*ParseCertificates(pems[0] + pems[1]), bundles, kNow, PeerRole::kServer),
            Web("east"));
  EXPECT_EQ(intermediate->CreateIntermediate(kNow).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(root.CreateIntermediate(kNow + kRootValidity).ok());
  EXPECT_TRUE(Issuer::FromPem(intermediate->ChainPem(), intermediate->KeyPem()).ok());
}

TEST(Issuer, RefusesAKeyThatIsNotItsOwn) {
  const Issuer east = *Issuer::CreateRoot("east", kNow);
  const Issuer west = *Issuer::CreateRoot("west", kNow);
  EXPECT_FALSE(Issuer::FromPem(east.ChainPem(), west.KeyPem()).ok());
  EXPECT_FALSE(Issuer::FromPem("", east.KeyPem()).ok());
  EXPECT_FALSE(Issuer::FromPem(east.ChainPem(), "").ok());
  EXPECT_FALSE(Issuer::CreateRoot("East Coast", kNow).ok());
}

}  // namespace
}  // namespace weft::certs
