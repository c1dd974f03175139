#include "certs/key.h"

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

}  // namespace
}  // namespace weft::certs
