#include "certs/key.h"

#include "certs/test_certificate.h"
#include "gtest/gtest.h"

namespace weft::certs {
namespace {

TEST(PrivateKey, ComesBackFromPem) {
  const PrivateKey key = PrivateKey::Generate();
  absl::StatusOr<PrivateKey> again = PrivateKey::FromPem(key.ToPem());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->ToPem(), key.ToPem());
  EXPECT_NE(PrivateKey::Generate().ToPem(), key.ToPem());
}

TEST(PrivateKey, RefusesWhatIsNoKey) {
  const std::string pem = PrivateKey::Generate().ToPem();
  EXPECT_FALSE(PrivateKey::FromPem("").ok());
  EXPECT_FALSE(PrivateKey::FromPem(pem.substr(0, pem.size() / 2)).ok());
}

TEST(SigningKey, IsOneOfOursOrAnRsaKey) {
  const std::string ours = PrivateKey::Generate().ToPem();
  ASSERT_TRUE(SigningKey::FromPem(ours).ok());
  EXPECT_EQ(SigningKey::FromPem(ours)->ToPem(), ours);
  const TestCa rsa =
      MakeTestCa(nullptr, "root", absl::FromUnixSeconds(1'800'000'000), TestKeyType::kRsa2048);
  const std::string pem = rsa.key.ToPem();
  EXPECT_EQ(SigningKey::FromPem(pem)->ToPem(), pem);
  EXPECT_FALSE(PrivateKey::FromPem(pem).ok());
  EXPECT_FALSE(SigningKey::FromPem(pem.substr(0, pem.size() / 2)).ok());
}

}  // namespace
}  // namespace weft::certs
